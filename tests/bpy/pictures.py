"""Pictures as live shows them, for the tests of what becomes of them. Imports bpy inside functions only."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from addon.wire import Control, Frame, Request, Style

RANDOM = np.random.default_rng(5)


def view_of() -> Any:
    """The 3D View that live follows."""
    from addon.blender.capture.viewports import Followed

    return Followed().find()


def shown(settle: bool = True, prompt: str = "a castle", width: int = 96, height: int = 64, number: int = 1) -> Any:
    """A picture as live shows it, of the viewport as it is now."""
    from addon.blender.capture.origin import origin_of
    from addon.live.shown import ShownPicture

    viewport = view_of()
    matrices = [
        tuple(tuple(row) for row in matrix) for matrix in (viewport.view.view_matrix, viewport.view.window_matrix)
    ]
    draft = RANDOM.integers(0, 256, (height, width, 3), np.uint8)
    frame = Frame(number, draft, np.zeros((height, width), np.uint16), 1.0, *matrices)
    style = Style(prompt, "fog", 0.7, 4, 1.5, 11, width, height, (Control("depth", 0.5),))
    picture = RANDOM.integers(0, 256, (height, width, 3), np.uint8)
    request = Request(frame, style, settle)
    return ShownPicture(picture, request, "embedded", "server 1", time.time(), {}, origin_of(viewport))


def show(picture: Any) -> Any:
    """Let live show ``picture``."""
    from addon.blender.live import switch as live

    live._tell(picture)
    return picture
