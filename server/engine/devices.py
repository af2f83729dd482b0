"""Where and in which precision to compute, and how to time it. torch, no models.

bf16 on a CPU that has no instructions for it is several times slower than fp32, so the CPU is asked first.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from .errors import EngineError
from .limits import quota

DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True)
class Place:
    """A device and the precision of the models on it."""

    device: torch.device
    dtype: torch.dtype


def choose(device: str = "auto", dtype: torch.dtype | None = None) -> Place:
    """The place for ``device``: ``auto``, ``cpu``, ``cuda`` (or ``cuda:1``), ``mps``. Raises EngineError."""
    kind = device.partition(":")[0]
    if kind not in DEVICES or (":" in device and kind != "cuda"):
        raise EngineError(
            f"device is {device!r}, but must be one of {', '.join(DEVICES)} or cuda:NUMBER", "bad_request"
        )
    has_mps = torch.backends.mps.is_available()
    if kind == "auto":
        device = kind = "cuda" if torch.cuda.is_available() else "mps" if has_mps else "cpu"
    if kind == "cuda" and not torch.cuda.is_available():
        raise EngineError("device is 'cuda', but torch finds no CUDA GPU here: use --device auto", "bad_request")
    if kind == "mps" and not has_mps:
        raise EngineError("device is 'mps', but torch finds no Apple GPU here: use --device auto", "bad_request")
    try:
        place = torch.device(device)
    except RuntimeError:
        raise EngineError(f"device is {device!r}, but a CUDA device is written like 'cuda:0'", "bad_request") from None
    if place.type == "cuda" and (place.index or 0) >= torch.cuda.device_count():
        raise EngineError(f"device is {device!r}, but there are {torch.cuda.device_count()} CUDA GPUs", "bad_request")
    return Place(place, dtype or best_dtype(place))


def best_dtype(device: torch.device) -> torch.dtype:
    """The fastest precision that is safe on ``device``."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if device.type == "cpu" and cpu_has_bf16():
        return torch.bfloat16
    return torch.float32  # also on Apple GPUs, where half precision overflows in some autoencoders


def cpu_has_bf16() -> bool:
    """Whether this CPU multiplies bf16 itself (AVX512-BF16, AMX or Arm's BF16)."""
    # of early 2026: a torch with CUDA that a machine has already may be older, and its CPU then computes in fp32
    found = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    has_it = any(found.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return has_it and torch.backends.mkldnn.is_available()


def cpu_threads() -> int:
    """How many threads to compute with: a core stays free for Blender where there are more than two.

    The number of the environment variable OMP_NUM_THREADS, where it is set, is the user's own choice.
    """
    if os.environ.get("OMP_NUM_THREADS"):
        return _default_threads
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    allowed = int(min(allowed, quota()))
    # two threads on one core's hyperthreads slow each other down, so torch's own default counts real cores
    cores = max(1, min(allowed, _default_threads))
    return cores - 1 if cores > 2 else cores


_default_threads = torch.get_num_threads()


def give_back_freed() -> None:
    """Have memory that is free within this process handed back to the system, where PyTorch or the C library keeps it.

    To be called once nothing refers to it any more.
    """
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; others give it back by themselves
        if trim is not None:
            trim(0)


class Stopwatch:
    """Milliseconds by stage of one frame after the other.

    On CUDA by events, which are kept from frame to frame, and read once at a frame's end, so that no stage waits for
    the GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._device, self._cuda = device, device.type == "cuda"
        self._events: list[torch.cuda.Event] = []
        self.start()

    def start(self) -> None:
        """A frame begins: what was measured of the one before is forgotten."""
        self._started = time.perf_counter()
        self._spans: list[tuple[str, float | torch.cuda.Event, float | torch.cuda.Event]] = []
        self._used = 0

    def _mark(self) -> float | torch.cuda.Event:
        if not self._cuda:
            return time.perf_counter()
        if self._used == len(self._events):
            self._events.append(torch.cuda.Event(enable_timing=True))
        event = self._events[self._used]
        self._used += 1
        event.record(torch.cuda.current_stream(self._device))
        return event

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        before = self._mark()
        yield
        self._spans.append((name, before, self._mark()))

    def read(self, stages: tuple[str, ...]) -> dict[str, float]:
        """Milliseconds of each of ``stages`` (0 where it did not run), of what else ran, and of the ``engine``."""
        times = dict.fromkeys(stages, 0.0)
        for name, before, after in self._spans:
            if isinstance(before, float):
                times[name] = times.get(name, 0.0) + (after - before) * 1e3  # type: ignore[operator]
            else:
                after.synchronize()  # type: ignore[union-attr]
                times[name] = times.get(name, 0.0) + before.elapsed_time(after)  # type: ignore[arg-type]
        times["engine"] = (time.perf_counter() - self._started) * 1e3
        return times
