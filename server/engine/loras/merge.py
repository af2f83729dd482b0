"""Adds LoRAs to a model's weights, for good or until others are chosen. torch.

A LoRA is added to the weights themselves, so that it costs nothing in a frame: W + weight * up @ down, computed in
fp32 from the weights as they were before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from ..embedding_file import Bundled
from ..errors import EngineError
from ..spec import LoraFile
from .names import GROUPS
from .read import Change, Contents, read_lora

REST = 32
"""Frames with the same weights after which nobody drags a slider any more."""
ROOM = 4
"""Unchanged weights stay on a GPU while that leaves this many times their size free there, else in main memory."""


class _Deltas:
    """The products of LoRAs, kept while their weights are being changed: a slider that is dragged needs them again."""

    def __init__(self) -> None:
        self._made: dict[int, torch.Tensor] = {}
        self._rested = REST
        self.keep = False

    def of(self, change: Change) -> torch.Tensor:
        made = self._made.get(id(change))
        if made is None:
            made = change.delta()
            if self.keep:
                self._made[id(change)] = made
        return made

    def moved(self, same: bool) -> None:
        """Weights were changed, of the ``same`` LoRAs as before."""
        self.keep = same and self._rested < REST
        if not self.keep:
            self._made.clear()
        self._rested = 0

    def rested(self) -> None:
        """A frame has come with the weights as they were."""
        self._rested += 1
        if self._rested == REST:
            self._made.clear()


class LoraStack:
    """The LoRAs in the weights of one model. Not thread-safe: one thread renders.

    ``name``: of the model, for sentences. ``encoders``: the text encoders, one of SD1.5, two of SDXL.
    """

    def __init__(self, name: str, unet: Any, encoders: list[Any]) -> None:
        self._name = name
        self._modules = dict(zip(GROUPS, (unet, *encoders), strict=False))
        self._used: tuple[LoraFile, ...] = ()
        self._read_files: dict[tuple[Path, int, int], Contents] = {}
        self._fused: tuple[Bundled, ...] = ()
        self._originals: dict[int, tuple[Change, torch.Tensor]] = {}
        self._deltas = _Deltas()

    @torch.no_grad()
    def fuse(self, lora: LoraFile) -> None:
        """Add ``lora`` for good. Raises EngineError, and changes nothing then, where it does not fit the model."""
        contents = self._read(lora.path)
        changes = contents.changes
        # what two of them add to one weight, both add to what it was before
        before = {id(change.weight): change.weight.float().clone() for change in changes if not change.is_fixed}
        for change in changes:
            original = before.get(id(change.weight), change.weight)
            change.weight.copy_(change.weight.float() + change.added(original, lora.weight))
        self._fused += contents.bundled

    @torch.no_grad()
    def use(self, loras: Iterable[LoraFile]) -> set[str]:
        """Have exactly ``loras`` in the weights, beside those that were fused; returns which :data:`GROUPS` changed.

        Raises EngineError, and changes nothing then, where one does not fit the model; where memory runs out half way,
        none is in use. A file in use already is not read again: a change of weights alone costs one pass over them.
        """
        wanted = tuple(lora for lora in loras if lora.weight != 0)
        if wanted == self._used:
            self._deltas.rested()
            return set()
        files = {lora.path: _stamp(lora.path) for lora in wanted}
        read = {stamp: self._read_files.get(stamp) or self._read(stamp[0]) for stamp in files.values()}
        self._deltas.moved(same=read.keys() == self._read_files.keys())
        sums: dict[int, list[tuple[float, Change]]] = {}
        for lora in wanted:
            for change in read[files[lora.path]].changes:
                sums.setdefault(id(change.weight), []).append((lora.weight, change))
        self._keep_originals(changes[0][1] for changes in sums.values())
        touched = {change.group for change, _ in self._originals.values()}
        try:
            for key, (change, original) in self._originals.items():
                self._put(change.weight, original, sums.get(key, ()))
        except Exception:
            for change, original in self._originals.values():
                change.weight.copy_(original)
            self._used, self._read_files, self._originals, self._deltas = (), {}, {}, _Deltas()
            raise
        self._originals = {key: kept for key, kept in self._originals.items() if key in sums}
        self._read_files, self._used = read, wanted
        return touched

    @property
    def in_use(self) -> set[str]:
        """The names of what is in use, and of the files without their ends, in lower case."""
        return {name.lower() for lora in self._used for name in (lora.path.stem, lora.name)}

    @property
    def bundled(self) -> tuple[Bundled, ...]:
        """The textual inversions that the files in use bring with them."""
        return (*self._fused, *(each for contents in self._read_files.values() for each in contents.bundled))

    def _put(self, weight: torch.Tensor, original: torch.Tensor, changes: Sequence[tuple[float, Change]]) -> None:
        """Make ``weight`` what it was, and ``changes`` with their factors added; rounded once."""
        if not changes:
            weight.copy_(original)
        elif len(changes) == 1 and changes[0][1].is_fixed:
            (factor, change), device = changes[0], weight.device
            torch.add(original.to(device), self._deltas.of(change), alpha=factor, out=weight)
        else:
            total = original.to(weight.device, torch.float32, copy=True)
            for factor, change in changes:
                if change.is_fixed:
                    total.add_(self._deltas.of(change), alpha=factor)
                else:
                    total.add_(change.added(original, factor))
            weight.copy_(total)

    def _keep_originals(self, changes: Iterable[Change]) -> None:
        fresh = {id(change.weight): change for change in changes if id(change.weight) not in self._originals}
        size = sum(change.weight.nbytes for change in fresh.values())
        device = next((change.weight.device for change in fresh.values()), torch.device("cpu"))
        roomy = device.type != "cuda" or torch.cuda.mem_get_info(device)[0] > ROOM * size
        for key, change in fresh.items():
            self._originals[key] = (change, change.weight.clone() if roomy else change.weight.cpu())

    def _read(self, path: Path) -> Contents:
        return read_lora(path, self._name, self._modules)


def _stamp(path: Path) -> tuple[Path, int, int]:
    try:
        facts = path.stat()
    except OSError:
        raise EngineError(f"LoRA {str(path)!r} does not exist: choose another, or put the file back") from None
    return path, facts.st_mtime_ns, facts.st_size
