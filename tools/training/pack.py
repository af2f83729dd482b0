"""The command that packs samples into one small file, to train on another machine. numpy and Pillow, no bpy.

    python -m tools.training.pack [--data DIR ...] [--out FILE.tar] [--most MIB]

Pictures become WebP, of the best quality at which all fit; depths lose nothing. ``dataset`` reads the file as it is.
"""

from __future__ import annotations

import argparse
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tools.training.dataset import Samples, load_samples
from tools.training.export import WORK

QUALITIES = (92, 88, 84, 80, 74, 66)
DRAFT_LESS = 12  # the draft's flat colours need less than the finished picture
MOST = 60.0  # MiB


def encoded(pixels: NDArray[Any], quality: int | None) -> bytes:
    """Return WebP of uint8 (H, W, 3) at that quality, or of (H, W) without loss where it is None."""
    data = io.BytesIO()
    options = {"lossless": True, "method": 4} if quality is None else {"quality": quality, "method": 4}
    Image.fromarray(pixels).convert("RGB").save(data, "WEBP", **options)
    return data.getvalue()


def pack(samples: Samples, out: Path, most: float = MOST) -> int:
    """Write ``samples`` to the tar ``out``, below ``most`` MiB, and return the quality of its pictures.

    Raises ValueError where not even the last of `QUALITIES` is small enough.
    """
    depths = [encoded(depth, None) for depth in samples.depths]
    for quality in QUALITIES:
        files: list[tuple[str, bytes]] = []
        for row, record in enumerate(samples.records):
            files.append((f"{record['id']}_draft.webp", encoded(samples.drafts[row], quality - DRAFT_LESS)))
            files.append((f"{record['id']}_depth.webp", depths[row]))
            files.append((f"{record['id']}_final.webp", encoded(samples.finals[row], quality)))
        files.append(("records.jsonl", "\n".join(map(json.dumps, samples.records)).encode()))
        size = sum(-(-len(data) // 512) * 512 + 512 for _, data in files) + 10_240  # as tar pads them
        if size <= most * 2**20:
            out.parent.mkdir(parents=True, exist_ok=True)
            with tarfile.open(out, "w") as archive:
                for name, data in files:
                    entry = tarfile.TarInfo(name)
                    entry.size = len(data)
                    archive.addfile(entry, io.BytesIO(data))
            return quality
    fitting = int(len(samples) * most * 2**20 / size)
    raise ValueError(f"{len(samples)} samples take {size / 2**20:.1f} MiB, but {most:g} are the most: take {fitting}")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Pack samples into one small file.")
    parser.add_argument("--data", nargs="+", default=[str(WORK / "data")], help="folders of samples, or tar shards")
    parser.add_argument("--out", type=Path, default=WORK / "pack.tar", help="the file to write")
    parser.add_argument("--most", type=float, default=MOST, metavar="MIB", help=f"its largest size ({MOST:g})")
    parser.add_argument("--samples", type=int, help="use no more than so many, evenly spread")
    given = parser.parse_args()
    samples = load_samples(given.data)
    if given.samples and given.samples < len(samples):
        samples = samples.subset(np.linspace(0, len(samples) - 1, given.samples).astype(int))
    try:
        quality = pack(samples, given.out, given.most)
    except ValueError as error:
        parser.error(str(error))
    size = given.out.stat().st_size / 2**20
    print(f"{given.out}: {len(samples)} samples, {size:.1f} MiB, pictures at quality {quality}")


if __name__ == "__main__":
    main()
