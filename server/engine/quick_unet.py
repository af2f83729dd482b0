"""A diffusers UNet computed on the CPU with less in between: the same layers, weights and sums. torch and diffusers.

What depends on the timestep alone (each block's shift) and on the prompt alone (keys and values of cross-attention)
is computed once for each and kept. What differs from diffusers' own forward is rounding only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0
from diffusers.models.downsampling import Downsample2D
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.models.unets import unet_2d_blocks as blocks
from diffusers.models.upsampling import Upsample2D
from torch import nn

from .cache import Recent
from .packed import Conv, GroupNorm, Linear, Versions, attend, packs

KEPT_TIMES, KEPT_TEXTS = 32, 4

Tensors = tuple[torch.Tensor | None, ...]


def quicken_unet(unet: UNet2DConditionModel) -> bool:
    """Have ``unet``, placed on the CPU, computed by :class:`QuickUnet`; False where it has what that doesn't know.

    Its weights stay where they are and may be changed in place.
    """
    try:
        unet.forward = QuickUnet(unet)
    except _Unknown:
        return False
    return True


class _Unknown(Exception):
    """A layer of another kind."""


def _need(*facts: bool) -> None:
    if not all(facts):
        raise _Unknown


class QuickUnet:
    """What takes the place of ``unet``'s forward."""

    def __init__(self, unet: UNet2DConditionModel) -> None:
        config = unet.config
        _need(type(unet) is UNet2DConditionModel, not config.center_input_sample, not config.class_embeddings_concat)
        _need(config.addition_embed_type in (None, "text_time"), config.class_embed_type is None)
        _need(unet.encoder_hid_proj is None, unet.time_embed_act is None, isinstance(unet.conv_act, nn.SiLU))
        _need(type(unet.mid_block) is blocks.UNetMidBlock2DCrossAttn)
        self._unet = unet
        self._versions = Versions(unet.parameters())
        self._times = _Kept(KEPT_TIMES, self._shifts)
        self._texts = _Kept(KEPT_TEXTS, self._keys)
        self._refresh()

    def _refresh(self) -> None:
        """Take the weights in anew, after they have changed."""
        if not self._versions.changed():
            return
        self._times.clear()
        self._texts.clear()
        unet, pack = self._unet, packs(self._unet)
        self._resnets: list[_Resnet] = []
        self._transformers: list[_Transformer] = []
        self._conv_in, self._conv_out = Conv(unet.conv_in, pack), Conv(unet.conv_out, pack)
        self._norm_out = GroupNorm(unet.conv_norm_out, silu=True)
        self._down = [self._level(block, pack) for block in unet.down_blocks]
        self._middle = self._level(unet.mid_block, pack)
        self._up = [self._level(block, pack) for block in unet.up_blocks]

    def _level(self, block: Any, pack: bool) -> _Level:
        level = _Level(block, len(self._resnets), len(self._transformers), pack)
        self._resnets += level.resnets
        self._transformers += level.transformers
        return level

    def _shifts(self, tensors: Tensors) -> list[torch.Tensor]:
        """What the timestep adds in each residual block."""
        timestep, pooled, times, embedded = tensors
        unet = self._unet
        one = torch.empty(1, dtype=unet.dtype)
        embedding = unet.time_embedding(unet.get_time_embed(one, timestep), embedded)
        if pooled is not None:
            added = {"text_embeds": pooled, "time_ids": times}
            embedding = embedding + unet.get_aug_embed(embedding, pooled, added)
        embedding = F.silu(embedding)
        return [resnet.shift(embedding) for resnet in self._resnets]

    def _keys(self, tensors: Tensors) -> list[list[tuple[torch.Tensor, torch.Tensor]]]:
        """Keys and values of ``tensors``, the prompt's text alone, in each block of each transformer."""
        (text,) = tensors
        assert text is not None
        return [[block.keys(text) for block in transformer.blocks] for transformer in self._transformers]

    def __call__(
        self,
        sample: torch.Tensor,
        timestep: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        timestep_cond: torch.Tensor | None = None,
        added_cond_kwargs: dict[str, Any] | None = None,
        down_block_additional_residuals: tuple[torch.Tensor, ...] | None = None,
        mid_block_additional_residual: torch.Tensor | None = None,
        down_intrablock_additional_residuals: list[torch.Tensor] | None = None,
        return_dict: bool = False,
    ) -> tuple[torch.Tensor]:
        """As UNet2DConditionModel.forward with ``return_dict=False``."""
        self._refresh()
        added = added_cond_kwargs or {}
        shifts = self._times.get((timestep, added.get("text_embeds"), added.get("time_ids"), timestep_cond))
        keys = self._texts.get((encoder_hidden_states,))
        features = list(down_intrablock_additional_residuals or ())
        x = self._conv_in(sample.contiguous(memory_format=torch.channels_last))
        skips = [x]
        for level in self._down:
            feature = features.pop(0) if features else None
            for index, resnet in enumerate(level.resnets):
                x = resnet(x, shifts[level.first_resnet + index])
                if level.transformers:
                    x = level.transformers[index](x, keys[level.first_transformer + index])
                    if feature is not None and index == len(level.resnets) - 1:
                        x = x + feature
                skips.append(x)
            if level.sample is not None:
                x = level.sample(x)
                skips.append(x)
            if feature is not None and not level.transformers:
                x = skips[-1] = x + feature
        if down_block_additional_residuals is not None:
            pairs = zip(skips, down_block_additional_residuals, strict=True)
            skips = [skip + residual for skip, residual in pairs]
        level = self._middle
        x = level.resnets[0](x, shifts[level.first_resnet])
        for index, transformer in enumerate(level.transformers):
            x = transformer(x, keys[level.first_transformer + index])
            x = level.resnets[index + 1](x, shifts[level.first_resnet + index + 1])
        if features and features[0].shape == x.shape:
            x = x + features.pop(0)
        if mid_block_additional_residual is not None:
            x = x + mid_block_additional_residual
        for level in self._up:
            for index, resnet in enumerate(level.resnets):
                x = resnet(torch.cat([x, skips.pop()], 1), shifts[level.first_resnet + index])
                if level.transformers:
                    x = level.transformers[index](x, keys[level.first_transformer + index])
            if level.sample is not None:  # to the size of what it will be joined with, twice its own as a rule
                x = level.sample(F.interpolate(x, skips[-1].shape[2:], mode="nearest"))
        return (self._conv_out(self._norm_out(x)),)


