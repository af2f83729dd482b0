"""Run a script inside a Blender with a window and the checkout's extension installed. No bpy.

    python -m tests.blender.run [--version 4.3] [--out FOLDER] [--lifetime S] [--bare] SCRIPT.py

The script is run inside Blender with the 3D View as its context. When it defines a generator ``steps()``, the
rig takes its values one by one, and does outside what each of them says, while Blender's main loop goes on:

    yield 0.5                              wait so many seconds
    yield "shot", "name"                   take a picture of the screen: FOLDER/name.png
    yield "drag", (dx, dy)                 drag with the middle button from the 3D View's middle: orbit
    yield "drag", (dx, dy), BUTTON, "IMAGE_EDITOR"     with another button, in another kind of area
    yield "click", (x, y), BUTTON          click at a pixel of the screen
    yield "key", "ctrl+z"                  press a key, as xdotool names it
    yield "print", anything                print it here

``shot`` is taken at the end in any case (``end.png``), and what Blender printed is in ``FOLDER/blender.log``.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.blender.places import CannotPrepare, chroot, installed
from tests.blender.screen import Screen
from tests.blender.window import InBlender, Window, install
from tools import make_zip


def perform(window: Window, step: object, out: Path) -> None:
    """Do outside Blender what a script's step says."""
    if isinstance(step, int | float):
        time.sleep(step)
        return
    verb, *rest = step
    if verb == "shot":
        window.screen.shot(out / f"{rest[0]}.png")
    elif verb == "drag":
        drag(window, *rest)
    elif verb == "click":
        window.screen.click(*rest[0], *rest[1:])
    elif verb == "key":
        window.screen.key(rest[0])
    elif verb == "print":
        print(*rest, flush=True)
    else:
        raise ValueError(f"unknown step {verb!r}")


def drag(window: Window, by: tuple[int, int], button: int = 2, kind: str = "VIEW_3D") -> None:
    """Drag from the middle of the first area of a kind."""
    left, top, width, height = window.rectangle(kind)
    window.screen.drag((left + width // 2, top + height // 2), by, button)


def play(window: Window, script: Path, out: Path) -> None:
    """Run a script in Blender, and its steps."""
    window.run(script.read_text("utf-8"))
    if not window.run("'steps' in globals()"):
        return
    window.run("_steps = steps()")
    while (step := window.run("next(_steps, 'end')")) != "end":
        perform(window, step, out)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Run a script inside a Blender with a window.")
    parser.add_argument("script", type=Path)
    parser.add_argument("--version", default="4.3", help="4.3 or 5.2; BLENDER=path in the environment goes before")
    parser.add_argument("--out", type=Path, help="where pictures and logs go")
    parser.add_argument("--lifetime", type=int, default=600, metavar="S", help="Blender is ended after so long")
    parser.add_argument("--bare", action="store_true", help="without the extension")
    options = parser.parse_args()
    out = (options.out or Path(tempfile.mkdtemp(prefix="draftglass-"))).resolve()
    out.mkdir(parents=True, exist_ok=True)
    try:
        blender = os.environ.get("BLENDER")
        place = installed(blender) if blender else chroot(options.version)
    except CannotPrepare as error:
        print(error, file=sys.stderr)
        return 2
    # The home is new each time: no extension and no setting of an earlier run.
    with tempfile.TemporaryDirectory(prefix="draftglass-home-") as folder:
        home = Path(folder)
        if not options.bare:
            try:
                install(place, make_zip.build(home), home)
            except RuntimeError as error:
                print(error, file=sys.stderr)
                return 1
        try:
            with Screen(place, home) as screen, Window(screen, home, options.lifetime) as window:
                try:
                    play(window, options.script, out)
                finally:
                    screen.shot(out / "end.png")
        except InBlender as error:
            print(error, file=sys.stderr)
            return 1
        finally:
            shutil.copy(home / "blender.log", out)
            print(f"pictures and log: {out}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
