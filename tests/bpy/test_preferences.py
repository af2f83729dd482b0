"""What the preferences say of a server on this machine, on a real server that live starts."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.bpy.test_live import addon, beat_until  # noqa: F401


def test_the_users_folder_and_the_time_after_which_memory_is_given_back(
    addon: Any,  # noqa: F811
    scene: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import bpy

    from addon.wire import ListModels

    chosen = SimpleNamespace(server_url="", token="", token_file="", server_python=sys.executable)
    chosen.models_dir, chosen.idle_minutes = str(tmp_path), 1 / 60
    monkeypatch.setattr(addon, "preferences", lambda: chosen)
    next(area for area in bpy.context.window.screen.areas if area.type == "OUTLINER").type = "IMAGE_EDITOR"
    scene.draftglass.settle = False
    addon.start(bpy.context)
    shown = beat_until(addon, lambda stats: stats["pictures_shown"] > 0, 600)["pictures_shown"]
    beat_until(addon, lambda stats: "was released after 1 seconds" in addon.sentence())
    loop = addon.loop()
    loop.tell(ListModels())
    beat_until(addon, lambda stats: loop.models is not None)
    assert loop.models.folder == str(tmp_path)

    scene.draftglass.prompt = "another"
    beat_until(addon, lambda stats: stats["pictures_shown"] > shown)
