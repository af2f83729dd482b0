"""A view of a scene, as it is to be drawn. Imports bpy, mathutils."""

from __future__ import annotations

from dataclasses import dataclass

import bpy
from mathutils import Matrix


@dataclass(frozen=True)
class View:
    """What to draw: a scene seen through a projection, with the looks of ``space``.

    Matrices as Blender names them: ``view_matrix`` world to view, ``projection_matrix`` view to clip space
    (``RegionView3D.window_matrix``).
    References into Blender's data: use at once, never keep over an undo or a file load.
    """

    scene: bpy.types.Scene
    view_layer: bpy.types.ViewLayer
    space: bpy.types.SpaceView3D
    region: bpy.types.Region
    view_matrix: Matrix
    projection_matrix: Matrix