class _Kept:
    """What ``make`` makes of tensors, kept for the very same tensors: the engine hands in the same ones each frame."""

    def __init__(self, size: int, make: Callable[[Tensors], Any]) -> None:
        self._made: Recent[list[tuple[Tensors, Tensors, Any]]] = Recent(size)
        self._make = make

    def get(self, tensors: Tensors) -> Any:
        entry = self._made.get(tuple(id(tensor) for tensor in tensors), list)
        # an id is nobody else's while its tensor is kept too; other values may have been copied into it
        if not entry or not all(map(_same, *entry[0][:2])):
            copies = tuple(None if tensor is None else tensor.clone() for tensor in tensors)
            entry[:] = [(tensors, copies, self._make(tensors))]
        return entry[0][2]

    def clear(self) -> None:
        self._made.clear()


class _Level:
    """The layers of a block, and where they are among all of the UNet's. ``sample``: the convolution to the next."""

    def __init__(self, block: Any, first_resnet: int, first_transformer: int, pack: bool) -> None:
        kinds = blocks.DownBlock2D, blocks.CrossAttnDownBlock2D, blocks.UpBlock2D, blocks.CrossAttnUpBlock2D
        _need(type(block) in (*kinds, blocks.UNetMidBlock2DCrossAttn))
        self.first_resnet, self.first_transformer = first_resnet, first_transformer
        self.resnets = [_Resnet(resnet, pack) for resnet in block.resnets]
        self.transformers = [_Transformer(each, pack) for each in getattr(block, "attentions", ())]
        found = list(getattr(block, "downsamplers", None) or getattr(block, "upsamplers", None) or ())
        _need(len(found) <= 1)
        self.sample = None
        for sampler in found:
            _need(sampler.use_conv, sampler.norm is None, isinstance(sampler.conv, nn.Conv2d))
            if type(sampler) is Downsample2D:
                _need(sampler.padding == 1)
            else:
                _need(type(sampler) is Upsample2D, not sampler.use_conv_transpose, sampler.interpolate)
            self.sample = Conv(sampler.conv, pack)


