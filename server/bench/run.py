"""Which arms a model gets, and in which configurations they are measured. torch and diffusers, no bpy."""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from addon.wire import Request
from server.engine import StableDiffusionLcm
from server.engine.devices import best_dtype
from server.engine.loading import Parts

from . import frames, models
from .arms import Arm, Stock, compile_first, copied, load, missing, one_noise, ours, ours_batched
from .loop import Loops, loop_arm, loop_name
from .measure import Row, even, fill, interleave
from .report import floor
from .stream import stream_diffusion, stream_name

BATCH = 4


class Bench:
    """Measures models one after the other; ``rows`` and ``grown`` hold what came out so far.

    ``work``: a folder for models made on the fly. ``given``: the command's arguments.
    """

    def __init__(self, device: torch.device, work: Path, given: argparse.Namespace) -> None:
        self.rows: list[Row] = []
        self.grown: list[Row] = []
        self._device, self._work, self._given = device, work, given
        self._dtype = best_dtype(device)
        self._cuda = device.type == "cuda"
        self._place = torch.cuda.get_device_name(device) if self._cuda else "CPU"
        self._end = time.monotonic() + 60 * given.minutes

    def model(self, name: str) -> None:
        """All arms of model ``name``, at each number of steps."""
        if self.rows and self._late():
            self._skip(name)
            return
        self._say(f"{name}: loading")
        folder = models.model_folder(name, self._work, self._device)
        size = self._given.size or models.SIZES.get(name, 512)
        parts = load(folder)
        arms, close = self._arms(name, parts)
        loops = self._start_loops(name, folder)
        try:
            arms += self._loop_arms(loops, depth=parts.control is not None)
            for steps in self._given.steps:
                if self.rows and self._late():  # the first is measured however late a busy machine comes to it
                    self._skip(name)
                    break
                self._say(f"{name}: {steps} steps at {size}")
                rows = [self._row(name, size, steps, arm.name) for arm in arms]
                with one_noise():
                    interleave(
                        arms, self._cached(size, steps), rows, self._rounds, self._frames, self._warm, self._late
                    )
                self.rows += rows
        finally:
            if isinstance(loops, Loops):
                loops.close()
            for engine in close:
                engine.close()
            arms.clear()
            self._free()

    def growth(self, names: list[str]) -> None:
        """Cost by size, by steps and by clients, of the first of ``names`` that has full size on this device."""
        name = "sd15" if "sd15" in names else names[0]
        folder = models.model_folder(name, self._work, self._device)
        usual = self._given.size or models.SIZES.get(name, 512)
        engine = self._engine(load(folder))
        arm = ours(engine, "", depth=False)
        sizes = [(side, 2) for side in (256, 512, 768, 1024)]
        plan = [("by size", side, steps) for side, steps in sizes]
        plan += [("by steps", usual, steps) for steps in (1, 2, 4, 8)]
        for kind, side, steps in plan:
            if self._late():
                break
            self._say(f"{name}: {kind}, {steps} steps at {side}")
            row = self._row(name, side, steps, kind)
            interleave([arm], self._cached(side, steps), [row], 2, self._frames, self._warm)
            self.grown.append(row)
        engine.close()
        self._free()
        for words, more in (("", []), (f"with --batch {BATCH}, ", ["--batch", str(BATCH)])):
            if not self._late():
                self._by_clients(name, folder, usual, words, more)

    def _by_clients(self, name: str, folder: Path, size: int, words: str, more: list[str]) -> None:
        """Rows of the whole loop for clients at once, named with ``words``, of a server with arguments ``more``."""
        made = self._cached(size, 2)
        request: Callable[[int], Request] = lambda index: made(index, False)  # noqa: E731
        with Loops(str(folder), str(self._device), *more) as loops:
            for clients in (1, 2, 4, 8):
                if self._late():
                    break
                self._say(f"{name}: {words}{clients} clients")
                row = self._row(name, size, 2, f"{words}by clients, whole loop, {clients}")
                times, _ = loops.run(request, self._frames * max(2, clients), clients)
                fill(row, even(times, clients))
                self.grown.append(row)

    @property
    def _rounds(self) -> int:
        return 3 if self._given.quick else 5

    @property
    def _frames(self) -> int:
        return 20 if self._cuda else 8

    @property
    def _warm(self) -> int:
        return 8 if self._cuda else 3

    def _engine(self, parts: Parts, **options: Any) -> StableDiffusionLcm:
        return StableDiffusionLcm(copied(parts), str(self._device), self._dtype, **options)

    def _arms(self, name: str, parts: Parts) -> tuple[list[Arm], list[StableDiffusionLcm]]:
        device, dtype = self._device, self._dtype
        short = str(dtype).removeprefix("torch.")
        arms: list[Arm] = []
        # the slowest baseline first: on a CPU that is what one gets without asking for another precision
        for each in [torch.float32, dtype] if device.type == "cpu" and dtype != torch.float32 else [dtype]:
            stock, word = Stock(parts, device, each), str(each).removeprefix("torch.")
            arms.append(Arm(f"diffusers, {word}", stock.render))
            if parts.control is not None:
                arms.append(Arm(f"diffusers, {word}, depth", stock.render, depth=True))
        if not self._given.no_compiled:
            arms.append(Arm(f"diffusers, {short}, compiled", Stock(parts, device, dtype, compiled=True).render))
        if not parts.sdxl:
            for batch in (False, True):
                try:
                    arms.append(stream_diffusion(parts, device, dtype, batch))
                except ImportError as error:
                    arms.append(missing(stream_name(batch), error))
        made = []
        if self._cuda:
            made.append(self._engine(parts, record=False))
            arms.append(ours(made[0], f"ours, {short}, eager", depth=False))
            if not self._given.no_compiled:
                made.append(self._engine(parts, compiled=True))
                arms.append(ours(made[1], f"ours, {short}, compiled", depth=False, before=compile_first(made[1])))
        engine = self._engine(parts)
        made.append(engine)
        arms.append(ours(engine, f"ours, {short}", depth=False))
        if parts.control is not None:
            arms.append(ours(engine, f"ours, {short}, depth", depth=True))
        arms.append(ours_batched(engine, f"ours, {short}, {BATCH} frames in one go", depth=False, batch=BATCH))
        return arms, made

    def _start_loops(self, name: str, folder: Path) -> Loops | Exception:
        """A server of the model, or why there is none."""
        self._say(f"{name}: starting a server")
        try:
            return Loops(name if name == "embedded" else str(folder), str(self._device))
        except Exception as error:
            return error

    def _loop_arms(self, loops: Loops | Exception, depth: bool) -> list[Arm]:
        if isinstance(loops, Loops):
            return [loop_arm(loops, near, depth) for near in (True, False)]
        return [missing(loop_name(near, depth), loops) for near in (True, False)]

    def _row(self, name: str, size: int, steps: int, arm: str) -> Row:
        name = name if name in models.SIZES else Path(name).stem
        return Row(name, size, steps, arm, floor=floor(name, size, steps, self._place))

    def _cached(self, size: int, steps: int) -> Callable[[int, bool], Request]:
        drafts = 12  # drawn before anything is timed, and gone through again and again
        kept = {depth: [frames.request(k, size, steps, depth) for k in range(drafts)] for depth in (False, True)}
        return lambda index, depth: kept[depth][index % drafts]

    def _late(self) -> bool:
        return time.monotonic() > self._end

    def _skip(self, name: str) -> None:
        self._say(f"{name}: out of time, left out; --minutes gives more")

    def _free(self) -> None:
        gc.collect()
        if self._cuda:
            torch.cuda.empty_cache()

    def _say(self, words: str) -> None:
        print(f"bench: {words}", file=sys.stderr, flush=True)
