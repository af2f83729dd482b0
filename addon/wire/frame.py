"""A frame: the planes of one view and the camera that saw them. Standard library and numpy only, no I/O.

Planes run from the top row down. Matrices are row-major, as ``mathutils.Matrix`` prints them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checks import check_array, check_image, check_matrix, check_number, check_whole, show
from .errors import ProtocolError
from .greeting import MAX_SIDE
from .planes import PIXEL_PLANES, PLANES

MAX_ID = 2**53 - 1
IDENTITY = tuple(tuple(1.0 if row == column else 0.0 for column in range(4)) for row in range(4))
OBJECT = np.dtype(PLANES["objects"].dtype)

Matrix = tuple[tuple[float, ...], ...]
Objects = NDArray[np.void]
"""Rows of ``id`` (uint16) and ``world`` (float32, 4 x 4); each unpacks as the two."""


def _no_objects() -> Objects:
    return np.empty(0, OBJECT)


@dataclass(frozen=True, eq=False)
class Frame:
    """What the viewport showed. All planes but ``image`` may be left out; they have its height and width.

    ``image``: uint8, H x W x 3, sRGB as displayed.
    ``inverse_depth``: uint16, H x W. ``65535 * near / distance``, distance being measured along the view axis: the
    nearest surface is 65535, the background 0. ``near``: that nearest distance in scene units.
    ``view``, ``projection``: Blender's ``view_matrix`` (world to view) and ``window_matrix`` (view to clip).
    ``captured``: the client's own clock in seconds; the server only hands it back.
    ``ids``: uint16, H x W: which part a pixel belongs to, 0 for none.
    ``strength``: uint8, H x W: how much of a pixel may change, from 0, nothing, to 255, all of it.
    ``normals``: uint8, H x W x 3: ``round(127.5 * (normal + 1))`` in view space; 0, 0, 0 for the background.
    ``objects``: where the things are that ``ids`` tells apart: pairs of an id and a matrix to the world, each id once.
    They are kept as an array with the fields ``id`` and ``world``.
    """

    id: int
    image: NDArray[np.uint8]
    inverse_depth: NDArray[np.uint16] | None = None
    near: float = 1.0
    view: Matrix = IDENTITY
    projection: Matrix = IDENTITY
    captured: float = 0.0
    ids: NDArray[np.uint16] | None = None
    strength: NDArray[np.uint8] | None = None
    normals: NDArray[np.uint8] | None = None
    objects: Objects = field(default_factory=_no_objects)

    def __post_init__(self) -> None:
        check_whole("frame id", self.id, 0, MAX_ID)
        check_image("image", self.image, MAX_SIDE)
        height, width = self.image.shape[:2]
        for name in PIXEL_PLANES:
            plane, value = PLANES[name], getattr(self, name)
            if value is not None:
                check_array(name, value, plane.dtype, plane.shape(height, width))
        check_number("near", self.near, 1e-9, 1e12)
        object.__setattr__(self, "view", check_matrix("view", self.view))
        object.__setattr__(self, "projection", check_matrix("projection", self.projection))
        check_number("captured", self.captured, -1e15, 1e15)
        object.__setattr__(self, "objects", _as_objects(self.objects))
        if len(self.objects) and self.ids is None:
            raise ProtocolError("objects are given, but no ids: send the plane ids, or leave objects out")

    @property
    def planes(self) -> dict[str, NDArray[Any]]:
        """The planes that are there, by name, in the table's order."""
        found = {name: getattr(self, name) for name in PLANES}
        return {name: plane for name, plane in found.items() if plane is not None and len(plane)}


def _as_objects(given: Objects | Iterable[tuple[int, Any]]) -> Objects:
    """``given``, an array of objects or pairs of an id and a matrix, as an array; raises ProtocolError."""
    if isinstance(given, np.ndarray) and given.dtype == OBJECT and given.ndim == 1:
        objects = given
    else:
        try:
            objects = np.array([(id, [tuple(row) for row in world]) for id, world in given], OBJECT)
        except (TypeError, ValueError, OverflowError):
            raise ProtocolError(
                f"objects is {show(given)}, but must be pairs of an id from 1 to 65535 and 4 rows of 4 numbers"
            ) from None
    check_whole("number of objects", len(objects), 0, PLANES["objects"].rows)
    if not len(objects):
        return objects
    if objects["id"].min() < 1 or len(np.unique(objects["id"])) < len(objects):
        raise ProtocolError("objects has an id that is 0 or there twice, but each must be from 1 to 65535, once")
    if not np.isfinite(objects["world"]).all():
        odd = int(objects["id"][~np.isfinite(objects["world"]).all((1, 2))][0])
        raise ProtocolError(f"the matrix of object {odd} holds a number that is not finite")
    return objects
