"""Attacks of all kinds on a real server and a real client, over real connections: ``python -m tests.attack``."""
