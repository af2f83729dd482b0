"""Panels, operators, keys, properties and preferences: shells. Nothing is imported here."""
