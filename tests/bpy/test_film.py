"""A film as a video, by Blender's own encoder in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from addon.headless.film import write_video
from addon.headless.main import ENCODE
from addon.headless.plan import Shot
from addon.headless.run import ShotResult


def test_a_video_has_a_frame_for_each_picture(blender: Any, tmp_path: Path) -> None:
    shades = [np.full((64, 96, 3), shade, np.uint8) for shade in (20, 120, 220)]
    frames = [ShotResult(Shot(index, "x", 0, frame=index), shade, shade, {}) for index, shade in enumerate(shades)]
    target = tmp_path / "new" / "film.mp4"
    write_video(target, frames, 24, [sys.executable, str(ENCODE)])
    clip = blender.data.movieclips.load(str(target))
    assert clip.frame_duration == 3 and tuple(clip.size) == (96, 64) and clip.fps == pytest.approx(24)


def test_an_encoder_that_fails_says_why(tmp_path: Path) -> None:
    picture = np.zeros((64, 64, 3), np.uint8)
    failing = [sys.executable, "-c", "import sys; sys.exit('no codec')"]
    with pytest.raises(OSError, match="no codec"):
        write_video(tmp_path / "film.mp4", [ShotResult(Shot(0, "x", 0), picture, picture, {})], 24, failing)
    assert not list(tmp_path.glob("*.mp4"))
