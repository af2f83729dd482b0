"""Cameras, sky and light, the viewport draft with its depth, and pictures on disk. bpy only here and beside."""

from __future__ import annotations

import math
import random
from typing import Any

import bpy
import gpu
import numpy as np
from mathutils import Vector
from numpy.typing import NDArray

from tools.training.render.materials import jitter
from tools.training.render.places import Stand

SIZE = 256  # pixels a side; the second generation's pictures are 512
KINDS = ("building", "roof", "ground", "trunk", "leaves", "rock")
SKIES = {  # zenith and horizon in linear RGB, ambient strength, sun colour, sun energy, sun elevation in degrees
    "noon": ((0.16, 0.36, 0.80), (0.62, 0.78, 0.95), 1.0, (1, 0.96, 0.88), 3.4, (45, 75)),
    "sunset": ((0.16, 0.16, 0.42), (1.0, 0.45, 0.16), 0.9, (1, 0.48, 0.18), 3.2, (8, 18)),
    "overcast": ((0.52, 0.56, 0.60), (0.70, 0.72, 0.74), 1.1, (0.9, 0.95, 1), 0.6, (40, 70)),
    "night": ((0.006, 0.012, 0.045), (0.035, 0.06, 0.15), 1.3, (0.4, 0.55, 1), 0.6, (30, 60)),
    "fog": ((0.62, 0.65, 0.68), (0.72, 0.74, 0.76), 1.0, (1, 0.98, 0.95), 0.7, (30, 60)),
    "dawn": ((0.34, 0.42, 0.72), (1.0, 0.70, 0.74), 0.9, (1, 0.72, 0.62), 2.2, (12, 25)),
    "dusk": ((0.05, 0.08, 0.24), (0.42, 0.26, 0.34), 0.7, (0.75, 0.62, 1), 0.5, (6, 15)),
}


def set_sky(scene: bpy.types.Scene, kind: str, rng: random.Random) -> bpy.types.Object:
    """Give the scene a sky of that kind and a sun, which is returned."""
    zenith, horizon, strength, sun_color, energy, (low, high) = SKIES[kind]
    world = bpy.data.worlds.new(kind)
    scene.world = world
    world.use_nodes = True
    nodes, links = world.node_tree.nodes, world.node_tree.links
    background = nodes["Background"]
    background.inputs[1].default_value = strength
    coords, axes, ramp = (nodes.new("ShaderNode" + name) for name in ("TexCoord", "SeparateXYZ", "ValToRGB"))
    links.new(coords.outputs["Generated"], axes.inputs[0])
    links.new(axes.outputs[2], ramp.inputs[0])
    stops = ramp.color_ramp.elements
    stops[0].color, stops[1].color = jitter(horizon, rng, 0.06), jitter(zenith, rng, 0.06)
    stops[1].position = 0.45
    links.new(ramp.outputs[0], background.inputs[0])
    light = bpy.data.lights.new("sun", "SUN")
    light.color, light.energy = sun_color, energy
    light.angle = 0.02 if kind in ("noon", "sunset", "dawn") else 0.5
    sun = bpy.data.objects.new("sun", light)
    scene.collection.objects.link(sun)
    sun.rotation_euler = (math.radians(90 - rng.uniform(low, high)), 0, rng.uniform(0, 2 * math.pi))
    return sun


def place_camera(scene: bpy.types.Scene, rng: random.Random) -> bpy.types.Object:
    """Add a camera, 5 to 13 units away, that looks at the middle of the blockout."""
    data = bpy.data.cameras.new("camera")
    camera = bpy.data.objects.new("camera", data)
    scene.collection.objects.link(camera)
    scene.camera = camera
    distance, azimuth = rng.uniform(5, 13), rng.uniform(0, 2 * math.pi)
    elevation = rng.choice([rng.uniform(0.06, 0.4), rng.uniform(0.2, 0.9)])
    flat = math.cos(elevation)
    eye = Vector((math.cos(azimuth) * flat, math.sin(azimuth) * flat, math.sin(elevation))) * distance
    eye.z = max(eye.z + 0.5, 0.8)
    target = Vector((rng.uniform(-1.5, 1.5), rng.uniform(-1.5, 1.5), rng.uniform(0.4, 2)))
    camera.location, camera.rotation_euler = eye, (target - eye).to_track_quat("-Z", "Y").to_euler()
    data.lens, data.clip_start, data.clip_end = rng.uniform(26, 50), 0.1, 200
    bpy.context.view_layer.update()
    return camera


