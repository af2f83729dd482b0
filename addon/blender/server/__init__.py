"""The server that the add-on runs: its setup and its process. Nothing is imported here."""
