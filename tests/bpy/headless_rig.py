"""``python -m addon`` as a process of its own, and what it is given in tests. No bpy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.plain.checkpoints import make_sd15

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 300.0
"""How long a run may take, in seconds: for a machine that is busy, not a claim about speed."""
SIZE = 64
BUILD = """
import os, sys, bpy
bpy.ops.wm.read_factory_settings(use_empty=True)
scene = bpy.context.scene
def box(name, x, colour):
    bpy.ops.mesh.primitive_cube_add(location=(x, 0, 1))
    bpy.context.object.name = name
    material = bpy.data.materials.new(name)
    material.diffuse_color = (*colour, 1)
    bpy.context.object.data.materials.append(material)
kind, path = sys.argv[1:]
if kind != "empty":
    box("red", -2, (1, 0, 0)); box("blue", 2, (0, 0, 1))
if kind == "camera":
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    scene.collection.objects.link(camera)
    scene.camera = camera
    camera.rotation_euler = (1.5708, 0, 0)
    for frame, y in ((1, -10), (3, -20)):
        camera.location = (0, y, 1)
        camera.keyframe_insert("location", frame=frame)
if kind == "empty":
    scene.collection.objects.link(bpy.data.objects.new("nothing to see", bpy.data.meshes.new("no vertices")))
bpy.ops.wm.save_as_mainfile(filepath=path)
sys.stdout.flush()
os._exit(0)
"""


def make_files(folder: Path, *kinds: str) -> Path:
    """Put the .blend files of ``kinds`` and the checkpoint of the tests into ``folder``."""
    (folder / "build.py").write_text(BUILD)
    for kind in kinds:
        command = [sys.executable, str(folder / "build.py"), kind, str(folder / f"{kind}.blend")]
        subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
    make_sd15(folder / "model", lora="diffusers")
    return folder


def start(*arguments: object, cwd: Path = ROOT) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "addon", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(*arguments: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    process = start(*arguments, cwd=cwd)
    out, err = process.communicate(timeout=PATIENCE)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)
