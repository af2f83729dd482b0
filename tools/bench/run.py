"""Which arms a model gets, and in which configurations they are measured. torch and diffusers, no bpy."""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import T2IAdapter

from addon.wire import Request
from server.config import expanded
from server.engine import StableDiffusionLcm
from server.engine.devices import best_dtype
from server.engine.loading.parts import Parts

from . import frames, models
from .arms import Arm, LeftOut, Picture, compile_first, copied, load, missing, ours, ours_batched, with_controlnet
from .loop import Loops, loop_arm, loop_name
from .measure import AGAIN, COMPARED, SLOW, Row, even, fill, interleave, told
from .report import floor
from .stock import Stock, one_noise, placed, references
from .stream import stream_diffusion

BATCH = 4


class Bench:
    """Measures models one after the other; ``rows`` and ``grown`` hold what came out so far.

    ``work``: a folder for models made on the fly. ``given``: the command's arguments.
    """

    def __init__(
        self, device: torch.device, work: Path, given: argparse.Namespace, keep: Callable[[], None] = lambda: None
    ) -> None:
        """``keep`` is called whenever there is something new to be kept."""
        self.rows: list[Row] = []
        self.grown: list[Row] = []
        self._device, self._work, self._given, self._keep = device, work, given, keep
        self._dtype = best_dtype(device)
        self._cuda = device.type == "cuda"
        self._place = torch.cuda.get_device_name(device) if self._cuda else "CPU"
        self._end = time.monotonic() + 60 * given.minutes

    @property
    def conditions(self) -> dict[str, str]:
        """How the arms are measured, in words."""
        return {
            "each arm": f"{self._warm} frames untimed, then {self._given.rounds} turns of {self._frames} frames, each "
            f"after {AGAIN} untimed ones; median and spread of these. Fewer where a frame takes over {SLOW:.0f} s",
            "stock and StreamDiffusion": "PIL pictures in and out, as they take them; no safety checker, no progress "
            'bar, no guidance. Stock encodes the prompt for each frame but where it is "tuned": then, and compiled, '
            "it is encoded once and weights are channels_last. StreamDiffusion encodes it once; its filter of alike "
            "frames is off, and the noise that it would draw anew for each frame is given",
            "ours": "uint8 arrays in and out; the prompt encoded once",
        }

    def model(self, name: str) -> None:
        """All arms of model ``name``, at each number of steps."""
        size = self._given.size or models.SIZES.get(name, 512)
        if self.rows and self._late():
            self._leave_out(name, size, self._given.steps, "all arms", self.rows)
            return
        self._say(f"{name}: loading")
        spec, called = models.find(name, self._work, self._device)
        parts = load(spec)
        wanted = self._references(parts, name, size)
        arms, close = self._arms(parts, name in models.RANDOM)
        self._say(f"{name}: starting a server")
        servers = [self._start_loops(called)]
        try:
            arms += self._loop_arms(servers[0], depth=parts.control is not None)
            if self._cuda:
                servers.append(
                    self._not_compiled if self._given.no_compiled else self._start_loops(called, "--compile")
                )
                arms += self._loop_arms(servers[1], depth=parts.control is not None, compiled=True)
            for number, steps in enumerate(self._given.steps):
                if self.rows and self._late():  # the first is measured however late a busy machine comes to it
                    self._leave_out(name, size, self._given.steps[number:], "all arms", self.rows)
                    break
                self._say(f"{name}: {steps} steps at {size}")
                rows = [self._row(name, size, steps, arm.name) for arm in arms]
                with one_noise():
                    requests, pictures = self._cached(size, steps), wanted.get(steps)
                    rounds, warm = self._given.rounds, self._warm
                    interleave(arms, requests, rows, rounds, self._frames, warm, self._late, pictures)
                self.rows += rows
                self._keep()
        finally:
            for loops in servers:
                if isinstance(loops, Loops):
                    loops.close()
            for engine in close:
                engine.close()
            arms.clear()
            self._free()

    def growth(self, names: list[str]) -> None:
        """Cost by size, by steps and by clients, of the first of ``names`` that has full size on this device."""
        name = "sd15" if "sd15" in names else names[0]
        spec, called = models.find(name, self._work, self._device)
        usual = self._given.size or models.SIZES.get(name, 512)
        engine = self._engine(load(spec))
        arm = ours(engine, "", depth=False)
        sizes = [(side, 2) for side in (256, 512, 768, 1024)]
        plan = [("by size", side, steps) for side, steps in sizes]
        plan += [("by steps", usual, steps) for steps in (1, 2, 4, 8)]
        for kind, side, steps in plan:
            if self._late():
                self._leave_out(name, side, [steps], kind, self.grown)
                continue
            self._say(f"{name}: {kind}, {steps} steps at {side}")
            row = self._row(name, side, steps, kind)
            interleave([arm], self._cached(side, steps), [row], 4, self._frames, self._warm)
            self.grown.append(row)
            self._keep()
        engine.close()
        self._free()
        for words, more in (("", []), (f"with --batch {BATCH}, ", ["--batch", str(BATCH)])):
            if self._late():
                self._leave_out(name, usual, [2], f"{words}by clients, whole loop", self.grown)
            else:
                self._by_clients(name, called, usual, words, more)

    def _by_clients(self, name: str, called: str, size: int, words: str, more: list[str]) -> None:
        """Rows of the whole loop for clients at once, named with ``words``, of a server with arguments ``more``."""
        made = self._cached(size, 2)
        request: Callable[[int], Request] = lambda index: made(index, False)  # noqa: E731
        with Loops(called, str(self._device), *more) as loops:
            for clients in (1, 2, 4, 8):
                if self._late():
                    self._leave_out(name, size, [2], f"{words}by clients, whole loop, {clients}", self.grown)
                    continue
                self._say(f"{name}: {words}{clients} clients")
                row = self._row(name, size, 2, f"{words}by clients, whole loop, {clients}")
                times, stages = loops.run(request, 2 * self._frames * max(2, clients), clients)
                fill(row, even(times, clients))
                row.latency = float(np.median([each["whole"] for each in stages])) if stages else 0.0
                self.grown.append(row)
                self._keep()

    @property
    def _frames(self) -> int:
        return 10 if self._cuda else 4  # few, and many turns: where a machine is slow for a while, all arms are

    @property
    def _warm(self) -> int:
        return 8 if self._cuda else 3

    def _engine(self, parts: Parts, **options: Any) -> StableDiffusionLcm:
        return StableDiffusionLcm(copied(parts), str(self._device), self._dtype, **options)

    def _references(self, parts: Parts, name: str, size: int) -> dict[int, dict[bool, Picture]]:
        """By steps, then without and with depth: pictures in fp32 to compare with, where no arm makes them."""
        if not self._cuda or self._dtype == torch.float32:
            return {}
        self._say(f"{name}: pictures in fp32 to compare with")
        kinds = (False, True) if isinstance(parts.control, T2IAdapter) else (False,)
        asked = [(steps, depth) for steps in self._given.steps for depth in kinds]
        made: dict[int, dict[bool, Picture]] = {}
        try:
            requests = [frames.request(COMPARED, size, steps, depth) for steps, depth in asked]
            for (steps, depth), picture in zip(asked, references(parts, self._device, requests), strict=True):
                made.setdefault(steps, {})[depth] = picture
        except Exception as error:  # then the first arm's have to do, which the table says
            row = self._row(name, size, self._given.steps[0], "diffusers, float32, to compare with")
            row.failed = told(error)
            self.rows.append(row)
        self._free()
        return made

    def _arms(self, parts: Parts, is_random: bool) -> tuple[list[Arm], list[StableDiffusionLcm]]:
        device, dtype = self._device, self._dtype
        short = str(dtype).removeprefix("torch.")
        has_adapter = isinstance(parts.control, T2IAdapter)
        arms: list[Arm] = []
        plain = placed(parts, device, dtype)  # arms share weights of one kind: on a CPU memory would not do else
        tuned = placed(parts, device, dtype, channels_last=True)
        # the slowest baseline first: on a CPU that is what one gets without asking for another precision
        for each in [torch.float32, dtype] if not self._cuda and dtype != torch.float32 else [dtype]:
            stock, word = Stock(plain if each == dtype else parts, device, each), str(each).removeprefix("torch.")
            arms.append(Arm(f"diffusers, {word}", stock.render))
            if has_adapter:
                arms.append(Arm(f"diffusers, {word}, depth", stock.render, depth=True))
        arms.append(Arm(f"diffusers, {short}, tuned", Stock(tuned, device, dtype, tuned=True).render))
        if self._given.no_compiled:
            arms.append(missing(f"diffusers, {short}, compiled", self._not_compiled))
        else:
            arms.append(Arm(f"diffusers, {short}, compiled", Stock(tuned, device, dtype, compiled=True).render))
        for batch in (False, True):
            arms.append(stream_diffusion(plain, device, dtype, batch))
        eager, engine = self._engine(parts, eager=True), self._engine(parts)
        made = [eager, engine]
        arms.append(ours(eager, f"ours, {short}, eager", depth=False))
        if self._cuda and self._given.no_compiled:
            arms.append(missing(f"ours, {short}, compiled", self._not_compiled))
        elif self._cuda:
            fast = self._engine(parts, compiled=True)
            made.append(fast)
            arms.append(ours(fast, f"ours, {short}, compiled", depth=False, before=compile_first(fast)))
            if parts.control is not None:
                arms.append(ours(fast, f"ours, {short}, compiled, depth", depth=True, before=compile_first(fast)))
        arms.append(ours(engine, f"ours, {short}", depth=False))
        if parts.control is not None:
            arms.append(ours(engine, f"ours, {short}, depth", depth=True))
        if self._cuda and is_random:
            other = self._engine(with_controlnet(parts))
            made.append(other)
            arms.append(ours(other, f"ours, {short}, depth by a ControlNet", depth=True))
            arms[-1].same_noise = False  # no other arm has it
        arms.append(ours_batched(engine, f"ours, {short}, {BATCH} frames in one go", depth=False, batch=BATCH))
        return arms, made

    @property
    def _not_compiled(self) -> LeftOut:
        return LeftOut("--quick" if self._given.quick else "--no-compiled")

    def _start_loops(self, called: str, *more: str) -> Loops | Exception:
        """A server of the model, with ``more`` arguments, or why there is none."""
        try:
            return Loops(called, str(self._device), *more)
        except Exception as error:
            return error

    def _loop_arms(self, loops: Loops | Exception, depth: bool, compiled: bool = False) -> list[Arm]:
        ways = (True,) if compiled else (True, False)
        if isinstance(loops, Loops):
            return [loop_arm(loops, near, depth, compiled) for near in ways]
        return [missing(loop_name(near, depth, compiled), loops) for near in ways]

    def _row(self, name: str, size: int, steps: int, arm: str) -> Row:
        name = name if name in models.SIZES else expanded(name).resolve().name.removesuffix(".safetensors")
        return Row(name, size, steps, arm, floor=floor(name, size, steps, self._place))

    def _cached(self, size: int, steps: int) -> Callable[[int, bool], Request]:
        drafts = 12  # drawn before anything is timed, and gone through again and again
        kept = {depth: [frames.request(k, size, steps, depth) for k in range(drafts)] for depth in (False, True)}
        return lambda index, depth: kept[depth][index % drafts]

    def _late(self) -> bool:
        return time.monotonic() > self._end

    def _leave_out(self, name: str, size: int, steps: Sequence[int], arm: str, rows: list[Row]) -> None:
        self._say(f"{name}: {arm}: out of time, left out; --minutes gives more")
        for each in steps:
            row = self._row(name, size, each, arm)
            row.failed = "left out: out of time, --minutes gives more"
            rows.append(row)
        self._keep()

    def _free(self) -> None:
        gc.collect()
        if self._cuda:
            torch.cuda.empty_cache()

    def _say(self, words: str) -> None:
        print(f"bench: {words}", file=sys.stderr, flush=True)
