"""The planes of a draft as a file, for compositing and for checking our figures. numpy only; no bpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .run import TimedDraft


def planes_of(draft: TimedDraft) -> dict[str, NDArray[Any]]:
    """The arrays by name, all as in ``wire.Frame``.

    ``inverse_depth`` (uint16, H x W), ``near``, ``view`` and ``projection`` (4 x 4, row-major, float64); where drawn,
    ``ids`` (uint16, H x W), ``object_ids`` and ``object_matrices`` (where each thing is in the world: N, N x 4 x 4),
    and ``normals`` (uint8, H x W x 3).
    """
    planes: dict[str, NDArray[Any]] = {
        "near": np.array(draft.near, np.float64),
        "view": np.array(draft.view, np.float64),
        "projection": np.array(draft.projection, np.float64),
    }
    if draft.inverse_depth is not None:
        planes["inverse_depth"] = draft.inverse_depth
    if draft.ids is not None:
        planes["ids"] = draft.ids
        planes["object_ids"], planes["object_matrices"] = draft.objects["id"], draft.objects["world"]
    if draft.normals is not None:
        planes["normals"] = draft.normals
    return planes


def write_planes(path: Path, draft: TimedDraft) -> None:
    """Write ``path``, an .npz file for ``numpy.load``. Raises OSError."""
    np.savez_compressed(path, **planes_of(draft))
