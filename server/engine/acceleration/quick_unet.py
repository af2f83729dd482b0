"""A diffusers UNet, and a ControlNet, with less overhead: the same layers and weights. torch and diffusers.

What depends on the timestep alone (each block's shift) and on the words alone (keys and values of cross-attention)
comes as an input: it is made once for each and kept (see conditions.py). What differs from diffusers' own forward is
rounding only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import ControlNetModel, UNet2DConditionModel
from diffusers.models.embeddings import Timesteps
from diffusers.models.unets import unet_2d_blocks as blocks
from torch import nn

from .packed import Conv, GroupNorm, packs
from .quick_layers import Keys, Level, Unknown, need

Words = tuple[Iterator[Keys], Iterator[Keys] | None]
"""Keys and values of the text, and of a style picture, of each transformer block in turn."""


def quicken_unet(unet: UNet2DConditionModel) -> QuickUnet | None:
    """``unet``, placed where it will stay, to be computed so; None where it has what is not known here.

    Its weights stay its own, and may be changed in place. On a CPU a second copy of those of a small model is kept.
    """
    try:
        return QuickUnet(unet)
    except Unknown:
        return None


def quicken_control(control: ControlNetModel) -> QuickControl | None:
    """As :func:`quicken_unet`."""
    try:
        return QuickControl(control)
    except Unknown:
        return None


class _Half:
    """What UNet and ControlNet have in common: the way down, and the middle.

    What they are made of never changes, so that a call can be recorded, or compiled.
    """

    def __init__(self, net: Any) -> None:
        config = net.config
        need(config.addition_embed_type in (None, "text_time"), config.class_embed_type is None)
        need(config.encoder_hid_dim_type in (None, "ip_image_proj"), isinstance(net.time_proj, Timesteps))
        need(type(net.mid_block) is blocks.UNetMidBlock2DCrossAttn)
        self._net, self._pack = net, packs(net)
        self._conv_in = Conv(net.conv_in, self._pack)
        self._down = [Level(block, self._pack) for block in net.down_blocks]
        self._middle = Level(net.mid_block, self._pack)
        self._finish([*self._down, self._middle])

    def _finish(self, levels: Sequence[Level]) -> None:
        self._resnets = [resnet for level in levels for resnet in level.resnets]
        self._blocks = [block for level in levels for transformer in level.transformers for block in transformer.blocks]
        self._widths = [resnet.width for resnet in self._resnets]

    def shifts(
        self,
        timestep: torch.Tensor,
        pooled: torch.Tensor | None,
        times: torch.Tensor | None,
        embedded: torch.Tensor | None,
    ) -> torch.Tensor:
        """What a timestep adds in all residual blocks, N x (their widths), N being 1 or as many as SDXL's ``pooled``.

        ``embedded``: of the guidance, where the UNet takes it as an input. Others as a :class:`Guide` has them.
        """
        net = self._net
        if net.time_embedding.cond_proj is None:  # a ControlNet takes no guidance, whatever its UNet does
            embedded = None
        embedding = net.time_embedding(net.time_proj(timestep[None]).to(net.dtype), embedded)
        if pooled is not None and times is not None and net.config.addition_embed_type is not None:
            sizes = net.add_time_proj(times.flatten()).reshape(len(pooled), -1)
            embedding = embedding + net.add_embedding(torch.cat([pooled, sizes], -1).to(net.dtype))
        embedding = F.silu(embedding)
        return torch.cat([resnet.shift(embedding) for resnet in self._resnets], 1)

    def keys(self, text: torch.Tensor) -> torch.Tensor:
        """Keys and values of ``text``, N x tokens x width, in all transformer blocks, one behind the other."""
        return _flat(block.keys(text) for block in self._blocks)

    def _descend(
        self, x: torch.Tensor, shift: Iterator[torch.Tensor], words: Words, features: list[torch.Tensor]
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """What enters the middle, and what the way up is joined with. ``features``: those used are taken away."""
        skips = [x]
        for level in self._down:
            feature = features.pop(0) if features else None
            for index, resnet in enumerate(level.resnets):
                x = resnet(x, next(shift))
                if level.transformers:
                    x = level.transformers[index](x, *words)
                    if feature is not None and index == len(level.resnets) - 1:
                        x = x + feature
                skips.append(x)
            if level.sample is not None:
                x = level.sample(x)
                skips.append(x)
            if feature is not None and not level.transformers:
                x = skips[-1] = x + feature
        return x, skips

    def _cross(self, x: torch.Tensor, shift: Iterator[torch.Tensor], words: Words) -> torch.Tensor:
        """The middle."""
        x = self._middle.resnets[0](x, next(shift))
        for transformer, resnet in zip(self._middle.transformers, self._middle.resnets[1:], strict=True):
            x = resnet(transformer(x, *words), next(shift))
        return x

    def _split(self, keys: torch.Tensor, rows: int) -> Iterator[Keys]:
        """What :func:`_flat` has laid one behind the other, block by block."""
        number = keys.numel() // sum(block.width for block in self._blocks)
        parts = keys.split([number * block.width for block in self._blocks])
        return iter([block.split(part, rows) for block, part in zip(self._blocks, parts, strict=True)])


class QuickUnet(_Half):
    """Computes a UNet."""

    def __init__(self, unet: UNet2DConditionModel) -> None:
        config = unet.config
        need(type(unet) is UNet2DConditionModel, not config.center_input_sample, not config.class_embeddings_concat)
        need(unet.time_embed_act is None, isinstance(unet.conv_act, nn.SiLU))
        super().__init__(unet)
        self._up = [Level(block, self._pack) for block in unet.up_blocks]
        self._norm_out, self._conv_out = GroupNorm(unet.conv_norm_out, silu=True), Conv(unet.conv_out, self._pack)
        self._finish([*self._down, self._middle, *self._up])

    def picture_keys(self, picture: torch.Tensor) -> torch.Tensor:
        """Those of a style picture, N x 1 x ..., as its encoder gives it; with its weight in them."""
        (tokens,) = self._net.encoder_hid_proj([picture])
        return _flat(block.picture_keys(tokens) for block in self._blocks)

    def __call__(
        self,
        sample: torch.Tensor,
        shifts: torch.Tensor,
        keys: torch.Tensor,
        picture_keys: torch.Tensor | None = None,
        features: Sequence[torch.Tensor] = (),
        residuals: Sequence[torch.Tensor] = (),
    ) -> torch.Tensor:
        """The output for ``sample``, N x C x H x W.

        ``shifts``, ``keys``, ``picture_keys``: what the methods of these names gave. ``features``: a T2I-Adapter's,
        ``residuals``: a ControlNet's, those of the middle last.
        """
        shift = iter(shifts.split(self._widths, 1))
        rows, waiting = len(sample), list(features)
        words = self._split(keys, rows), None if picture_keys is None else self._split(picture_keys, rows)
        x = self._conv_in(sample.contiguous(memory_format=torch.channels_last))
        x, skips = self._descend(x, shift, words, waiting)
        if residuals:
            skips = [skip + residual for skip, residual in zip(skips, residuals[:-1], strict=True)]
        x = self._cross(x, shift, words)
        if waiting and waiting[0].shape == x.shape:
            x = x + waiting.pop(0)
        if residuals:
            x = x + residuals[-1]
        for level in self._up:
            for index, resnet in enumerate(level.resnets):
                x = resnet(torch.cat([x, skips.pop()], 1), next(shift))
                if level.transformers:
                    x = level.transformers[index](x, *words)
            if level.sample is not None:  # to the size of what it will be joined with, twice its own as a rule
                x = level.sample(F.interpolate(x, skips[-1].shape[2:], mode="nearest"))
        return self._conv_out(self._norm_out(x))


class QuickControl(_Half):
    """Computes a ControlNet, of whose picture :meth:`encode` takes in what is the same in each step."""

    def __init__(self, control: ControlNetModel) -> None:
        need(type(control) is ControlNetModel, not control.config.global_pool_conditions)
        super().__init__(control)
        self._out = [Conv(each, self._pack) for each in (*control.controlnet_down_blocks, control.controlnet_mid_block)]

    def encode(self, plane: torch.Tensor) -> torch.Tensor:
        """What ``plane``, N x 3 x H x W, alike in all three, adds to the latent: N x width x height x width of it."""
        return self._net.controlnet_cond_embedding(plane)

    def __call__(
        self, sample: torch.Tensor, shifts: torch.Tensor, keys: torch.Tensor, seen: torch.Tensor, weight: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """The residuals for ``sample``, those of the middle last. ``seen``: by :meth:`encode`; ``weight``: 0-d."""
        shift, words = iter(shifts.split(self._widths, 1)), (self._split(keys, len(sample)), None)
        x = self._conv_in(sample.contiguous(memory_format=torch.channels_last)) + seen
        x, skips = self._descend(x, shift, words, [])
        skips.append(self._cross(x, shift, words))
        return tuple(conv(skip) * weight for conv, skip in zip(self._out, skips, strict=True))


def _flat(keys: Iterator[Keys]) -> torch.Tensor:
    return torch.cat([each.reshape(-1) for pair in keys for each in pair])
