"""A screen of its own for a Blender: Xvfb, a window manager, the mouse, pictures of it. No bpy."""

import os
import re
import subprocess
import tempfile
import time
from pathlib import Path

import numpy
from PIL import Image

from tests.blender.places import Place

SIZE = (1280, 800)
F_KEY = re.compile(r"F([1-9]|10)")
FIRST_F = 66
"""The key code of F1, less 1."""
# Nothing that the rig starts outlives this, whatever becomes of the rig.
LIFETIME_S = 3600


def environment(home: Path) -> dict[str, str]:
    """Return the whole environment of what runs on the screen; nothing of the caller's reaches Blender."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "HOME": str(home),
        "TMPDIR": str(home),
        "LANG": "C.UTF-8",
        "LIBGL_ALWAYS_SOFTWARE": os.environ.get("LIBGL_ALWAYS_SOFTWARE", "1"),
        "BLENDER_USER_RESOURCES": str(home / "blender"),
        # Compiling Blender's shaders for a CPU takes 15 s of one: once for all Blenders that are started.
        "MESA_SHADER_CACHE_DIR": str(Path(tempfile.gettempdir()).resolve() / "draftglass-shaders"),
    }


class Screen:
    """An X server of ``pixels``, width and height, with a window manager. Use it as a context."""

    def __init__(self, place: Place, home: Path, pixels: tuple[int, int] = SIZE) -> None:
        self.place = place
        self.env = environment(home)
        self.pixels = pixels
        self._log = open(home / "screen.log", "ab")
        size = "{}x{}x24".format(*pixels)
        # Its pixels are a file: read from there, a picture of the screen takes milliseconds and no other program.
        self._folder = tempfile.TemporaryDirectory(prefix="screen-")
        self._pixels = Path(self._folder.name) / "Xvfb_screen0"
        argv = ["Xvfb", "-displayfd", "1", "-screen", "0", size, "-fbdir", self._folder.name, "-nocursor",
                "+extension", "GLX", "-noreset", "-nolisten", "tcp"]  # fmt: skip
        self._server = self._start(*argv, stdout=subprocess.PIPE)
        number = self._server.stdout.readline().decode().strip()
        if not number:
            raise RuntimeError(f"Xvfb did not start; see {home / 'screen.log'}")
        self.env["DISPLAY"] = f":{number}"
        self._manager = self._start("openbox")

    def _start(self, *argv: str, stdout: int | None = None) -> subprocess.Popen:
        return subprocess.Popen(
            self.place.command(["timeout", str(LIFETIME_S), *argv]),
            env=self.env, stdin=subprocess.DEVNULL, stdout=stdout or self._log, stderr=self._log,
        )  # fmt: skip

    def run(self, *argv: str) -> bytes:
        """Run a command on the screen and return what it printed."""
        command = self.place.command(argv)
        done = subprocess.run(command, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, timeout=240)
        if done.returncode != 0:
            raise RuntimeError(f"{argv[0]} failed: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout

    def shot(self, path: Path | None = None) -> numpy.ndarray:
        """Return the whole screen, H x W x 3 uint8, top row first; also save it as a PNG at ``path``."""
        # X's XWD format: 25 big-endian words, the screen's name, 12 bytes a colour of its table, the rows.
        data = self._pixels.read_bytes()
        words = numpy.frombuffer(data, ">u4", 25).astype(int)
        size, width, height, stride, colours = (words[index] for index in (0, 4, 5, 12, 19))
        rows = numpy.frombuffer(data, numpy.uint8, height * stride, offset=size + 12 * colours).reshape(height, stride)
        picture = rows[:, : 4 * width].reshape(height, width, 4)[..., 2::-1].copy()  # stored blue, green, red, unused
        if path is not None:
            Image.fromarray(picture).save(path, compress_level=1)
        return picture

    def move_to(self, x: int, y: int) -> None:
        """Put the pointer at a pixel of the screen, from the top left."""
        self.run("xdotool", "mousemove", str(x), str(y))

    def click(self, x: int, y: int, button: int = 1) -> None:
        """Click at a pixel of the screen, from the top left."""
        self.run("xdotool", "mousemove", str(x), str(y), "sleep", "0.2", "click", str(button))

    def drag(self, start: tuple[int, int], by: tuple[int, int], button: int = 2, moves: int = 8) -> None:
        """Drag as a hand does: press, ``moves`` small moves over about half a second, release."""
        words = ["xdotool", "mousemove", str(start[0]), str(start[1]), "sleep", "0.2", "mousedown", str(button)]
        for n in range(1, moves + 1):
            x, y = (round(start[axis] + by[axis] * n / moves) for axis in (0, 1))
            words += ["sleep", "0.06", "mousemove", str(x), str(y)]
        self.run(*words, "sleep", "0.1", "mouseup", str(button))

    def key(self, name: str) -> None:
        """Press a key by xdotool's name for it, such as ``ctrl+z``."""
        # To F1 to F10 xdotool adds Alt by itself; by its code the key comes alone.
        self.run("xdotool", "key", str(FIRST_F + int(name[1:])) if F_KEY.fullmatch(name) else name)

    def close(self) -> None:
        """End the window manager and the X server."""
        for process in (self._manager, self._server):
            end(process)
        self._folder.cleanup()
        self._log.close()

    def __enter__(self) -> "Screen":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def end(process: subprocess.Popen, grace_s: float = 5.0) -> None:
    """Terminate a process, and kill it when it has not ended after ``grace_s``."""
    if process.poll() is None:
        process.terminate()
        until = time.monotonic() + grace_s
        while process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        if process.poll() is None:
            process.kill()
    process.wait()
