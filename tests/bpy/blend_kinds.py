"""Small .blend files of many kinds, for tests. Imports no bpy of its own: it is given one."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class Maker:
    """Puts things into the scene of a file."""

    def __init__(self, bpy: Any, scene: Any, folder: Path) -> None:
        self.bpy, self.scene, self.folder = bpy, scene, folder

    def box(self, name: str, at: tuple[float, ...], size: tuple[float, ...] = (1, 1, 1), collection: Any = None) -> Any:
        corners = [
            (x * size[0] / 2, y * size[1] / 2, z * size[2] / 2) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)
        ]
        faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
        mesh = self.bpy.data.meshes.new(name)
        mesh.from_pydata(corners, [], faces)
        thing = self.bpy.data.objects.new(name, mesh)
        thing.location = at
        (collection or self.scene.collection).objects.link(thing)
        return thing

    def town(self, collection: Any = None) -> None:
        self.box("Keep", (0, 0, 1.5), (2, 2, 3), collection)
        self.box("Tower", (2.5, 1, 1), (1, 1, 2), collection)

    def camera(
        self, at: tuple[float, ...] = (8, -8, 5), to: tuple[float, ...] = (0, 0, 1), name: str = "Camera"
    ) -> Any:
        from mathutils import Vector

        camera = self.bpy.data.objects.new(name, self.bpy.data.cameras.new(name))
        camera.location = at
        camera.rotation_euler = (Vector(to) - Vector(at)).to_track_quat("-Z", "Y").to_euler()
        self.scene.collection.objects.link(camera)
        self.scene.camera = camera
        return camera

    def collection(self, name: str) -> Any:
        made = self.bpy.data.collections.new(name)
        self.scene.collection.children.link(made)
        return made


def parented(make: Maker) -> None:
    make.town()
    camera = make.camera()
    rig = make.bpy.data.objects.new("Rig", None)
    hidden = make.collection("Rig")
    hidden.objects.link(rig)
    rig.rotation_euler.z = 0.4
    camera.parent = rig
    make.bpy.context.view_layer.layer_collection.children["Rig"].exclude = True


def orthographic(make: Maker) -> None:
    make.town()
    lens = make.camera().data
    lens.type, lens.ortho_scale, lens.shift_x = "ORTHO", 9, 0.1


def shifted_portrait(make: Maker) -> None:
    make.town()
    make.camera().data.shift_x = 0.2
    make.scene.render.resolution_x, make.scene.render.resolution_y = 1080, 1920


def long_lens(make: Maker) -> None:
    make.town()
    lens = make.camera((800, -800, 500)).data
    lens.lens, lens.clip_end = 5000, 5000


def inside_a_room(make: Maker) -> None:
    make.box("Room", (0, 0, 1.5), (6, 4, 3))
    make.box("Table", (1, 0, 0.4), (1, 1, 0.8))
    make.camera((-2.5, -1, 1.6), (1, 0, 0.8)).data.lens = 24


def under_a_dome(make: Maker) -> None:
    make.town()
    make.bpy.ops.mesh.primitive_uv_sphere_add(radius=500)
    make.box("Ground", (0, 0, -0.1), (900, 900, 0.2))
    make.camera((12, -12, 4))


def hidden_collection(make: Maker) -> None:
    make.town(make.collection("Old"))
    make.bpy.context.view_layer.layer_collection.children["Old"].hide_viewport = True


def excluded(make: Maker) -> None:
    make.town(make.collection("Old"))
    make.bpy.context.view_layer.layer_collection.children["Old"].exclude = True


def disabled(make: Maker) -> None:
    make.box("Keep", (0, 0, 0)).hide_viewport = True


def wires(make: Maker) -> None:
    make.box("Keep", (0, 0, 0)).display_type = "WIRE"


def curve_of_wire(make: Maker) -> None:
    """Without bevel, extrusion and fill: drawn as an overlay."""
    curve = make.bpy.data.curves.new("Path", "CURVE")
    curve.dimensions = "3D"
    spline = curve.splines.new("POLY")
    spline.points.add(3)
    for number, point in enumerate(spline.points):
        point.co = (number * 20, number**2, 0, 1)
    make.scene.collection.objects.link(make.bpy.data.objects.new("Path", curve))


def types_off(make: Maker) -> None:
    make.town()
    for screen in make.bpy.data.screens:
        for area in screen.areas:
            for space in area.spaces:
                if space.type == "VIEW_3D":
                    space.show_object_viewport_mesh = False


def library(make: Maker) -> None:
    kit = make.collection("Kit")
    make.town(kit)
    path = str(make.folder / "kit.blend")
    make.bpy.data.libraries.write(path, {kit})
    for thing in list(make.scene.objects):
        make.bpy.data.objects.remove(thing)
    make.bpy.data.collections.remove(kit)
    with make.bpy.data.libraries.load(path, link=True) as (_, wanted):
        wanted.collections = ["Kit"]
    instancer = make.bpy.data.objects.new("Kit here", None)
    instancer.instance_type, instancer.instance_collection = "COLLECTION", make.bpy.data.collections["Kit"]
    make.scene.collection.objects.link(instancer)
