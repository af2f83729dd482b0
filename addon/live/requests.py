"""One request from a draft and a style: for Blender, the command line, the benchmark and the tests. No bpy, no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..wire import PLANES, Frame, Region, Request, Style
from ..wire.frame import IDENTITY, Matrix


class Draft(Protocol):
    """What was captured: an image, the camera that saw it, and any other plane of the table by its name."""

    @property
    def image(self) -> NDArray[np.uint8]: ...
    @property
    def near(self) -> float: ...
    @property
    def view(self) -> Any: ...
    @property
    def projection(self) -> Any: ...


@dataclass(frozen=True, eq=False)
class PlainDraft:
    """A draft that was not captured in Blender; see :class:`~addon.wire.Frame`."""

    image: NDArray[np.uint8]
    inverse_depth: NDArray[np.uint16] | None = None
    near: float = 1.0
    view: Matrix = IDENTITY
    projection: Matrix = IDENTITY


def planes_read(style: Style, regions: Sequence[Region] = ()) -> frozenset[str]:
    """The planes that a request with this style and these regions makes use of, if its draft has them."""
    planes = {"image", "strength"} | {control.plane for control in style.controls if control.weight > 0}
    if regions:
        planes.add("ids")
    if style.steady > 0:  # where each pixel is in space, and what moves by itself
        planes |= {"inverse_depth", "ids", "objects"}
    return frozenset(planes)


def build_request(
    number: int,
    draft: Draft,
    style: Style,
    *,
    settle_steps: int | None = None,
    captured: float = 0.0,
    after: int | None = None,
    regions: Sequence[Region] = (),
    panorama: bool = False,
) -> Request:
    """The request ``number`` for a picture of ``draft``. Raises ProtocolError where the values make none.

    Planes that nothing reads are left out. ``settle_steps``: given for the frame of a view at rest, which gets so
    many steps if its style has fewer. ``captured``: seconds by the caller's clock. ``after``: the picture that this one
    builds on; without a steady style it builds on none.
    """
    read = planes_read(style, regions)
    planes = {name: getattr(draft, name, None) for name in PLANES if name in read}
    if planes.get("ids") is None:  # nothing tells the objects apart
        planes.pop("objects", None)
    given: dict[str, Any] = {name: plane for name, plane in planes.items() if plane is not None}
    frame = Frame(number, near=draft.near, view=draft.view, projection=draft.projection, captured=captured, **given)
    if settle_steps is not None:
        style = replace(style, steps=max(style.steps, settle_steps))
    return Request(
        frame,
        style,
        settle=settle_steps is not None,
        after=after if style.steady > 0 else None,
        regions=tuple(regions),
        panorama=panorama,
    )
