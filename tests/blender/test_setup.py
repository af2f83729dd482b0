"""Somebody with only Blender: the server set up by clicks, through every state; cancelled, failed, live after it."""

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.blender.live_session import Live
from tests.blender.serving import STAND_IN, Server
from tests.blender.sidebar import Sidebar
from tests.blender.wheels import make_index, make_wheel
from tests.blender.window import Window

BEGIN = """
setup = importlib.import_module("bl_ext.user_default.draftglass.addon.blender.server.setup")
words = importlib.import_module("bl_ext.user_default.draftglass.addon.problems.words")
process = importlib.import_module("bl_ext.user_default.draftglass.addon.blender.server.process")
import ctypes
libc = ctypes.CDLL(None)
def mount(flags, data):
    return libc.mount(b"tmpfs", str(place).encode(), b"tmpfs", flags, data)
"""
NOW = """
_m = setup.manager
_e = process.environment()
_p = _m.problem
{"phase": _m.phase, "code": _p.code if _p else "", "sentence": words.sentence(_p) if _p else "",
 "fraction": _m.run.fraction if _m.run else 0, "line": _m.run.line if _m.run else "",
 "environment": _e.state if _e else "", "live": live.state(), "problem": live.problem().code if live.problem() else "",
 "says": live.sentence(), "timer": bpy.app.timers.is_registered(setup._beat),
 "folders": sorted(p.name for p in (process.user_folder() / "server").glob("*") if p.is_dir())}
"""


TAB_NOW = "next(r for r in bpy.context.area.regions if r.type == 'UI').active_panel_category"
KILL = """
import os, signal
def _kill():
    run = setup.manager.run
    if run is not None and run.fraction > 0.03:  # an environment is there, and pip looks up what is needed
        os.kill(os.getpid(), signal.SIGKILL)
    return 0.02
bpy.app.timers.register(_kill)
bpy.ops.draftglass.set_up(agreed=True)
"""
READ_ONLY, REMOUNT = 1, 32  # of Linux' mount


@contextlib.contextmanager
def silent_index() -> Iterator[str]:
    """Arguments for pip with an index that never answers: a setup does not get to its end, however slow we are."""
    with socket.create_server(("127.0.0.1", 0)) as index:
        yield f"--index-url http://127.0.0.1:{index.getsockname()[1]}/simple --timeout 3000"


class Artist:
    """Clicks, and sees what the add-on says of itself."""

    def __init__(self, window: Window, shots: Path, folder: Path) -> None:
        self.live = Live(window, shots)
        self.window = window
        window.run(BEGIN)
        wheels = [make_wheel(folder / "wheels", "small-one", files=300, requires=("many-files",))]
        wheels.append(make_wheel(folder / "wheels", "many-files", files=3000))
        self._index = make_index(folder / "index", wheels)
        self._list = folder / "requirements.txt"
        self.choose("small-one==1.0")
        self.sidebar = Sidebar(window)

    def choose(self, *required: str, options: str = "") -> None:
        """Give the add-on's preferences another list, and other arguments for pip."""
        self._list.write_text("\n".join(required) + "\n")
        options = options or f"--index-url {self._index}"
        self.window.run(
            f"preferences.requirements = {str(self._list)!r}\npreferences.pip_options = {options!r}\n"
            "preferences.build = 'pip'\nsetup._redraw()"
        )
        self.window.catch_up()

    def now(self) -> dict:
        """The state of everything."""
        return self.window.run(NOW)

    def wait(self, what: str, reached, patience_s: float = 900.0) -> dict:
        """Wait until ``reached(now)``."""
        end = time.monotonic() + patience_s
        while not reached(now := self.now()):
            if time.monotonic() > end:
                self.live.shot("waited for " + what)
                raise AssertionError(f"{what}: not within {patience_s:.0f} s: {now}")
            time.sleep(0.1)
        self.window.catch_up()  # the panel is drawn a moment later
        return now

    def fails(self, name: str, code: str) -> dict:
        """Press Start Live, agree, and see it fail with ``code`` and leave nothing."""
        self.window.run("bpy.ops.draftglass.set_up(agreed=True)")
        now = self.wait(name, lambda now: now["phase"] == "idle" and now["code"])
        self.live.shot(name)
        assert now["code"] == code and len(now["sentence"]) > 20, now
        assert now["environment"] in ("absent", "incomplete", "outdated", "complete"), now
        assert not now["timer"]
        return now


@pytest.fixture
def artist(window: Window, shots: Path, tmp_path: Path) -> Artist:
    """In a Blender that was just installed."""
    return Artist(window, shots, tmp_path / "packages")


