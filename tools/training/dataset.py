"""Blockout samples as arrays: finding them in folders or tar shards, splitting them by scene. No bpy.

A sample is four things under one id `SHARD_NUMBER`: draft, inverse depth, finished picture and what it shows.
Samples 2k and 2k + 1 of a shard show the same scene, so a split keeps such pairs together. Shards from
`FIRST_JUDGING_SHARD` up, and held-out attribute pairs, are for judging only.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tools.training.attributes import ATTRIBUTES, is_held_out

FIRST_JUDGING_SHARD = 900
KINDS = (".jpg", ".png", ".webp", ".jsonl")
EVALUATION_EVERY = 14  # one scene in so many is kept for evaluation


@dataclass
class Samples:
    """Arrays with one entry per sample.

    drafts, finals: uint8, (N, H, W, 3). depths: uint8, (N, H, W), inverse depth, 255 at the nearest surface and
    0 for the background. records: N dictionaries with "id" and the four attributes, or what `parts.choose` gives.
    """

    drafts: NDArray[Any]
    depths: NDArray[Any]
    finals: NDArray[Any]
    records: list[dict[str, Any]]

    def __len__(self) -> int:
        return len(self.records)

    def subset(self, keep: Iterable[int]) -> Samples:
        """Return the samples at the positions `keep`, in that order."""
        rows = np.fromiter(keep, dtype=np.int64)
        return Samples(self.drafts[rows], self.depths[rows], self.finals[rows], [self.records[i] for i in rows])

    def labels(self, heads: Mapping[str, tuple[str, ...]] = ATTRIBUTES) -> NDArray[Any]:
        """Return the attributes, or parts, of ``heads`` as int64 class indices, (N, heads), in their order.

        -1 where a sample has no such part.
        """
        told = [record | record.get("parts", {}) for record in self.records]

        def label(one: dict[str, Any], name: str) -> int:
            return heads[name].index(one[name]) if one.get(name) in heads[name] else -1

        return np.array([[label(one, name) for name in heads] for one in told])


def scene_of(sample_id: str) -> tuple[int, int]:
    """Return (shard, scene) of a sample id such as "010_00042"."""
    shard, number = sample_id.split("_")
    return int(shard), int(number) // 2


def is_for_training(record: dict[str, Any]) -> bool:
    """Tell whether a sample may be trained on: its scene is not kept for evaluation, nor its pair held out."""
    shard, scene = scene_of(record["id"])
    return shard < FIRST_JUDGING_SHARD and scene % EVALUATION_EVERY != 0 and not is_held_out(record)


def load_samples(sources: Iterable[str | Path], limit: int | None = None) -> Samples:
    """Read every complete sample found in `sources` (folders or .tar shards), sorted by id.

    Raises ValueError when there is none.
    """
    found: dict[str, dict[str, Any]] = {}
    for source in sources:
        for name, data in _files(Path(source)):
            if name.endswith(".jsonl"):
                for line in data.decode().splitlines():
                    record = json.loads(line)
                    found.setdefault(record["id"], {})["record"] = record
            else:
                stem, _, plane = Path(name).stem.rpartition("_")
                if plane in ("draft", "depth", "final"):
                    mode = "L" if plane == "depth" else "RGB"
                    found.setdefault(stem, {})[plane] = np.asarray(Image.open(io.BytesIO(data)).convert(mode))
    whole = [found[k] for k in sorted(found) if len(found[k]) == 4][:limit]
    if not whole:
        raise ValueError(f"no complete sample in {', '.join(map(str, sources))}")
    drafts, depths, finals = (np.stack([s[plane] for s in whole]) for plane in ("draft", "depth", "final"))
    return Samples(drafts, depths, finals, [s["record"] for s in whole])


def load_cached(sources: Iterable[str | Path], cache: Path) -> Samples:
    """As `load_samples`, keeping the decoded arrays in the .npz file `cache` for the next start."""
    sources = [str(s) for s in sources]
    key = json.dumps([(s, os.path.getmtime(s)) for s in sources])
    if cache.exists():
        with np.load(cache) as data:
            if str(data["key"]) == key:
                return Samples(data["drafts"], data["depths"], data["finals"], json.loads(str(data["records"])))
    samples = load_samples(sources)
    cache.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        cache,
        key=key,
        drafts=samples.drafts,
        depths=samples.depths,
        finals=samples.finals,
        records=json.dumps(samples.records),
    )
    return samples


def _files(source: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (name, content) of the files in a folder or a tar archive, other kinds of file left out."""
    if source.is_dir():
        for path in sorted(source.iterdir()):
            if path.suffix in KINDS:
                yield path.name, path.read_bytes()
    else:
        with tarfile.open(source) as archive:
            for member in archive:
                if member.isfile() and Path(member.name).suffix in KINDS:
                    content = archive.extractfile(member)
                    if content is not None:
                        yield Path(member.name).name, content.read()