def stand_camera(scene: bpy.types.Scene, stand: Stand) -> bpy.types.Object:
    """Add a camera where ``stand`` says, and return it."""
    data = bpy.data.cameras.new("camera")
    camera = bpy.data.objects.new("camera", data)
    scene.collection.objects.link(camera)
    scene.camera = camera
    camera.location = stand.eye
    camera.rotation_euler = (Vector(stand.target) - Vector(stand.eye)).to_track_quat("-Z", "Y").to_euler()
    data.lens, data.clip_start, data.clip_end = stand.lens, 0.1, 200
    if stand.across:
        data.type, data.ortho_scale = "ORTHO", stand.across
    bpy.context.view_layer.update()
    return camera


class Viewport:
    """The default 3D View, drawn offscreen as the add-on draws it."""

    def __init__(self, scene: bpy.types.Scene, size: int = SIZE) -> None:
        self.scene, self.size = scene, size
        scene.render.engine = "BLENDER_WORKBENCH"
        scene.render.resolution_x = scene.render.resolution_y = 16
        bpy.ops.render.render()  # creates the GPU context when there is no window
        area = next(a for a in bpy.context.window_manager.windows[0].screen.areas if a.type == "VIEW_3D")
        self.space = area.spaces.active
        self.region = next(r for r in area.regions if r.type == "WINDOW")
        self.space.overlay.show_overlays = False
        self.target = gpu.types.GPUOffScreen(size, size)

    def draw(self, camera: bpy.types.Object) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the draft, uint8 (H, W, 3), and the distance along the view axis, (H, W), infinite for the sky."""
        view, size = camera.matrix_world.inverted(), self.size
        projection = camera.calc_matrix_camera(bpy.context.evaluated_depsgraph_get(), x=size, y=size)
        self.target.draw_view3d(
            self.scene, bpy.context.view_layer, self.space, self.region, view, projection, do_color_management=True
        )
        pixels = self.target.texture_color.read()
        pixels.dimensions = size * size * 4
        color = np.array(pixels, dtype=np.uint8).reshape(size, size, 4)[::-1, :, :3]
        with self.target.bind():
            raw = gpu.state.active_framebuffer_get().read_depth(0, 0, size, size)
        raw.dimensions = size * size
        z = np.array(raw, dtype=np.float64).reshape(size, size)[::-1]
        p = np.array(projection)
        clip = z * 2 - 1
        flat = p[3][3] == 1  # no perspective: the depth buffer is linear
        distance = (p[2][3] - clip) / p[2][2] if flat else p[2][3] / (clip + p[2][2])
        return color, np.where(z >= 1, np.inf, distance)

    def dress(self, objects: list[bpy.types.Object], rng: random.Random) -> None:
        """Set the viewport's shading and the objects' viewport colours, as different artists have them."""
        shading = self.space.shading
        shading.light = rng.choice(["STUDIO"] * 7 + ["FLAT"])
        shading.show_cavity = rng.random() < 0.3
        shading.show_shadows = rng.random() < 0.3
        shading.show_object_outline = rng.random() < 0.15
        shading.background_type = "VIEWPORT"
        grey = rng.uniform(0.05, 0.5)
        blue = (rng.uniform(0.1, 0.5), rng.uniform(0.3, 0.7), rng.uniform(0.5, 0.9))
        shading.background_color = (grey,) * 3 if rng.random() < 0.7 else blue
        if rng.random() < 0.5:
            shading.color_type = "SINGLE"
            shading.single_color = (rng.uniform(0.4, 0.85),) * 3
            return
        shading.color_type = "OBJECT"
        palette = {kind: [rng.uniform(0.1, 0.85) for _ in range(3)] for kind in KINDS}
        for obj in objects:
            one = palette[obj["kind"]] if rng.random() < 0.8 else [rng.uniform(0.1, 0.85) for _ in range(3)]
            obj.color = (*one, 1)
