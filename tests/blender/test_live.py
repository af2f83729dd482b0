"""One artist's session: start, orbit by mouse, move an object, change the prompt, stop; seen on the screen."""

import os
import signal
import time
from pathlib import Path

import pytest

from server.config import EMBEDDED, MODELS
from tests.blender.live_session import Live, commonest, difference
from tests.blender.serving import SERVER, STAND_IN, Server
from tests.blender.window import Window
from tests.plain.checkpoints import make_sd15

# Mean over values of 0 to 255: two shots of the same thing differ by nothing, of a cube that moved by about 1.
CHANGED = 0.1
DIES = """
import importlib, os, signal, time
wire = importlib.import_module("bl_ext.user_default.draftglass.addon.wire")
os.kill({pid}, signal.SIGKILL)
time.sleep(1)
for _ in range(5):
    live.loop().tell(wire.ListModels())
"""


@pytest.fixture
def live(window: Window, shots: Path) -> Live:
    """The add-on in a Blender with its default scene."""
    return Live(window, shots)


def follow(live: Live, name: str, before, act) -> tuple:
    """Do something and return the Image Editor's new pixels and the statistics; both must have moved on."""
    sent = live.stats()["frames_sent"]
    act()
    live.wait_for(f"a frame after: {name}", lambda stats: stats["frames_sent"] > sent)
    stats = live.rest()
    now = live.picture(name)
    moved = difference(before, now)
    assert moved > CHANGED, f"the Image Editor did not follow: {name}"
    return now, stats


def session(live: Live, patience_s: float) -> list:
    """Go through the whole session; return the Image Editor's pixels after each step."""
    assert live.window.rectangle("IMAGE_EDITOR") is None
    # As a new user has it: drawn eight times over at rest.
    live.window.run("bpy.context.preferences.system.viewport_aa = '8'")
    live.window.run("settings.prompt = 'a castle'\nbpy.ops.draftglass.start()")
    live.wait_for("the first picture", lambda stats: stats["pictures_shown"] > 0, patience_s)
    stats = live.rest(quiet_s=5)  # on a slow machine the editor's areas may still find their sizes
    first = live.picture("started")

    # Nothing changes: nothing is sent, nothing on the screen moves.
    time.sleep(3)
    assert live.stats()["frames_sent"] == stats["frames_sent"]
    assert difference(first, live.picture("still the same")) == 0

    orbited, _ = follow(live, "orbited", first, live.orbit)
    moved, _ = follow(
        live, "moved", orbited, lambda: live.window.run("bpy.data.objects['Cube'].location = (1.5, -1, 0.7)")
    )
    prompted, stats = follow(
        live, "prompt changed", moved, lambda: live.window.run("settings.prompt = 'a negative of a village'")
    )
    time.sleep(2)
    assert live.stats()["frames_sent"] == stats["frames_sent"]

    live.window.run("bpy.ops.draftglass.stop()")
    stopped = live.stats()
    assert stopped["state"] == "stopped"
    live.orbit()
    time.sleep(1)
    assert live.stats()["frames_sent"] == stopped["frames_sent"]
    assert difference(prompted, live.picture("stopped")) < CHANGED, "the last picture is gone"
    assert live.window.run("tuple(bpy.data.images['Draftglass'].size)")[0] > 0
    return [first, orbited, moved, prompted]


def test_session(live: Live, tmp_path: Path) -> None:
    """With an engine that gives the draft back, colours can be told: they are the viewport's own."""
    with Server(tmp_path, STAND_IN) as server:
        live.connect_to(server)
        *_, moved, prompted = session(live, patience_s=60)
    viewport = commonest(live.area("VIEW_3D", "the viewport"))
    assert commonest(moved) == pytest.approx(viewport, abs=3)
    assert commonest(prompted) == pytest.approx([255 - value for value in viewport], abs=3)


def test_session_with_the_engine(live: Live, tmp_path: Path) -> None:
    """With the embedded model, or a random one of the same shape where that has not been trained."""
    model = ()
    if not (MODELS / EMBEDDED).exists():
        model = ("--model", str(make_sd15(tmp_path / "model", lora="diffusers")))
    with Server(tmp_path, (*SERVER, *model)) as server:
        live.connect_to(server)
        session(live, patience_s=240)


def test_server_killed_in_mid_frame(live: Live, tmp_path: Path) -> None:
    slow = (*STAND_IN, "--delay", "1.5")
    with Server(tmp_path, slow) as server:
        live.connect_to(server)
        live.window.run("bpy.ops.draftglass.start()")
        live.wait_for("the first picture", lambda stats: stats["pictures_shown"] > 0, 60)
        live.rest()
        before = live.picture("connected")
        live.orbit()
        live.wait_for("a frame under way", lambda stats: stats["frames_sent"] > stats["pictures_shown"])
        # Blender is busy as it dies, and sends to it before it has read that: signals must not end Blender then.
        live.window.run(DIES.format(pid=server.process.pid))
        gone = live.wait_for("that the server is gone", lambda stats: stats["state"] != "live")
        assert "server" in gone["sentence"].lower(), gone
        # Blender goes on, and the last picture stays.
        live.orbit((-60, 10))
        assert live.window.rectangle("IMAGE_EDITOR") is not None
        assert difference(before, live.picture("killed")) < 30
        shown = live.stats()["pictures_shown"]
    with Server(tmp_path, STAND_IN, port=server.port):
        live.wait_for("that it reconnects", lambda stats: stats["state"] == "live")
        live.wait_for("a picture", lambda stats: stats["pictures_shown"] > shown)
        live.rest(answers=False)
        assert difference(before, live.picture("back")) > CHANGED


def test_server_that_hangs_and_goes_on(live: Live, tmp_path: Path) -> None:
    with Server(tmp_path, STAND_IN) as server:
        live.connect_to(server)
        live.window.run("bpy.ops.draftglass.start()\nbpy.context.space_data.show_region_ui = True")
        live.wait_for("the first picture", lambda stats: stats["pictures_shown"] > 0, 60)
        shown = live.rest()["pictures_shown"]
        os.kill(server.process.pid, signal.SIGSTOP)
        try:
            live.window.run("bpy.data.objects['Cube'].location.x = 2")
            said = live.wait_for("that it is said", lambda stats: "has not answered for" in stats["sentence"])
            assert said["state"] == "live" and live.window.run("live.problem().code") == "no_answer"
            live.shot("hung")
        finally:
            os.kill(server.process.pid, signal.SIGCONT)
        live.wait_for("a picture", lambda stats: stats["pictures_shown"] > shown)
        live.rest()
        assert live.window.run("live.problem() is None") and live.stats()["lost"] == 0
