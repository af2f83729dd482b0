"""Models this small are slower on two threads than on one, and the arms take turns in many processes."""

from __future__ import annotations

from tests.plain.engine.conftest import one_thread
from tests.plain.server.conftest import checkpoint, engine

__all__ = ["checkpoint", "engine", "one_thread"]
