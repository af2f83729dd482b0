"""The server's small model and engine."""

from __future__ import annotations

from tests.plain.server.conftest import checkpoint, engine

__all__ = ["checkpoint", "engine"]
