"""What every run needs: the scene, a server with its model, and words on standard error. bpy only by scene_file."""

from __future__ import annotations

import contextlib
import importlib.metadata
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ..live import Address, LiveLoop
from ..problems.errors import AddressError
from ..problems.words import sentence
from .arguments import Options
from .errors import HeadlessError
from .run import wait_until_live
from .server import TemporaryServer

if TYPE_CHECKING:
    from ..blender.scene_file.scene import OfflineScene

PACKAGES = ("numpy", "websockets", "pillow", "torch", "diffusers", "transformers", "peft")
"""Libraries whose versions go into the report; those of the server hold when it was started here."""


def open_scene(options: Options) -> OfflineScene:
    """Open the file in Blender's module. Raises HeadlessError."""
    if not options.scene.is_file():
        what = "is a folder" if options.scene.is_dir() else "does not exist"
        raise HeadlessError(f"{options.scene} {what}: give a .blend file")
    try:
        from ..blender.scene_file.choice import Wanted
        from ..blender.scene_file.scene import OfflineScene
    except ImportError as error:
        raise HeadlessError(_lacking(error)) from None
    with blender_words():
        moving = options.move.name if options.move else None
        wanted = Wanted(options.scene_name, options.view_layer, options.camera)
        planes, ids = options.planes, options.steady > 0
        return OfflineScene(options.scene, options.size, options.frames is None, moving, wanted, planes, ids)


@contextlib.contextmanager
def serving(options: Options) -> Iterator[tuple[Address, Callable[[], None]]]:
    """The address of the server that was named, or of one that lives as long as this context; and its check."""
    if options.server is not None:
        try:
            yield Address(options.server, token_file=options.token_file), lambda: None
        except AddressError as error:
            raise HeadlessError(sentence(error.problem)) from None
        return
    with TemporaryServer(options.model, options.device) as own:
        yield own.address(), own.check


def wait_for_model(loop: LiveLoop, check: Callable[[], None]) -> None:
    """Wait until ``loop`` is live, with a progress bar for its model. Raises HeadlessError."""
    from tqdm import tqdm

    bars: list[Any] = []

    def loaded(percent: float) -> None:
        if not bars and percent > 0:  # a model that is none at all is told in one line, without a bar above it
            bars.append(tqdm(total=100, desc="loading the model", unit="%", leave=False, bar_format="{l_bar}{bar}|"))
        for bar in bars:
            advance(bar, percent)

    try:
        wait_until_live(loop, check, loaded)
    finally:
        for bar in bars:
            bar.close()


@contextlib.contextmanager
def blender_words() -> Iterator[None]:
    """Turn Blender's refusals into one line for the user."""
    try:
        yield
    except RuntimeError as error:  # OfflineError is one: its sentence is for the user already
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise HeadlessError(lines[0].removeprefix("Error: ")) from None


def _lacking(error: ImportError) -> str:
    """What to install, for an import of Blender's module that failed."""
    if isinstance(error, ModuleNotFoundError):
        return (
            f"{error.name} is not installed in this Python ({sys.version.split()[0]}): make demo makes an environment "
            "with all that is needed; Blender's module has wheels for Python 3.11 only"
        )
    library = str(error).split(":")[0]
    return (
        f"Blender's module can't be loaded, as {library} is missing; on Debian and Ubuntu: apt-get install "
        "libgl1 libegl1 libgl1-mesa-dri libxrender1 libxi6 libxfixes3 libxkbcommon0 libsm6"
    )


def say(sentence: str) -> None:
    """One line on standard error."""
    print(f"python -m addon: {sentence}", file=sys.stderr)


def advance(bar: Any, done: float) -> None:
    """Update ``bar`` only on news: each update may print."""
    if done != bar.n:
        bar.update(done - bar.n)


def versions() -> dict[str, str]:
    """Of the libraries at work, as far as they are installed here."""
    found = {}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found
