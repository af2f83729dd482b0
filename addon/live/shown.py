"""A picture that live showed, with all that it was made from. No bpy; numpy only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..wire import Request


@dataclass(frozen=True)
class Origin:
    """Where a draft was captured, as plain values: the scene's settings and how its viewport was set."""

    scene: str = ""
    frame: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    view: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class ShownPicture:
    """``image``: uint8, H x W x 3, sRGB, top row first. ``request``: what was sent for it, draft included.

    ``model`` and ``server``: as the server named itself. ``at``: seconds since 1970 at which it was shown.
    ``timings``: milliseconds by stage, as the server measured them.
    """

    image: NDArray[np.uint8]
    request: Request
    model: str = ""
    server: str = ""
    at: float = 0.0
    timings: dict[str, float] = field(default_factory=dict)
    origin: Origin = Origin()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.image.shape[1], self.image.shape[0]

    @property
    def settled(self) -> bool:
        """Whether it is the better picture of a view at rest."""
        return self.request.settle
