"""A film's frames, kept as they come, so that a film can go on where it stopped. No bpy; numpy and Pillow.

Beside the pictures lies a record: a first line with all that they depend on, then a line for each frame. Frames of the
same settings are taken as they are; those of others, or of a file edited since, are not.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .arguments import Options
from .plan import Shot
from .run import ShotResult

RECORD = "film.jsonl"
ELSEWHERE = frozenset("scene out frames orbit only animation video server token_file device prompts".split())
"""Options that no single picture depends on; a frame's line has its prompt, and the file is known by its content."""
KINDS = ("draft", "picture")


def settings_of(options: Options) -> dict[str, Any]:
    """All that a picture depends on but its frame and its prompt, as JSON gives it back."""
    with options.scene.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    settings = {name: value for name, value in options.settings().items() if name not in ELSEWHERE}
    kept: dict[str, Any] = json.loads(json.dumps({**settings, "sha256": digest}))
    return kept


def line_of(shot: Shot, name: str) -> dict[str, Any]:
    """What the record says of a frame whose files' names end in ``name``."""
    return {"prompt": shot.prompt, "frame": shot.frame, "moved": shot.moved, "name": name}


class Film:
    """The frames in ``folder`` that ``planned`` need not make again, by index in ``there``; takes new ones."""

    def __init__(self, folder: Path, unfinished: Path, options: Options, planned: Sequence[Shot]) -> None:
        """Read what earlier runs left in both folders. Raises OSError."""
        self._folder, self._settings = unfinished, settings_of(options)
        self._digits = max(3, len(str(len(planned) - 1)))
        self.there: dict[int, ShotResult] = {}
        # Planes are written from what was captured, so a film with planes is made in one go.
        for place in () if options.planes else (folder, unfinished):
            self._read(place, planned)
        if unfinished.is_dir():
            self.clear()
        for shown in self.there.values():
            self.add(shown)

    def add(self, shown: ShotResult) -> None:
        """Keep a frame as it comes. Raises OSError."""
        new = not (self._folder / RECORD).exists()
        self._folder.mkdir(parents=True, exist_ok=True)
        name = f"{shown.shot.index:0{self._digits}}"
        for kind, pixels in zip(KINDS, (shown.draft, shown.picture), strict=True):
            Image.fromarray(pixels).save(self._folder / f"{kind}_{name}.png", compress_level=3)
        with (self._folder / RECORD).open("a", encoding="utf-8") as file:
            for line in ([self._settings] if new else []) + [line_of(shown.shot, name)]:
                file.write(json.dumps(line) + "\n")

    def finish(self, folder: Path, made: Iterable[ShotResult]) -> None:
        """Write the record of a whole film to ``folder``, and remove what was kept on the way. Raises OSError."""
        lines = [self._settings, *(line_of(shown.shot, f"{shown.shot.index:0{self._digits}}") for shown in made)]
        (folder / RECORD).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        self.clear()

    def clear(self) -> None:
        """Remove the frames kept on the way, and only those."""
        for path in [*self._folder.glob("draft_*.png"), *self._folder.glob("picture_*.png"), self._folder / RECORD]:
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # something of the user's own is in it, or it is not there
            self._folder.rmdir()

    def _read(self, folder: Path, planned: Sequence[Shot]) -> None:
        """Take what is in ``folder``, under the same settings. What can't be read is made again."""
        with contextlib.suppress(OSError):
            settings, *lines = _lines((folder / RECORD).read_text("utf-8", errors="replace"))
            names = {(line["prompt"], line["frame"], line["moved"]): line["name"] for line in lines}
            for shot in planned if settings == self._settings else ():
                name = names.get((shot.prompt, shot.frame, shot.moved))
                if name is not None:
                    with contextlib.suppress(OSError):
                        pixels = [_pixels(folder / f"{kind}_{name}.png") for kind in KINDS]
                        self.there[shot.index] = ShotResult(shot, *pixels, times={})


def _lines(text: str) -> list[Any]:
    """The record's lines, an empty first one where there is none; a run that was ended leaves a part of a last line."""
    lines: list[Any] = []
    for line in text.splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            break
    return lines or [{}]


def write_video(target: Path, shown: Sequence[ShotResult], fps: float, encoder: Sequence[str]) -> None:
    """Write the pictures to ``target`` by ``encoder``, a command that is given the path of its list.

    Raises OSError, with the encoder's last words, where it fails.
    """
    import subprocess
    import tempfile

    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="draftglass-") as outer:
        folder = Path(outer) / "film"  # which the encoder removes
        folder.mkdir()
        files = [f"{number:06d}.png" for number in range(len(shown))]
        for name, one in zip(files, shown, strict=True):
            Image.fromarray(one.picture).save(folder / name, compress_level=1)
        height, width = shown[0].picture.shape[:2]
        part = folder.parent / f"video{target.suffix}"
        told = {
            "kind": "video",
            "target": str(part),
            "fps": fps,
            "size": [width, height],
            "files": files,
            "frames": list(range(len(files))),
        }
        (folder / "recording.json").write_text(json.dumps(told), encoding="utf-8")
        done = subprocess.run([*encoder, str(folder / "recording.json")], capture_output=True, text=True, check=False)
        if done.returncode or not part.is_file():
            words = (done.stderr or done.stdout).strip().splitlines()
            raise OSError(words[-1] if words else f"Blender's encoder ended with status {done.returncode}")
        shutil.move(part, target)


def _pixels(path: Path) -> Any:
    with Image.open(path) as file:
        return np.asarray(file.convert("RGB"))
