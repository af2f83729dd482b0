"""How steady pictures hold still while the view moves, and at what price. Imports nothing."""
