"""A film on disk: its settings, a PNG for each frame, and its video. Imports what imports bpy."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ...keeping import KeepError
from ..pictures.record import command

SETTINGS = "film.json"
FORMAT = 1
FREE = frozenset({"frames", "cuts", "made", "fps", "settings"})
"""Parts of the settings that no single frame depends on: a film may be made longer. The style is told by itself."""
SPOOL = "encoding.draftglass"


class FilmFiles:
    """The folder of one film."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        """Make ``folder`` and write down ``settings``, plain values. Raises OSError."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / SETTINGS, json.dumps(settings, indent=1, ensure_ascii=False).encode())

    def path(self, frame: int) -> Path:
        """The PNG of ``frame``, numbered as Blender numbers its own."""
        return self.folder / f"{frame:04d}.png"

    def missing(self, frames: Iterable[int]) -> list[int]:
        """Those of ``frames`` that are still to be made."""
        return [frame for frame in frames if not self.path(frame).is_file()]

    def add(self, frame: int, png: bytes) -> None:
        """Write a frame, as a whole or not at all. Raises OSError."""
        _write(self.path(frame), png)

    def encode(self, frames: Sequence[int], fps: float, size: tuple[int, int]) -> tuple[subprocess.Popen[bytes], Path]:
        """Begin to make a video of ``frames`` by a Blender in the background; returns it, and what it writes.

        ``size``: width and height. Raises OSError.
        """
        spool = self.folder / SPOOL
        shutil.rmtree(spool, ignore_errors=True)
        spool.mkdir()
        names = [self.path(frame).name for frame in frames]
        for name in names:
            try:
                os.link(self.folder / name, spool / name)
            except OSError:  # a disk without links
                shutil.copyfile(self.folder / name, spool / name)
        part = self.folder / "unfinished.mp4"
        part.unlink(missing_ok=True)
        told = {"kind": "video", "target": str(part), "fps": fps, "size": size, "files": names}
        (spool / "recording.json").write_text(json.dumps({**told, "frames": list(range(len(names)))}), "utf-8")
        with (self.folder / "encode.log").open("wb") as log:
            started = subprocess.Popen(
                command(spool / "recording.json"), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        return started, part

    def encoded(self, part: Path) -> Path:
        """Give the video its name; returns that. Raises OSError."""
        target = self.folder.with_suffix(".mp4")
        part.replace(target)
        (self.folder / "encode.log").unlink(missing_ok=True)
        return target


def folder_for(home: Path, name: str, settings: dict[str, Any], goes_on: bool) -> Path:
    """``name``, ``name_002`` and so on in ``home``: the first that is free, or ``goes_on`` with frames of ``settings``.

    Raises OSError.
    """
    plain, number = json.loads(json.dumps(settings)), 1
    while True:
        folder = home / (name if number == 1 else f"{name}_{number:03d}")
        if not folder.exists() or not any(folder.iterdir()):
            return folder
        if goes_on and (folder / SETTINGS).is_file():
            try:
                there = read_settings(folder / SETTINGS)
            except KeepError:
                there = {}
            if {key: there.get(key) for key in plain if key not in FREE} == {
                key: value for key, value in plain.items() if key not in FREE
            }:
                return folder
        number += 1


def read_settings(path: Path) -> dict[str, Any]:
    """What ``path``, a film's settings, says. Raises KeepError with a sentence."""
    try:
        told = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise KeepError(f"{path.name} cannot be read: {error.strerror or error}.") from None
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict) or not isinstance(told.get("settings"), dict) or "format" not in told:
        raise KeepError(f"{path.name} holds no settings of a film: choose the {SETTINGS} in a film's folder.")
    if not isinstance(told["format"], int) or told["format"] > FORMAT:
        raise KeepError(f"{path.name} is of a newer version of Draftglass: update the extension.")
    return told


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(data)
    part.replace(path)
