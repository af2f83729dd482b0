"""Whether Blender has drawn what came or went, so that it may be drawn off the screen. Imports bpy.

Blender 5.2 crashes at times where an image that a script has just put in another's place is drawn off the screen
before it was drawn on it. What a person does is on the screen by the next heartbeat; what a script does need not be.
"""

from __future__ import annotations

from typing import Any

import bpy

from ..capture import changes
from ..capture.viewports import Viewport

KINDS = ("images", "materials", "node_groups", "textures")
"""The collections of ``bpy.data`` that are looked at: what shading is made from."""


class Redrawn:
    """Compares what there is after each edit. One instance while live runs."""

    def __init__(self) -> None:
        self._edits, self._there = changes.edits(), _there()
        self._waiting = self._drawn = False
        self._region = 0
        """Address of the region that is waited for."""
        self._handler: Any = bpy.types.SpaceView3D.draw_handler_add(self._note, (), "WINDOW", "POST_PIXEL")

    def safe(self, viewport: Viewport) -> bool:
        """Whether ``viewport`` may be drawn off the screen now; where not, Blender is asked to draw it.

        It may after each wait: a script that makes materials all the time keeps nobody from a picture.
        """
        if self._drawn:
            self._drawn = False
            return True
        if self._edits != changes.edits():
            self._edits, before, self._there = changes.edits(), self._there, _there()
            if self._there != before:
                self._waiting, self._region = True, 0
        region = viewport.region.as_pointer()
        if self._waiting and self._region != region:
            self._region = region
            viewport.region.tag_redraw()
        return not self._waiting

    def drawn(self, region: int) -> None:
        """The region at this address was drawn by Blender."""
        if self._waiting and region == self._region:
            self._waiting, self._drawn = False, True

    def close(self) -> None:
        """Listen no more."""
        if self._handler is not None:
            bpy.types.SpaceView3D.draw_handler_remove(self._handler, "WINDOW")
            self._handler = None

    def _note(self) -> None:
        self.drawn(bpy.context.region.as_pointer())


def _there() -> frozenset[tuple[int, int]]:
    """Number and address of each: a new one may lie where another has been."""
    data = bpy.data
    return frozenset(
        (block.session_uid, block.as_pointer()) for kind in KINDS for block in getattr(data, kind) if block.users
    )
