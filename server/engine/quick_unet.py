"""A diffusers UNet computed with less in between: the same layers, weights and sums. torch and diffusers.

What depends on the timestep alone (each block's shift) and on the words alone (keys and values of cross-attention)
comes as an input: it is made once for each and kept (see conditions.py). What differs from diffusers' own forward is
rounding only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from diffusers.models.unets import unet_2d_blocks as blocks
from torch import nn

from .packed import Conv, GroupNorm, packs
from .quick_layers import Keys, Level, Unknown, need


def quicken_unet(unet: UNet2DConditionModel) -> QuickUnet | None:
    """``unet``, placed where it will stay, to be computed so; None where it has what is not known here.

    Its weights stay its own, and may be changed in place. On a CPU a second copy of those of a small model is kept.
    """
    try:
        return QuickUnet(unet)
    except Unknown:
        return None


class QuickUnet:
    """Computes ``unet``. What it is made of never changes, so that a call can be recorded, or compiled."""

    def __init__(self, unet: UNet2DConditionModel) -> None:
        config = unet.config
        need(type(unet) is UNet2DConditionModel, not config.center_input_sample, not config.class_embeddings_concat)
        need(config.addition_embed_type in (None, "text_time"), config.class_embed_type is None)
        need(config.encoder_hid_dim_type in (None, "ip_image_proj"), unet.time_embed_act is None)
        need(isinstance(unet.conv_act, nn.SiLU), type(unet.mid_block) is blocks.UNetMidBlock2DCrossAttn)
        self._unet, pack = unet, packs(unet)
        self._conv_in, self._conv_out = Conv(unet.conv_in, pack), Conv(unet.conv_out, pack)
        self._norm_out = GroupNorm(unet.conv_norm_out, silu=True)
        self._down = [Level(block, pack) for block in unet.down_blocks]
        self._middle = Level(unet.mid_block, pack)
        self._up = [Level(block, pack) for block in unet.up_blocks]
        levels = [*self._down, self._middle, *self._up]
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
        unet = self._unet
        one = torch.empty(1, dtype=unet.dtype)
        embedding = unet.time_embedding(unet.get_time_embed(one, timestep), embedded)
        if pooled is not None:
            added = {"text_embeds": pooled, "time_ids": times}
            embedding = embedding + unet.get_aug_embed(embedding, pooled, added)
        embedding = F.silu(embedding)
        return torch.cat([resnet.shift(embedding) for resnet in self._resnets], 1)

    def keys(self, text: torch.Tensor) -> torch.Tensor:
        """Keys and values of ``text``, N x tokens x width, in all transformer blocks, one behind the other."""
        return _flat(block.keys(text) for block in self._blocks)

    def picture_keys(self, picture: torch.Tensor) -> torch.Tensor:
        """Those of a style picture, N x 1 x ..., as its encoder gives it; with its weight in them."""
        (tokens,) = self._unet.encoder_hid_proj([picture])
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
        words = self._split(keys, len(sample))
        picture = None if picture_keys is None else self._split(picture_keys, len(sample))
        waiting = list(features)
        x = self._conv_in(sample.contiguous(memory_format=torch.channels_last))
        skips = [x]
        for level in self._down:
            feature = waiting.pop(0) if waiting else None
            for index, resnet in enumerate(level.resnets):
                x = resnet(x, next(shift))
                if level.transformers:
                    x = level.transformers[index](x, words, picture)
                    if feature is not None and index == len(level.resnets) - 1:
                        x = x + feature
                skips.append(x)
            if level.sample is not None:
                x = level.sample(x)
                skips.append(x)
            if feature is not None and not level.transformers:
                x = skips[-1] = x + feature
        if residuals:
            skips = [skip + residual for skip, residual in zip(skips, residuals[:-1], strict=True)]
        x = self._middle.resnets[0](x, next(shift))
        for transformer, resnet in zip(self._middle.transformers, self._middle.resnets[1:], strict=True):
            x = resnet(transformer(x, words, picture), next(shift))
        if waiting and waiting[0].shape == x.shape:
            x = x + waiting.pop(0)
        if residuals:
            x = x + residuals[-1]
        for level in self._up:
            for index, resnet in enumerate(level.resnets):
                x = resnet(torch.cat([x, skips.pop()], 1), next(shift))
                if level.transformers:
                    x = level.transformers[index](x, words, picture)
            if level.sample is not None:  # to the size of what it will be joined with, twice its own as a rule
                x = level.sample(F.interpolate(x, skips[-1].shape[2:], mode="nearest"))
        return self._conv_out(self._norm_out(x))

    def _split(self, keys: torch.Tensor, rows: int) -> Iterator[Keys]:
        """What :func:`_flat` has laid one behind the other, block by block."""
        number = keys.numel() // sum(block.width for block in self._blocks)
        parts = keys.split([number * block.width for block in self._blocks])
        return iter([block.split(part, rows) for block, part in zip(self._blocks, parts, strict=True)])


def _flat(keys: Iterator[Keys]) -> torch.Tensor:
    return torch.cat([each.reshape(-1) for pair in keys for each in pair])
