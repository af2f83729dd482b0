"""Estimates the memory that a model and a picture need, and checks that it is there. torch."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from addon.problems.serving import OutOfMemory
from addon.wire import Style

from ..devices import Place
from ..errors import EngineError, ran_out_of_memory
from ..limits import MemoryWatch, free_memory
from .files import check_safetensors
from .inspection import Files

LARGE = 1_200_000_000
"""Parameters from which on a model is loaded in the precision it runs in, not in fp32: SDXL, but not SD1.5."""
SPARE = 1.15
"""For what a frame needs beside the weights, at 512 x 512."""
LIBRARIES, MAPPED = 120_000_000, 420_000_000
"""Bytes that the libraries take when they are first used, beside the weights, and that they and threads map."""
LIVE_FULL, LIVE_LATENT = 2.5, 40
"""Of an autoencoder's widest tensor at full size, and of a UNet's at that of the latents: how many are there at once.
Both are somewhat above what was measured; skip connections are most of the latter."""
PRIMITIVE = re.compile(r"could not (create|execute) a (primitive|memory)")
"""oneDNN's words for a want of memory, and for other things."""
NEXT_TO_NOTHING = 512 << 20
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
    free, whose = free_memory(MAPPED)
    _check(files, loading + LIBRARIES, free, whose)


def _check(files: Files, needed: int, free: int, device: str) -> None:
    if needed > free:
        raise EngineError(OutOfMemory(f"the model {files.spec.name or files.base.name}", needed, free, device))


_watch = MemoryWatch()


def picture_bytes(style: Style, count: int, pipeline: Any) -> int:
    """About how many bytes ``count`` pictures of ``style`` take while ``pipeline`` makes them in one go.

    At full size an autoencoder's widest tensor is as wide as its second level, whose result is enlarged before it is
    narrowed.
    """
    levels, rows = pipeline.vae.config.block_out_channels, count * (2 if style.guidance > 1 else 1)
    full = levels[min(1, len(levels) - 1)] * LIVE_FULL * count
    latent = pipeline.unet.config.block_out_channels[0] * LIVE_LATENT * rows / 64
    return int(style.width * style.height * max(full, latent) * pipeline.dtype.itemsize)


def check_picture(style: Style, count: int, pipeline: Any, device: torch.device, task: str) -> None:
    """Raise EngineError where the CPU is to make ``count`` pictures, the ``task``, and has too little memory free.

    A GPU says itself that it has no more; the system would end this process.
    """
    if device.type != "cpu":
        return
    needed = picture_bytes(style, count, pipeline)
    free, whose = _watch.free(needed)
    if needed > free:
        raise EngineError(OutOfMemory(task, needed, free, whose))


def is_shortage(error: Exception) -> bool:
    """Whether ``error`` says that memory ran out, a GPU's or the computer's."""
    if isinstance(error, torch.OutOfMemoryError) or ran_out_of_memory(error):
        return True
    is_unclear = isinstance(error, RuntimeError) and PRIMITIVE.search(str(error)) is not None
    return is_unclear and free_memory()[0] < NEXT_TO_NOTHING


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
