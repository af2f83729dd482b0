"""What is stuck to the scene as the memory of *Steady*: it is never forgotten, and does not drift. Imports bpy, numpy.

A picture that builds on the one before it changes a little each time. What a texture shows is the same from everywhere
and for ever, so where there is one, live keeps it, and makes anew only what is empty.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from ...geometry.trimap import MAKE, strength_of
from ..capture.draft import Draft
from ..capture.surfaces import depsgraph_edits
from ..capture.view import View
from ..stick.around import REACH
from ..stick.looking import Looker
from ..stick.materials import NOTE, is_stuck
from ..stick.meshes import triangles
from ..stick.projection import Projector, TooLarge
from ..stick.unwrap import Place


class Memory:
    """Keeps what it draws with until what is stuck, or where, has changed."""

    def __init__(self) -> None:
        self._projector = Projector(patient=False)
        self._looker: Looker | None = None
        self._of: Any = None

    def over(self, view: View, draft: Draft, steady: float) -> Draft | None:
        """``draft`` of ``view`` as the textures show it, with strength for each pixel; None where none is in sight.

        ``steady``: above 0, to 1: at 1, what a picture has shown stays as it is.
        """
        things = [thing for thing in view.view_layer.objects if is_stuck(thing)]
        if not things:
            self.free()
            return None
        looker = self._looker_of(things, view)
        height, width = draft.image.shape[:2]
        there = replace(view, view_matrix=Matrix(draft.view), projection_matrix=Matrix(draft.projection))
        try:
            seen = self._projector.see(there, width, height)
        except TooLarge:
            return None
        look = looker.look(seen, width, height)
        textured = look.stuck & (look.cosine > 0)
        if not textured.any():
            return None
        empty = np.where(look.stuck & ~textured, np.uint8(MAKE), np.uint8(0))
        strength = strength_of(empty, look.stuck, max(2, max(width, height) // REACH))
        strength = np.maximum(strength, np.uint8(round((1 - steady) * 255)))
        image = np.ascontiguousarray(np.where(look.stuck[..., None], look.colours, draft.image))
        return replace(draft, image=image, strength=strength)

    def free(self) -> None:
        """Give the GPU's memory back."""
        if self._looker is not None:
            self._looker.free()
            self._projector.free()
            self._looker = self._of = None

    def _looker_of(self, things: list[bpy.types.Object], view: View) -> Looker:
        depsgraph_edits.listen()
        of = depsgraph_edits.edits(), [(int(one.session_uid), int(one[NOTE]["image"].session_uid)) for one in things]
        if self._looker is None or of != self._of:
            places = []
            for thing in things:
                layer = thing[NOTE]["layer"]
                mesh = triangles(thing, view.view_layer.depsgraph, layer)
                if mesh is not None:
                    places.append(Place(thing, layer, thing[NOTE]["image"].name, 0, mesh))
            if self._looker is not None:
                self._looker.free()
            self._looker, self._of = Looker(places), of
        return self._looker