class _Resnet:
    """A residual block: norm, convolution, the timestep's shift, norm, convolution."""

    def __init__(self, resnet: Any, pack: bool) -> None:
        _need(type(resnet) is ResnetBlock2D, isinstance(resnet.nonlinearity, nn.SiLU))
        _need(resnet.upsample is None, resnet.downsample is None, resnet.output_scale_factor == 1)
        _need(resnet.time_embedding_norm == "default", not resnet.skip_time_act, resnet.time_emb_proj is not None)
        self._project = resnet.time_emb_proj
        self._norm1, self._norm2 = GroupNorm(resnet.norm1, silu=True), GroupNorm(resnet.norm2, silu=True)
        self._conv1, self._conv2 = Conv(resnet.conv1, pack), Conv(resnet.conv2, pack)
        self._shortcut = None if resnet.conv_shortcut is None else Conv(resnet.conv_shortcut, pack)

    def shift(self, embedding: torch.Tensor) -> torch.Tensor:
        """What the activated ``embedding`` adds: C with the bias, in its place, or N x C x 1 x 1 where rows differ."""
        shift = self._project(embedding)
        return shift[0] + self._conv1.bias if len(shift) == 1 else shift[:, :, None, None]

    def __call__(self, x: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        inner = self._norm1(x)
        inner = self._conv1(inner, bias=shift) if shift.dim() == 1 else self._conv1(inner).add_(shift)
        return self._conv2(self._norm2(inner), add=x if self._shortcut is None else self._shortcut(x))


class _Transformer:
    """A transformer over the pixels, the image's channels_last memory being its tokens."""

    def __init__(self, transformer: Any, pack: bool) -> None:
        _need(type(transformer) is Transformer2DModel, transformer.is_input_continuous)
        self._norm = GroupNorm(transformer.norm, silu=False)
        self._in, self._out = (
            Linear(layer.weight.flatten(1), layer.bias, pack) for layer in (transformer.proj_in, transformer.proj_out)
        )
        self.blocks = [_Block(block, pack) for block in transformer.transformer_blocks]

    def __call__(self, x: torch.Tensor, keys: list[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
        number, channels, height, width = x.shape
        tokens = self._in(_tokens(self._norm(x)))
        for block, (key, value) in zip(self.blocks, keys, strict=True):
            tokens = block(tokens, key, value)
        return self._out(tokens, add=_tokens(x)).view(number, height, width, channels).permute(0, 3, 1, 2)


class _Block:
    """Attention among the tokens, attention to the text, and a gated layer for each token."""

    def __init__(self, block: Any, pack: bool) -> None:
        _need(type(block) is BasicTransformerBlock, block.norm_type == "layer_norm", block.pos_embed is None)
        _need(not block.only_cross_attention, block.attn2 is not None, not block.double_self_attention)
        _need(not hasattr(block, "fuser"), type(block.ff.net[0]).__name__ == "GEGLU", len(block.ff.net) == 3)
        norms = block.norm1, block.norm2, block.norm3
        self._norms = [(norm.normalized_shape, norm.weight, norm.bias, norm.eps) for norm in norms]
        own, other = block.attn1, block.attn2
        for attention in (own, other):
            _need(type(attention.processor) in (AttnProcessor, AttnProcessor2_0), not attention.residual_connection)
            _need(attention.norm_q is None, attention.group_norm is None, not attention.norm_cross)
            _need(attention.spatial_norm is None, attention.rescale_output_factor == 1)
            _need(attention.to_q.bias is None, attention.to_k.bias is None, attention.to_v.bias is None)
        self._heads, self._other_heads = own.heads, other.heads
        three = torch.cat([layer.weight for layer in (own.to_q, own.to_k, own.to_v)])
        self._own, self._own_out = Linear(three, None, pack), _linear(own.to_out[0], pack)
        self._query, self._other_out = _linear(other.to_q, pack), _linear(other.to_out[0], pack)
        self._to_key, self._to_value = other.to_k, other.to_v
        gated = block.ff.net[0].proj
        (plain, gate), (bias, gate_bias) = gated.weight.chunk(2), gated.bias.chunk(2)
        self._plain, self._gate = Linear(plain, bias, pack), Linear(gate, gate_bias, pack)
        self._end = _linear(block.ff.net[2], pack)

    def keys(self, text: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values of ``text``, N x heads x tokens x width."""
        key, value = (
            layer(text).unflatten(-1, (self._other_heads, -1)).transpose(1, 2).contiguous()
            for layer in (self._to_key, self._to_value)
        )
        return key, value

    def __call__(self, tokens: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        first, second, third = self._norms
        three = self._own(F.layer_norm(tokens, *first)).unflatten(-1, (3, self._heads, -1)).transpose(1, 3)
        tokens = self._own_out(attend(*three.unbind(2)), add=tokens)
        query = self._query(F.layer_norm(tokens, *second)).unflatten(-1, (self._other_heads, -1)).transpose(1, 2)
        tokens = self._other_out(attend(query, key, value), add=tokens)
        inner = F.layer_norm(tokens, *third)
        return self._end(self._plain(inner, multiply=self._gate(inner, gelu=True)), add=tokens)


def _same(one: Any, other: Any) -> bool:
    return one is other if one is None or other is None else torch.equal(one, other)


def _linear(layer: Any, pack: bool) -> Linear:
    return Linear(layer.weight, layer.bias, pack)


def _tokens(x: torch.Tensor) -> torch.Tensor:
    """N x C x H x W in channels_last to N x (H * W) x C, without a copy."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)
