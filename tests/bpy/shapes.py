"""Solids for the tests in Blender's module. Imports bpy inside functions only."""

from __future__ import annotations

from typing import Any

RED, GREEN = (1.0, 0.0, 0.0, 1.0), (0.0, 1.0, 0.0, 1.0)


def cube(scene: Any, at: tuple[float, float, float], colour: tuple[float, ...] = RED, size: float = 1.0) -> Any:
    """A cube in ``scene``; its colour is that of the object."""
    import bmesh
    import bpy

    mesh = bpy.data.meshes.new("Cube")
    shape = bmesh.new()
    bmesh.ops.create_cube(shape, size=size)
    shape.to_mesh(mesh)
    shape.free()
    return _add(scene, mesh, at, colour)


def ball(scene: Any, at: tuple[float, float, float], colour: tuple[float, ...] = RED, radius: float = 1.0) -> Any:
    """A fine sphere."""
    import bmesh
    import bpy

    mesh = bpy.data.meshes.new("Ball")
    shape = bmesh.new()
    bmesh.ops.create_uvsphere(shape, u_segments=64, v_segments=32, radius=radius)
    shape.to_mesh(mesh)
    shape.free()
    return _add(scene, mesh, at, colour)


def _add(scene: Any, mesh: Any, at: tuple[float, float, float], colour: tuple[float, ...]) -> Any:
    import bpy

    thing = bpy.data.objects.new(mesh.name, mesh)
    thing.location, thing.color = at, colour
    scene.collection.objects.link(thing)
    bpy.context.view_layer.update()
    return thing