def test_from_nothing_to_live_by_clicks(artist: Artist, tmp_path: Path) -> None:
    now = artist.now()
    assert now["environment"] == "absent" and now["live"] == "stopped"
    artist.live.shot("not set up")
    assert len(artist.sidebar.buttons()) >= 2, "Set Up the Server, Start Live"

    artist.sidebar.click(1)  # Start Live: there is no server, and Blender may not go online
    now = artist.wait("the refusal", lambda now: now["code"])
    assert now["code"] == "online_access_off" and now["folders"] == []
    artist.live.shot("offline")
    artist.sidebar.click(0)  # Allow Online Access
    artist.window.until("bpy.app.online_access")

    artist.sidebar.click(0)  # Set Up the Server
    now = artist.wait("the question", lambda now: now["phase"] == "asking")
    assert now["folders"] == [], "something was made before anybody agreed"
    artist.live.shot("asked")
    artist.sidebar.click(1)  # Not Now
    artist.wait("that it is off", lambda now: now["phase"] == "idle")

    with silent_index() as options:
        artist.choose("small-one==1.0", options=options)
        artist.sidebar.click(0)
        artist.wait("the question", lambda now: now["phase"] == "asking")
        artist.sidebar.click(0)  # Download and Set Up
        artist.wait("that it runs", lambda now: now["fraction"] > 0.05)
        artist.live.shot("setting up")
        assert artist.now()["phase"] == "running", "Blender waited for the setup"
        artist.sidebar.click(0)  # Cancel
        now = artist.wait("the end", lambda now: now["phase"] == "idle")
    assert now["code"] == "set_up_cancelled" and now["folders"] == [] and now["environment"] == "absent"
    artist.live.shot("cancelled")
    artist.choose("small-one==1.0")

    artist.sidebar.click(0)  # Set Up the Server
    artist.wait("the question", lambda now: now["phase"] == "asking")
    artist.sidebar.click(0)
    seen = set()
    now = artist.wait("the end", lambda now: seen.add(now["line"].split(",")[0]) or now["phase"] == "idle")
    assert now["code"] == "" and now["environment"] == "complete" and len(now["folders"]) == 1, now
    assert {"Looking up what is needed", "Installing 2 packages"} & seen, seen
    assert not now["timer"], "a timer is left when nothing is under way"
    artist.live.shot("set up")

    # A server of the checkout, by address and token, as one on another machine would be.
    with Server(tmp_path, STAND_IN) as server:
        token = server.token_file.read_text().strip()
        artist.window.run(f"preferences.server_url = {server.url!r}\npreferences.token = {token!r}\nsetup._redraw()")
        artist.window.catch_up()
        artist.sidebar.click(0)  # Start Live
        artist.wait("live", lambda now: now["live"] == "live")
        artist.live.wait_for("a picture", lambda stats: stats["pictures_shown"] > 0, 60)
        artist.live.shot("live")
        assert artist.window.run(TAB_NOW) == "Draftglass", "the panel is gone once the Image Editor is split off"
        artist.window.run("live.paused = True")
        artist.wait("paused", lambda now: now["live"] == "paused")
        artist.window.run("live.paused = False")
        server.kill()
        now = artist.wait("that it is gone", lambda now: now["problem"] == "connection_refused")
        artist.live.shot("server gone")
        artist.window.run("bpy.ops.draftglass.stop()")
        assert artist.now()["live"] == "stopped"


@pytest.mark.one_version  # as Blender has no part in why they fail
def test_failures_each_have_their_sentence(artist: Artist) -> None:
    artist.window.run("bpy.context.preferences.system.use_online_access = True")
    artist.choose("no-such-package==3")
    now = artist.fails("unknown package", "package_not_found")
    assert "no-such-package==3" in now["sentence"] and now["folders"] == []
    artist.choose("small-one", options="--index-url http://127.0.0.1:9/simple")
    assert artist.fails("no network", "network_failed")["folders"] == []
    artist.choose("small-one")

    # Start sets up, then starts. The server's own packages are not in that list: it ends as soon as it is started.
    artist.window.run("bpy.ops.draftglass.start()")
    artist.wait("the question", lambda now: now["phase"] == "asking")
    artist.sidebar.click(0)
    artist.wait("starting", lambda now: now["environment"] == "complete" and now["live"] == "starting")
    now = artist.wait("that it gives up", lambda now: now["live"] == "failed")
    assert now["problem"] == "server_ended_at_start" and "No module named" in now["says"], now
    artist.live.shot("server ends")
    artist.window.run("bpy.ops.draftglass.stop()\nbpy.ops.draftglass.open_log('INVOKE_DEFAULT')")
    artist.window.catch_up()
    artist.live.shot("log")
    said = artist.window.run(
        "operators = importlib.import_module('bl_ext.user_default.draftglass.addon.blender.ui.server_operators')\n"
        "operators.last_lines(operators.DRAFTGLASS_OT_open_log.newest())"
    )
    assert any("No module named" in line for line in said)
    assert artist.window.run("len(bpy.data.texts)") == 0, "the log is stored with the file"


@pytest.mark.one_version
def test_a_full_disk_and_one_that_is_read_only(artist: Artist) -> None:
    artist.window.run("bpy.context.preferences.system.use_online_access = True")
    artist.window.run("place = process.user_folder() / 'server'\nplace.mkdir(exist_ok=True)")
    if artist.window.run("mount(0, b'size=4m')") != 0:
        pytest.skip("a disk to fill needs root")
    assert artist.fails("disk full", "disk_full")["folders"] == []
    assert artist.window.run(f"mount({REMOUNT | READ_ONLY}, b'')") == 0
    assert artist.fails("read only", "not_writable")["folders"] == []
    assert artist.window.run("libc.umount(str(place).encode())") == 0
    artist.window.run("bpy.ops.draftglass.set_up(agreed=True)")
    artist.wait("the setup", lambda now: now["phase"] == "idle" and now["environment"] == "complete")


@pytest.mark.slow
def test_blender_killed_in_mid_set_up(artist: Artist) -> None:
    """Nobody is left to roll it back but the setup itself."""
    artist.window.run("bpy.context.preferences.system.use_online_access = True")
    server = Path(artist.window.run("str(process.user_folder() / 'server')"))
    with silent_index() as options:
        artist.choose("small-one", options=options)
        artist.window.run(KILL)
        end = time.monotonic() + 600
        while artist.window.process.poll() is None and time.monotonic() < end:
            time.sleep(0.1)
        assert (server / "lock").exists(), "it had not begun"
        end = time.monotonic() + 600
        while [entry for entry in server.iterdir() if entry.is_dir()] and time.monotonic() < end:
            time.sleep(0.2)
    assert [entry for entry in server.iterdir() if entry.is_dir()] == []
