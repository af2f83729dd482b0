"""Unwrapping: faces to charts, flat pieces that a picture can be laid on. numpy only.

Faces are sorted by the few directions that they look along, as smart projection does, and each connected piece of one
direction becomes a chart, seen straight along it. So no face is turned over, and lengths shrink to half at most.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST_COSINE = 0.6
"""Between a face and the direction that it is seen along."""
MOST_DIRECTIONS = 32


@dataclass(frozen=True, eq=False)
class Charts:
    """``of_face``: intp, F, the chart of each face. ``corners``: float64, L x 2, where each corner is in its chart.

    In the units of the mesh; each chart begins at 0, 0. ``sizes``: float64, C x 2, how far each reaches.
    """

    of_face: NDArray[np.intp]
    corners: NDArray[np.float64]
    sizes: NDArray[np.float64]


def unwrap(
    places: NDArray[np.float64],
    corner_face: NDArray[np.intp],
    corner_edge: NDArray[np.intp],
    normals: NDArray[np.float64],
    areas: NDArray[np.float64],
    apart: bool = False,
    kinds: NDArray[np.intp] | None = None,
) -> Charts:
    """The charts of a mesh.

    ``places``: L x 3, of each corner of a face. ``corner_face``, ``corner_edge``: L, the face that it is of and the
    edge to the next corner. ``normals``: F x 3, of length 1, or 0 for a face without area; ``areas``: F.
    ``apart``: each face is a chart of its own, where others would lie over each other. ``kinds``: F; faces of different
    kinds are never in one chart.
    """
    directions, looks = _directions(normals, areas)
    pieces = np.arange(len(normals)) if apart else _pieces(corner_face, corner_edge, looks, kinds)
    across = _frames(np.stack(directions))[looks[corner_face]]
    flat = np.einsum("lij,lj->li", across, places)
    count = int(pieces.max()) + 1 if len(pieces) else 0
    chart = pieces[corner_face]
    flat = _turned(flat, chart, corner_face, count)
    low, high = np.full((count, 2), np.inf), np.full((count, 2), -np.inf)
    np.minimum.at(low, chart, flat)
    np.maximum.at(high, chart, flat)
    return Charts(pieces, flat - low[chart], high - low)


def _directions(
    normals: NDArray[np.float64], areas: NDArray[np.float64]
) -> tuple[list[NDArray[np.float64]], NDArray[np.intp]]:
    """The directions, each of length 1, and which of them each face looks along."""
    directions: list[NDArray[np.float64]] = []
    left = np.linalg.norm(normals, axis=1) > 0.5
    while left.any() and len(directions) < MOST_DIRECTIONS:
        first = normals[np.flatnonzero(left)[np.argmax(areas[left])]]
        near = left & (normals @ first > LEAST_COSINE)
        mean = (normals[near] * areas[near, None]).sum(0)
        length = np.linalg.norm(mean)
        direction = mean / length if length > 0 and (normals[near] @ (mean / length)).min() > LEAST_COSINE else first
        directions.append(direction)
        left &= normals @ direction <= LEAST_COSINE
    if not directions:
        directions.append(np.array([0.0, 0.0, 1.0]))
    return directions, np.argmax(normals @ np.stack(directions).T, axis=1)


def _pieces(
    corner_face: NDArray[np.intp],
    corner_edge: NDArray[np.intp],
    looks: NDArray[np.intp],
    kinds: NDArray[np.intp] | None,
) -> NDArray[np.intp]:
    """A number for each face, from 0, that those share which edges join and which look along the same direction."""
    if kinds is not None:
        looks = looks + (int(looks.max(initial=0)) + 1) * kinds
    order = np.argsort(corner_edge, kind="stable")
    face, edge = corner_face[order], corner_edge[order]
    joined = (edge[1:] == edge[:-1]) & (looks[face[1:]] == looks[face[:-1]])
    return connected(face[1:][joined], face[:-1][joined], len(looks))


def connected(first: NDArray[np.intp], second: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """Which of ``count`` things hang together by the pairs ``first``, ``second``: a number for each, from 0."""
    label = np.arange(count)
    while True:
        least = np.minimum(label[first], label[second])
        new = label.copy()
        np.minimum.at(new, label[first], least)
        np.minimum.at(new, label[second], least)
        new = new[new]  # jump over what has been joined: few rounds, also along a row of faces
        if np.array_equal(new, label):
            return np.unique(label, return_inverse=True)[1].reshape(-1)
        label = new


def _frames(directions: NDArray[np.float64]) -> NDArray[np.float64]:
    """D x 2 x 3: right and up as seen from where each of ``directions``, D x 3, points; up is the world's as far as
    that can be.
    """
    upright = np.abs(directions[:, 2:]) < 0.9
    right = np.cross(np.where(upright, (0.0, 0.0, 1.0), (0.0, 1.0, 0.0)), directions)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    return np.stack([right, np.cross(directions, right)], 1)


def _turned(
    flat: NDArray[np.float64], chart: NDArray[np.intp], corner_face: NDArray[np.intp], count: int
) -> NDArray[np.float64]:
    """Each chart turned so that its longest edge is level, which makes boxes of slanted things smaller."""
    if not len(flat):
        return flat
    last = np.append(corner_face[1:] != corner_face[:-1], True)
    starts = np.append(0, np.flatnonzero(last)[:-1] + 1)
    following = np.arange(1, len(flat) + 1)
    following[last] = starts
    step = flat[following] - flat
    length = (step**2).sum(1)
    order = np.lexsort((length, chart))
    longest = order[np.append(np.flatnonzero(np.diff(chart[order])), len(order) - 1)]
    way = np.zeros((count, 2))
    way[chart[longest]] = step[longest]
    size = np.linalg.norm(way, axis=1)
    way = np.where(size[:, None] > 0, way / np.maximum(size, 1e-30)[:, None], (1.0, 0.0))
    cos, sin = way[chart, 0], way[chart, 1]
    return np.stack([flat[:, 0] * cos + flat[:, 1] * sin, flat[:, 1] * cos - flat[:, 0] * sin], 1)
