"""Tests in Blender's Python module: one process, one GPU context, an empty file for each test."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.blender.serving import SERVER, Server

ROOT = Path(__file__).resolve().parents[2]

_status = 0


def pytest_sessionfinish(exitstatus: int) -> None:
    """Remember how it went."""
    global _status
    _status = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Leave without Blender's own clean-up, which hangs or crashes after long runs."""
    if "bpy" in sys.modules:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_status)


@pytest.fixture(scope="session")
def blender() -> Any:
    """The bpy module, able to draw."""
    bpy = pytest.importorskip("bpy")
    from addon.blender.capture.offscreen import ensure_gpu

    bpy.ops.wm.read_factory_settings(use_empty=True)
    ensure_gpu()
    return bpy


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server with a small random model, made in a process of its own: torch stays out of Blender's."""
    folder = tmp_path_factory.mktemp("server")
    make = "import sys, pathlib; from tests.plain.checkpoints import make_sd15; make_sd15(pathlib.Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", make, str(folder / "model")], cwd=ROOT, check=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(
            "OMP_NUM_THREADS", "1"
        )  # so small a model gains nothing by more, and waits for them on a busy machine
        with Server(folder, (*SERVER, "--model", str(folder / "model"))) as running:
            yield running


@pytest.fixture
def scene(blender: Any) -> Iterator[Any]:
    """The scene of an empty file, with a camera at (0, -10, 0) that looks along +Y."""
    from addon.blender.capture import spaces

    blender.ops.wm.read_factory_settings(use_empty=True)
    scene = blender.context.scene
    camera = blender.data.objects.new("Camera", blender.data.cameras.new("Camera"))
    camera.location, camera.rotation_euler = (0, -10, 0), (1.5707963267948966, 0, 0)
    scene.collection.objects.link(camera)
    scene.camera = camera
    for _, space in spaces.view_spaces():
        space.shading.light, space.shading.color_type = "FLAT", "OBJECT"
    blender.context.view_layer.update()
    yield scene
    spaces.release()
