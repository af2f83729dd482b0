"""Making the embedded model: render, train, evaluate, export. Standard library only; nothing is imported here."""
