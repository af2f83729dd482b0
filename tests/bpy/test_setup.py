"""The server set up for real in Blender's module: from pip's configured index, with the zip's own lists; then live."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from addon.problems.setup import OnlineAccessOff, ServerCrashed
from tests.blender.wheels import make_index, make_wheel


@pytest.fixture
def addon(scene: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The add-on registered, with a user folder and preferences of its own."""
    import bpy

    from addon.blender import registration
    from addon.blender.live import switch as live
    from addon.blender.server import process, setup

    chosen = SimpleNamespace(
        server_url="", token="", token_file="", server_python="", build="pip", pip_options="", requirements=""
    )
    home = tmp_path / "user folder"  # with a space, as on Windows
    home.mkdir()
    for module in (live, process):
        monkeypatch.setattr(module, "preferences", lambda: chosen)
    for module in (process, setup):
        monkeypatch.setattr(module, "user_folder", lambda: home)
    was = bpy.context.preferences.system.use_online_access
    bpy.context.preferences.system.use_online_access = True
    registration.register()
    scene.draftglass.size, scene.draftglass.settle_steps, scene.draftglass.settle_size = 128, 2, 0
    yield SimpleNamespace(live=live, setup=setup, process=process, chosen=chosen, home=home)
    registration.unregister()
    setup.manager.__init__()
    bpy.context.preferences.system.use_online_access = was


def beat_until(reached: Callable[[], object], beat: Callable[[], object], seconds: float) -> None:
    """Blender's timers don't fire in its module: the test is the timer."""
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end
        beat()
        time.sleep(0.02)


def test_states_and_questions(addon: Any, tmp_path: Path) -> None:
    import bpy

    manager = addon.setup.manager
    index = make_index(tmp_path / "index", [make_wheel(tmp_path, "small-one", files=30)])
    (tmp_path / "list.txt").write_text("small-one\n")
    addon.chosen.requirements, addon.chosen.pip_options = str(tmp_path / "list.txt"), f"--index-url {index}"
    assert addon.setup.is_needed()
    with pytest.raises(Exception, match="The server is not set up on this machine"):
        addon.live.start(bpy.context)

    bpy.context.preferences.system.use_online_access = False
    with pytest.raises(RuntimeError, match="online access is off"):
        bpy.ops.draftglass.set_up()
    assert manager.problem == OnlineAccessOff() and manager.phase == "idle"
    bpy.ops.draftglass.allow_online()
    assert manager.problem is None

    addon.chosen.build = "auto"
    bpy.ops.draftglass.set_up()
    assert manager.phase == "checking"
    beat_until(lambda: manager.phase == "asking", manager.beat, 120)
    assert manager.choice.build.download > 1e8
    bpy.ops.draftglass.cancel_set_up()
    assert manager.phase == "idle" and not (addon.home / "server").exists()

    addon.chosen.build = "pip"
    addon.chosen.pip_options = "--find-links 'left open"
    with pytest.raises(RuntimeError, match="no closing quotation"):
        bpy.ops.draftglass.set_up(agreed=True)
    addon.chosen.pip_options = f"--index-url {index}"
    bpy.ops.draftglass.set_up(agreed=True)
    beat_until(lambda: manager.phase == "idle", manager.beat, 120)
    assert manager.problem is None and not addon.setup.is_needed()
    bpy.ops.draftglass.remove_set_up()
    assert addon.setup.is_needed() and addon.process.environment().state == "absent"


def test_disabled_in_mid_set_up_and_enabled_again(addon: Any, tmp_path: Path) -> None:
    import bpy

    from addon.blender import registration

    manager = addon.setup.manager
    index = make_index(tmp_path / "index", [make_wheel(tmp_path, "small-one", files=30)])
    (tmp_path / "list.txt").write_text("small-one\n")
    addon.chosen.requirements, addon.chosen.pip_options = str(tmp_path / "list.txt"), f"--index-url {index}"
    bpy.ops.draftglass.set_up(agreed=True)
    assert manager.phase == "running"
    under_way = manager.run
    registration.unregister()
    registration.register()
    assert manager.phase == "idle"
    beat_until(lambda: not under_way.is_under_way, under_way.poll, 60)
    assert under_way.state == "cancelled" and addon.setup.is_needed()
    bpy.ops.draftglass.set_up(agreed=True)
    beat_until(lambda: manager.phase == "idle", manager.beat, 120)
    assert manager.problem is None and not addon.setup.is_needed()


@pytest.mark.slow
def test_from_nothing_to_a_picture(addon: Any) -> None:
    """About a gigabyte, some minutes."""
    import bpy

    manager = addon.setup.manager
    began = time.monotonic()
    bpy.ops.draftglass.set_up()
    assert manager.phase == "asking"
    bpy.ops.draftglass.set_up(agreed=True)
    lines: list[str] = []
    fractions: list[float] = []

    def beat() -> None:
        manager.beat()
        fractions.append(manager.run.fraction)
        if manager.run.line not in lines:
            lines.append(manager.run.line)

    beat_until(lambda: manager.phase == "idle", beat, 3600)
    took = time.monotonic() - began
    assert manager.problem is None, manager.problem
    assert fractions == sorted(fractions)
    found = addon.process.environment()
    assert found.state == "complete" and found.about["found"].startswith("PyTorch 2."), found.about
    print(f"set up in {took:.0f} s; {found.about}")
    frozen = subprocess.run(
        [found.python, "-m", "pip", "list", "--format=freeze"], capture_output=True, text=True, check=True
    ).stdout
    pinned = (Path(__file__).parents[2] / "server" / "requirements.txt").read_text()
    for name in ("diffusers", "transformers", "fastapi", "uvicorn", "websockets"):
        line = next(line for line in pinned.splitlines() if line.startswith(name + "=="))
        assert line in frozen.splitlines()

    # An editor is there already: nothing lays the screen out after a split, where there is no window.
    next(area for area in bpy.context.window.screen.areas if area.type == "OUTLINER").type = "IMAGE_EDITOR"
    addon.live.start(bpy.context)
    assert addon.live.state() == "starting"
    states: list[str] = []

    def live() -> None:
        addon.live.tick()
        if addon.live.state() not in states:
            states.append(addon.live.state())

    beat_until(lambda: addon.live.stats()["pictures_shown"], live, 600)
    assert states[-1] == "live" and "loading" in states, states
    # It crashes; it comes back by itself, and so do the pictures.
    first = addon.live.process().pid
    os.kill(first, signal.SIGKILL)
    beat_until(lambda: addon.live.process().problem is not None, live, 120)
    assert isinstance(addon.live.problem(), ServerCrashed)
    shown = addon.live.stats()["pictures_shown"]
    bpy.context.scene.draftglass.prompt = "a castle of glass"  # a view whose picture is there is not sent again
    beat_until(lambda: addon.live.stats()["pictures_shown"] > shown, live, 600)
    assert addon.live.process().pid != first
    addon.live.stop()
