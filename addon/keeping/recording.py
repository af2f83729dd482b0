"""A recording: every picture shown, as files, with the time of each. Standard library and numpy; no bpy."""

from __future__ import annotations

import json
import os
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .files import write_whole
from .png import encode

LIST = "recording.json"
ROOM = ".room_for_the_list"
"""A file that takes the room that the list will need, so that a full disk does not keep it from being written."""
PIECE = 1 << 16
"""Bytes by which that file grows."""
LEVEL = 1
"""zlib's: a picture is written in Blender's main loop, so the file may be a little larger."""


def timeline(times: Sequence[float], end: float, fps: float) -> list[int]:
    """For each frame of a video of ``fps``, the number of the picture on show then.

    ``times``: when each was shown, in seconds, ascending; the first frame is at ``times[0]``. The last picture is
    held until ``end``, and for one frame at least. Of several pictures within one frame the last is taken.
    Raises ValueError.
    """
    if not fps > 0:
        raise ValueError(f"fps is {fps}, but must be above 0")
    if not times:
        return []
    begin = times[0]
    last = round((times[-1] - begin) * fps)
    count = max(last + 1, round((end - begin) * fps))
    # by rounding, not by the frame's own time: a picture shown 1 ms after a frame belongs to that frame
    shown = [round((time - begin) * fps) for time in times]
    return [bisect_right(shown, frame) - 1 for frame in range(count)]


class Recording:
    """Writes the pictures to ``folder`` as they come. Raises OSError as files do; what there is then is whole.

    ``fps``: frames a second of the video or the sequence that is made of it.
    """

    def __init__(self, folder: Path, fps: float) -> None:
        if not fps > 0:
            raise ValueError(f"fps is {fps}, but must be above 0")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.fps = folder, fps
        self._files: list[str] = []
        self._times: list[float] = []
        self._size: tuple[int, int] | None = None
        self._room = 0
        self._reserve(0.0)

    def __len__(self) -> int:
        return len(self._files)

    def seconds(self, now: float) -> float:
        """Since the first picture."""
        return now - self._times[0] if self._times else 0.0

    def add(self, image: NDArray[np.uint8], now: float) -> None:
        """Write ``image`` (uint8, H x W x 3), shown at ``now`` seconds of a monotonic clock.

        One of another size than the first is stretched to it, as a video has one size only.
        """
        if self._size is None:
            self._size = image.shape[1], image.shape[0]
        width, height = self._size
        if (width, height) != (image.shape[1], image.shape[0]):
            rows, columns = np.arange(height) * image.shape[0] // height, np.arange(width) * image.shape[1] // width
            image = image[rows[:, None], columns]
        self._reserve(now)
        name = f"picture_{len(self._files) + 1:06d}.png"
        write_whole(self.folder / name, encode(image, level=LEVEL))
        self._files.append(name)
        self._times.append(max(now, self._times[-1]) if self._times else now)

    def finish(self, now: float, kind: str, target: Path) -> Path:
        """Write what is to be made of it, for ``blender/encode.py``, and return that file's path.

        ``kind``: ``video`` or ``sequence``. ``target``: the video, or the folder of the sequence.
        Raises ValueError for a recording without pictures.
        """
        if self._size is None:
            raise ValueError("nothing was recorded: no picture was shown meanwhile")
        frames = timeline(self._times, now, self.fps)
        told = {
            "kind": kind,
            "target": str(target),
            "fps": self.fps,
            "size": self._size,
            "times": [time - self._times[0] for time in self._times],
            "files": self._files,
            "frames": frames,
        }
        path = self.folder / LIST
        (self.folder / ROOM).unlink(missing_ok=True)
        write_whole(path, json.dumps(told).encode())
        return path

    def _reserve(self, now: float) -> None:
        """Have the room that the list takes now, and a minute from now."""
        needed = 80 * len(self._files) + 8 * self.fps * (self.seconds(now) + 60)
        with (self.folder / ROOM).open("ab") as file:
            while self._room < needed:
                file.write(os.urandom(PIECE))  # a disk that compresses would make nothing of zeros
                self._room += PIECE
