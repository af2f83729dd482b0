"""Models and LoRAs in the panel, with the server of the checkout: its list, a choice, weights, refusals, errors."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.blender.live_session import EXTENSION, Live
from tests.blender.places import ROOT
from tests.blender.serving import SERVER, Server
from tests.blender.sidebar import Sidebar, unfold
from tests.blender.window import InBlender, Window

EMBEDDED = ROOT / "server" / "models" / "embedded"
BEGIN = f"""
models = importlib.import_module("{EXTENSION}.addon.blender.live.models")
import zlib
def checksum():
    return zlib.crc32(live.picture().image)
"""


pytestmark = pytest.mark.slow


@pytest.fixture
def live(window: Window, shots: Path, tmp_path: Path) -> Iterator[Live]:
    """Live with the embedded model, and a folder of the user's own: a model, a LoRA, and a file that is neither."""
    own = tmp_path / "models"
    shutil.copytree(EMBEDDED, own / "checkpoints" / "mine")
    (own / "checkpoints" / "broken.safetensors").write_bytes(b"these are no weights")
    (own / "loras").mkdir()
    shutil.copy(EMBEDDED / "lcm-lora.safetensors", own / "loras" / "more-of-it.safetensors")
    with Server(tmp_path, (*SERVER, "--models-dir", str(own))) as server:
        found = Live(window, shots)
        window.run(BEGIN)
        unfold(window, "DRAFTGLASS_PT_models_view3d")
        found.connect_to(server)
        window.run("bpy.ops.draftglass.start()")
        found.wait_for("the first picture", lambda stats: stats["pictures_shown"] > 0)
        found.rest()
        yield found


def settled(live: Live) -> int:
    """A checksum of the picture of the view at rest."""
    live.window.catch_up()
    live.rest()
    return live.window.run("checksum()")


def test_models_and_loras(live: Live) -> None:
    window = live.window
    window.until("len(models.entries()) > 0")
    there = window.run("{entry.name: [entry.kind, entry.installed] for entry in models.entries()}")
    assert there["embedded"] == ["model", True] and there["mine"] == ["model", True]
    assert there["sd15"] == ["model", False] and there["broken"] == ["model", False]
    assert there["more-of-it"] == ["lora", True]
    sidebar = Sidebar(window)
    sidebar.scroll(30)
    live.shot("the list, offline")

    # Downloads: Blender's switch first; then the server, which has no network here, says what it found.
    assert window.run("bpy.app.online_access") is False
    for how in ("'INVOKE_DEFAULT', ", ""):
        with pytest.raises(InBlender, match="Online access is off: allow it in Preferences"):
            window.run(f"bpy.ops.draftglass.pull_model({how}name='sd15')")
    window.run("bpy.ops.draftglass.allow_online()")
    window.run("bpy.ops.draftglass.pull_model(name='sd15')")
    window.until("models.progress_of('sd15') is not None and models.progress_of('sd15').state == 'failed'")
    assert "downloads are off" in window.run("models.progress_of('sd15').sentence")
    window.catch_up()
    sidebar.scroll(30)
    live.shot("a download that failed")

    # Another model, and one that is none: the one that was loaded goes on.
    first = settled(live)
    window.run("bpy.ops.draftglass.use_model(name='mine')")
    window.until("live.loop().model == 'mine' and live.picture().model == 'mine'")
    window.run("settings.strength, settings.steps, settings.size = 0.9, 2, 256")
    assert settled(live) == first, "the same weights by another name must make the same picture"
    window.run("bpy.ops.draftglass.use_model(name='broken')")
    window.until("live.sentence().startswith('broken could not be loaded, so mine goes on')")
    sent = live.stats()["frames_sent"]
    window.run("settings.seed = 5")
    live.wait_for("a frame", lambda stats: stats["frames_sent"] > sent)
    window.run("settings.seed = 0")
    assert settled(live) == first and window.run("live.picture().model") == "mine"
    sidebar.scroll(30)
    live.shot("a model that cannot be used")
    window.run(
        "bpy.ops.draftglass.use_model(name='embedded')\nsettings.strength, settings.steps, settings.size = 0.9, 2, 256"
    )
    window.until("live.sentence() == 'Live with the model embedded.'")

    # A LoRA at two weights, and off.
    window.run("bpy.ops.draftglass.add_lora(name='more-of-it')")
    full = settled(live)
    window.run("settings.models.loras[0].weight = 0.5")
    half = settled(live)
    sidebar.scroll(30)
    live.shot("a LoRA")
    window.run("settings.models.loras[0].use = False")
    assert settled(live) == first and len({first, half, full}) == 3
    window.run("bpy.ops.draftglass.remove_lora(index=0)")
    with pytest.raises(InBlender, match="the scene has 0"):
        window.run("bpy.ops.draftglass.remove_lora(index=0)")
    assert window.run("live.problem() is None and live.state() == 'live'")
