"""A Blender with a window, the extension installed from its zip, and a line to run Python in it. No bpy."""

import filecmp
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.blender.places import Place
from tests.blender.screen import Screen, end, environment

AGENT = Path(__file__).with_name("agent.py")
ARGUMENTS = ("-noaudio", "--gpu-backend", "opengl")


EXTENSION = "bl_ext.user_default.draftglass"
# By timers: what runs in the agent has a window as its context, which the factory settings replace.
RESET = f"""
import sys
_done = []
def _disable():
    bpy.ops.preferences.addon_disable(module="{EXTENSION}")
    for name in [name for name in sys.modules if (name + ".").startswith("{EXTENSION}.")]:
        del sys.modules[name]
    _done.append("disabled")
def _enable():
    bpy.ops.wm.read_factory_settings()
    begin()
    bpy.ops.preferences.addon_enable(module="{EXTENSION}")
    _done.append("enabled")
"""
FORGET = """
for _name in set(globals()) - {"bpy", "begin", "__builtins__"}:
    del globals()[_name]
"""


class InBlender(Exception):
    """Code run inside Blender failed; the text is its traceback there."""


def install(place: Place, zip_path: Path, home: Path) -> str:
    """Install and enable the extension for the user whose home folder is ``home``; return what Blender said."""
    argv = ["timeout", "-k", "5", "900", place.blender, "--command", "extension", "install-file",
            "-r", "user_default", "-e", str(zip_path)]  # fmt: skip
    return _blender(place, argv, home)


def extension(place: Place, home: Path, *argv: str) -> str:
    """Run ``blender --command extension ARGV`` and return what it printed."""
    return _blender(place, ["timeout", "-k", "5", "900", place.blender, "--command", "extension", *argv], home)


def _blender(place: Place, argv: list[str], home: Path) -> str:
    done = subprocess.run(
        place.command(argv), env=environment(home), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv[3:])} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


