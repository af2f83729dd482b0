"""How steady pictures hold still while the view moves, and at what price: ``python -m tools.bench.steady``."""
