"""How much memory a model takes, and whether there is so much. torch and psutil."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import torch

from addon.problems.serving import OutOfMemory

from ..devices import Place
from ..errors import EngineError
from .files import check_safetensors
from .inspection import Files

LARGE = 1_200_000_000
"""Parameters from which on a model is loaded in the precision it runs in, not in fp32: SDXL, but not SD1.5."""
SPARE = 1.15
"""For what a frame needs beside the weights, at 512 x 512."""
EMA = "model_ema."
"""Averages of a UNet's weights that full checkpoints in one file have beside them, and that are not loaded."""


def parameters(files: Files) -> int:
    """How many numbers the model's weights have, LoRAs left out: they end up in the others."""
    paths = {path for part in files.weights.values() for path in part.files}
    shapes = (shape for path in paths for name, shape in check_safetensors(path).items() if not name.startswith(EMA))
    return sum(map(math.prod, shapes))


def loading_dtype(files: Files, place: Place) -> torch.dtype:
    """The precision to load in: fp32 keeps what a LoRA adds from being rounded twice, but takes twice the memory."""
    return place.dtype if parameters(files) > LARGE else torch.float32


def check_memory(files: Files, place: Place) -> None:
    """Raise EngineError where the model does not fit into the memory that is free, and say what would."""
    count = parameters(files)
    needed = int(count * place.dtype.itemsize * SPARE)
    loading = count * loading_dtype(files, place).itemsize
    if place.device.type == "cuda":
        free = torch.cuda.mem_get_info(place.device)[0]
        # what this process has reserved and no longer uses can be used again
        free += torch.cuda.memory_reserved(place.device) - torch.cuda.memory_allocated(place.device)
        _check(files, needed, free, str(place.device))
    else:
        loading = max(loading, needed)
    _check(files, loading, psutil.virtual_memory().available, "cpu")


def _check(files: Files, needed: int, free: int, device: str) -> None:
    if needed > free:
        raise EngineError(OutOfMemory(f"the model {files.spec.name or files.base.name}", needed, free, device))


def is_shortage(error: Exception) -> bool:
    """Whether ``error`` says that memory ran out; the CPU's allocator raises a plain RuntimeError."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "alloc" in str(error) and "memory" in str(error)


@contextmanager
def shortage_told(what: str, free: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Where memory runs out meanwhile, call ``free`` and raise the EngineError that says so of ``what``."""
    try:
        yield
    except Exception as error:
        if not is_shortage(error):
            raise
        free()
        raise EngineError(OutOfMemory(what)) from error