class Window:
    """A running Blender. Use it as a context: it ends with it.

    Args:
        screen: where its window is.
        home: the folder of its user, where the extension was installed and ``blender.log`` is written.
        lifetime_s: it is ended after so many seconds, whatever it does.
    """

    def __init__(self, screen: Screen, home: Path, lifetime_s: int = 3500, arguments: tuple[str, ...] = ()) -> None:
        self.screen = screen
        self.log = home / "blender.log"
        with socket.create_server(("127.0.0.1", 0)) as listener:
            argv = ["timeout", "-k", "5", str(lifetime_s), screen.place.blender, *ARGUMENTS, *arguments,
                    "--python", str(AGENT), "--", str(listener.getsockname()[1])]  # fmt: skip
            with open(self.log, "ab") as log:
                self.process = subprocess.Popen(
                    screen.place.command(argv), env=screen.env,
                    stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                )  # fmt: skip
            self._line = self._accept(listener)
        self._file = self._line.makefile("rb")

    def _accept(self, listener: socket.socket, patience_s: float = 900.0) -> socket.socket:
        listener.settimeout(0.5)
        until = time.monotonic() + patience_s
        while time.monotonic() < until and self.process.poll() is None:
            try:
                line, _ = listener.accept()
            except TimeoutError:
                continue
            line.settimeout(600)
            return line
        end(self.process)
        raise RuntimeError(f"Blender did not start; the end of its log:\n{self._last_words()}")

    def _last_words(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]

    def run(self, source: str) -> object:
        """Run Python inside Blender and return the value of its last expression, as JSON carries it."""
        try:
            self._line.sendall(json.dumps({"run": source}).encode() + b"\n")
            reply = self._file.readline()
        except TimeoutError:
            raise InBlender(f"Blender did not answer for {self._line.gettimeout():.0f} s to:\n{source}") from None
        except ConnectionError:
            reply = b""
        if not reply:
            raise InBlender(f"Blender ended during:\n{source}\n{self._last_words()}")
        answer = json.loads(reply)
        if "error" in answer:
            raise InBlender(answer["error"])
        return answer["value"]

    def catch_up(self, turns: int = 4) -> None:
        """Wait until Blender has taken what the mouse and the keys did, and has drawn it: some turns of its loop."""
        for _ in range(turns):
            time.sleep(0.05)
            self.run("0")

    def until(self, source: str, patience_s: float = 300.0) -> object:
        """Wait until ``source`` has a value that is true, and return it."""
        end = time.monotonic() + patience_s
        while not (value := self.run(source)):
            assert time.monotonic() < end, f"not within {patience_s:.0f} s: {source}"
            time.sleep(0.05)
        return value

    def rectangle(self, kind: str = "VIEW_3D") -> tuple[int, int, int, int] | None:
        """Return left, top, width and height, in pixels of the screen, of the first area of a kind.

        The rectangle is that of the area's main region: without its header and sidebars where they take room
        of their own. None when there is no such area.
        """
        inner = self.run(
            "[(r.x, r.y, r.width, r.height) for a in bpy.context.window_manager.windows[0].screen.areas"
            f" if a.type == {kind!r} for r in a.regions if r.type == 'WINDOW'][:1]"
        )
        if not inner:
            return None
        words = self.screen.run("xdotool", "search", "--name", "Blender [0-9]", "getwindowgeometry", "--shell").decode()
        outer = dict(line.split("=") for line in words.splitlines() if "=" in line)
        x, y, width, height = inner[0]
        # A maximised window's title counts twice in what xdotool says.
        bottom = min(int(outer["Y"]) + int(outer["HEIGHT"]), self.screen.pixels[1])
        return int(outer["X"]) + x, bottom - y - height, width, height

    def reset(self, restore_home: Callable[[], None]) -> None:
        """Bring Blender and the extension to where they were at the very first start.

        ``restore_home`` does the same to the user's folder; it is called while the extension is disabled.
        """
        self.run(RESET)
        self._by_timer("_disable", "disabled")
        restore_home()
        self._by_timer("_enable", "enabled")
        self.run(FORGET)
        os.truncate(self.log, 0)

    def _by_timer(self, function: str, done: str) -> None:
        self.run(f"bpy.app.timers.register({function})\n0")
        self.until(f"not bpy.app.timers.is_registered({function})")
        if not self.run(f"{done!r} in _done"):
            raise InBlender(f"the extension could not be {done}:\n{self._last_words()}")

    def close(self) -> None:
        """Ask Blender to quit, and end it when it does not."""
        try:
            self._line.settimeout(5)
            self.run("bpy.app.timers.register(lambda: bpy.ops.wm.quit_blender() and None, first_interval=0.05)")
            self.process.wait(10)
        except (InBlender, OSError, subprocess.TimeoutExpired):
            pass
        end(self.process)
        self._file.close()
        self._line.close()

    def __enter__(self) -> "Window":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class KeptWindow:
    """A screen and a Blender for one test after the other, as starting them takes seconds. Use it as a context."""

    def __init__(self, place: Place, new_home: Path, home: Path) -> None:
        """``home`` is a copy of ``new_home``, and becomes one again for each test."""
        self._new_home, self._home = new_home, home
        self._screen = Screen(place, home)
        self._window: Window | None = None

    def get(self) -> Window:
        """A Blender as it is after its first start: a new one only where there is none, or its last test ended it."""
        if self._window is not None and self._window.process.poll() is not None:
            self.drop()
        if self._window is None:
            self._window = Window(self._screen, self._home)
        else:
            try:
                self._window.reset(self._restore_home)
            except BaseException:
                self.drop()
                raise
        return self._window

    def _restore_home(self) -> None:
        """Only what differs is written: libraries that Blender has loaded from there stay as they are.

        So do logs, and the folder ``blender_...`` that Blender made for its own temporary files.
        """
        for folder, folders, names in os.walk(self._home):
            there = self._new_home / Path(folder).relative_to(self._home)
            for name in [name for name in (*folders, *names) if not os.path.lexists(there / name)]:
                path = Path(folder, name)
                if name in folders:
                    folders.remove(name)
                if name == "__pycache__" or name.endswith(".log") or path.match(f"{self._home}/blender_*"):
                    continue
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        for path in self._new_home.rglob("*"):
            there = self._home / path.relative_to(self._new_home)
            if path.is_file() and not (there.is_file() and filecmp.cmp(path, there)):
                there.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, there)

    def drop(self) -> None:
        """End Blender; the next test gets a new one."""
        if self._window is not None:
            self._window.close()
            self._window = None

    def close(self) -> None:
        """End both."""
        self.drop()
        self._screen.close()

    def __enter__(self) -> "KeptWindow":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
