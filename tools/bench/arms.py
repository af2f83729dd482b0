"""What is compared: an arm, and our engine as one. torch, no bpy."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import ControlNetModel
from numpy.typing import NDArray

from addon.wire import Request
from server.engine import ModelSpec, StableDiffusionLcm
from server.engine.loading.inspection import inspect
from server.engine.loading.load import load_parts
from server.engine.loading.parts import Parts

Picture = NDArray[np.uint8]
STAGES_TO_RECORD = 9
"""Frames until each stage is recorded, one a frame after the first, and none is left."""


@dataclass
class Arm:
    """One way to make a picture. ``render``: a request to uint8 H x W x 3; it returns when the picture is there.

    ``before``: what is done once before the first timed frame of a configuration, untimed. ``delay_frames``: how many
    frames later than its call an input's picture comes. ``same_noise``: whether its picture must equal the stock
    pipeline's. ``together``: makes ``batch`` pictures in one call, in place of ``render``. ``timed``: makes pictures
    of these requests and returns the milliseconds of each, where frames overlap and a call of ``render`` is no
    measure; ``stages`` then gives the medians of their stages, in milliseconds, ``whole`` from input to output.
    """

    name: str
    render: Callable[[Request], Picture]
    depth: bool = False
    before: Callable[[Request], None] = lambda request: None
    delay_frames: Callable[[Request], int] = lambda request: 0
    same_noise: bool = True
    batch: int = 1
    together: Callable[[list[Request]], list[Picture]] | None = None
    timed: Callable[[list[Request]], list[float]] | None = None
    stages: Callable[[], dict[str, float]] = dict


def load(spec: ModelSpec) -> Parts:
    """The modules of the model, on the CPU in fp32, its LoRAs fused."""
    return load_parts(inspect(spec), lambda fraction, words: None, torch.float32)


def copied(parts: Parts) -> Parts:
    """Modules of one's own: the engine rewrites some of them."""
    made = copy.copy(parts)
    made.unet, made.vae, made.control = (copy.deepcopy(each) for each in (parts.unet, parts.vae, parts.control))
    made.texts = [(tokenizer, copy.deepcopy(encoder)) for tokenizer, encoder in parts.texts]
    return made


def with_controlnet(parts: Parts) -> Parts:
    """``parts`` with an untrained ControlNet: it works as hard as a trained one, and adds nothing."""
    made = copy.copy(parts)
    made.control = ControlNetModel.from_unet(parts.unet).eval().requires_grad_(False)
    return made


def ours(engine: StableDiffusionLcm, name: str, depth: bool, before: Callable[[Request], None] | None = None) -> Arm:
    return Arm(name, lambda request: engine.render(request).image, depth, before or (lambda request: None))


def compile_first(engine: StableDiffusionLcm) -> Callable[[Request], None]:
    """What has ``engine`` record its stages, and compile what it compiles, before anything is timed."""

    def before(request: Request) -> None:
        while True:  # one stage is compiled after the other, each once a frame has found all recorded
            for _ in range(STAGES_TO_RECORD):
                engine.render(request)
            if not engine.compiling:
                return
            while engine.compiling:
                time.sleep(0.2)  # it chooses kernels by timing them: frames beside it would make that a lottery

    return before


def ours_batched(engine: StableDiffusionLcm, name: str, depth: bool, batch: int) -> Arm:
    """Our engine with ``batch`` frames in one go: the first of them waits until the last is there."""

    def together(requests: list[Request]) -> list[Picture]:
        return [rendered.image for rendered in engine.render_batch(requests)]

    arm = Arm(name, lambda request: together([request] * batch)[-1], depth, batch=batch, together=together)
    arm.delay_frames = lambda request: 2 * (batch - 1)
    return arm


class LeftOut(Exception):
    """Why an arm is not measured: by the user's wish, or because it does not go with the model or the machine."""


def missing(name: str, why: Exception) -> Arm:
    """What stands in the table for an arm that cannot run here: a row that says why."""

    def render(request: Request) -> Picture:
        raise why

    return Arm(name, render)


def psnr(one: Picture, other: Picture) -> float:
    """Decibels between two pictures, 120 for equal ones."""
    error = float(np.mean((one.astype(np.float64) - other.astype(np.float64)) ** 2))
    return float(10 * np.log10(255**2 / error)) if error else 120.0
