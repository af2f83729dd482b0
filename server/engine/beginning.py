"""Prepares the UNet's inputs: noise, the encoded draft, depth, what was painted before. torch and the wire."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from addon.wire import Request

from .acceleration.graphs import RecordedPipeline
from .conditioning.inputs import Inputs
from .devices import Stopwatch
from .images import Transfer, as_picture
from .sampling.history import History
from .sampling.making import Making
from .sampling.pipeline import Depth, Pipeline
from .sampling.recipe import Recipe
from .sampling.repaint import Held


@dataclass(frozen=True, eq=False)
class Begun:
    """``latent``: the first one. ``making``, ``held``: of a picture that may be made over what is there already."""

    recipe: Recipe
    latent: torch.Tensor
    depth: Depth
    making: Making | None = None
    held: Held | None = None


class Beginning:
    """Begins pictures with an engine's own inputs, buffers and stopwatch."""

    def __init__(self, inputs: Inputs, transfer: Transfer, watch: Stopwatch) -> None:
        self._inputs, self._transfer, self._watch = inputs, transfer, watch

    def of(
        self,
        pipeline: Pipeline | RecordedPipeline,
        request: Request,
        slot: int,
        rows: int,
        history: History | None,
    ) -> Begun:
        """``slot``: which of the pictures made in one go it is; ``rows``: of a UNet call, for each."""
        frame, style, watch = request.frame, request.style, self._watch
        height, width = style.height, style.width
        weight = sum(control.weight for control in style.controls if control.kind == "depth")
        builds = history is not None or frame.strength is not None
        with watch.stage("upload"):
            recipe = self._inputs.recipe(style)
            needed = builds or recipe.signal is not None
            image = self._transfer.upload_image(frame.image, slot) if needed else None
            plane = frame.inverse_depth if weight > 0 else None
            near = None if plane is None else self._transfer.upload_depth(plane, slot)
        making = held = None
        if image is not None and builds:
            with watch.stage("recall"):
                making = Making.begin(request, as_picture(image, height, width), history)
        latent, depth = recipe.start, Depth()
        over = None if making is None else making.over
        if over is not None:
            with watch.stage("encode"):
                plain = self._inputs.number(1.0), torch.zeros_like(recipe.start)
                held = Held(over, pipeline.encode(over.picture, height, width, *plain), recipe)
                latent = held.start()
        elif image is not None and recipe.signal is not None:
            with watch.stage("encode"):
                latent = pipeline.encode(image, height, width, recipe.signal, recipe.start)
        if near is not None:
            with watch.stage("depth"):
                depth = pipeline.encode_control(near, height, width, self._inputs.number(weight), rows)
        return Begun(recipe, latent, depth, making, held)
