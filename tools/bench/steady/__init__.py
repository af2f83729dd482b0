"""Measures how still steady pictures hold while the view moves, and at what cost. Imports nothing."""
