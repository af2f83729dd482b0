"""Full-size SD1.5 and SDXL with random weights load, make one picture and give their memory back. Takes minutes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.parametrize(("family", "weights", "at_most"), [("SD1.5", 1.98, 8.0), ("SDXL", 6.46, 16.0)])
def test_a_full_size_model(tmp_path: Path, family: str, weights: float, at_most: float) -> None:
    """``weights``: GiB in half precision. ``at_most``: of memory at any time, the pages of mapped files included."""
    program = "from tests.plain.engine.full_size import *; write(Path(sys.argv[1]), sys.argv[2])"
    # in a process of its own, whose memory does not count
    subprocess.run([sys.executable, "-c", program, str(tmp_path), family], check=True)
    run = [sys.executable, "-m", "tests.plain.engine.full_size", family, str(tmp_path)]
    report = json.loads(subprocess.run(run, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    print(json.dumps({**report, "progress": len(report["progress"])}))
    assert report["shape"] == [256, 256, 3]
    assert report["rising"] and len(report["progress"]) > 50
    assert weights * 0.95 < report["weights_gib"] < weights * 2.1  # twice as much where it runs in fp32
    assert report["peak_gib"] < at_most * report["weights_gib"] / weights
    assert report["released_gib"] - report["before_gib"] < report["weights_gib"] / 2
