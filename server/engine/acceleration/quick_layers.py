"""A diffusers UNet's blocks with less overhead: the same layers, weights, arithmetic. torch and diffusers' modules.

Each is made of a diffusers module, whose weights it reads, and raises :class:`Unknown` for one that it doesn't know.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0, IPAdapterAttnProcessor2_0
from diffusers.models.downsampling import Downsample2D
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.models.unets import unet_2d_blocks as blocks
from diffusers.models.upsampling import Upsample2D
from torch import nn

from .packed import Conv, Gated, GroupNorm, Linear, attend

PLAIN = AttnProcessor, AttnProcessor2_0
Keys = tuple[torch.Tensor, torch.Tensor]
"""Keys and values of one attention, each N x heads x tokens x width."""


class Unknown(Exception):
    """A layer of another kind."""


def need(*facts: bool) -> None:
    """Raise :class:`Unknown` unless all of ``facts`` hold."""
    if not all(facts):
        raise Unknown


class Level:
    """The layers of a block. ``sample``: the convolution to the next."""

    def __init__(self, block: Any, pack: bool) -> None:
        kinds = blocks.DownBlock2D, blocks.CrossAttnDownBlock2D, blocks.UpBlock2D, blocks.CrossAttnUpBlock2D
        need(type(block) in (*kinds, blocks.UNetMidBlock2DCrossAttn))
        self.resnets = [Resnet(resnet, pack) for resnet in block.resnets]
        self.transformers = [Transformer(each, pack) for each in getattr(block, "attentions", ())]
        found = list(getattr(block, "downsamplers", None) or getattr(block, "upsamplers", None) or ())
        need(len(found) <= 1)
        self.sample = None
        for sampler in found:
            need(sampler.use_conv, sampler.norm is None, isinstance(sampler.conv, nn.Conv2d))
            if type(sampler) is Downsample2D:
                need(sampler.padding == 1)
            else:
                need(type(sampler) is Upsample2D, not sampler.use_conv_transpose, sampler.interpolate)
            self.sample = Conv(sampler.conv, pack)


class Resnet:
    """A residual block: norm, convolution, the timestep's shift, norm, convolution."""

    def __init__(self, resnet: Any, pack: bool) -> None:
        need(type(resnet) is ResnetBlock2D, isinstance(resnet.nonlinearity, nn.SiLU))
        need(resnet.upsample is None, resnet.downsample is None, resnet.output_scale_factor == 1)
        need(resnet.time_embedding_norm == "default", not resnet.skip_time_act, resnet.time_emb_proj is not None)
        self._project = resnet.time_emb_proj
        self._norm1, self._norm2 = GroupNorm(resnet.norm1, silu=True), GroupNorm(resnet.norm2, silu=True)
        self._conv1, self._conv2 = Conv(resnet.conv1, pack), Conv(resnet.conv2, pack)
        self._shortcut = None if resnet.conv_shortcut is None else Conv(resnet.conv_shortcut, pack)

    @property
    def width(self) -> int:
        """Of the shift."""
        return int(self._project.weight.shape[0])

    def shift(self, embedding: torch.Tensor) -> torch.Tensor:
        """What the activated ``embedding`` adds, N x width; of a single row with the convolution's bias."""
        shift = self._project(embedding)
        return shift + self._conv1.bias if len(shift) == 1 else shift

    def __call__(self, x: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        inner = self._norm1(x)
        if len(shift) == 1:
            inner = self._conv1(inner, bias=shift[0])
        else:
            inner = self._conv1(inner).add_(shift[:, :, None, None])
        return self._conv2(self._norm2(inner), add=x if self._shortcut is None else self._shortcut(x))


class Transformer:
    """A transformer over the pixels, the image's channels_last memory being its tokens."""

    def __init__(self, transformer: Any, pack: bool) -> None:
        need(type(transformer) is Transformer2DModel, transformer.is_input_continuous)
        self._norm = GroupNorm(transformer.norm, silu=False)
        self._in, self._out = (
            Linear(layer.weight.flatten(1), layer.bias, pack) for layer in (transformer.proj_in, transformer.proj_out)
        )
        self.blocks = [Block(block, pack) for block in transformer.transformer_blocks]

    def __call__(self, x: torch.Tensor, words: Iterator[Keys], picture: Iterator[Keys] | None) -> torch.Tensor:
        """``words``, ``picture``: give the keys and values of each block in turn."""
        number, channels, height, width = x.shape
        tokens = self._in(_tokens(self._norm(x)))
        for block in self.blocks:
            tokens = block(tokens, next(words), None if picture is None else next(picture))
        return self._out(tokens, add=_tokens(x)).view(number, height, width, channels).permute(0, 3, 1, 2)


class Block:
    """Attention among the tokens, attention to the text and to a style picture, and a gated layer for each token."""

    def __init__(self, block: Any, pack: bool) -> None:
        need(type(block) is BasicTransformerBlock, block.norm_type == "layer_norm", block.pos_embed is None)
        need(not block.only_cross_attention, block.attn2 is not None, not block.double_self_attention)
        need(not hasattr(block, "fuser"), type(block.ff.net[0]).__name__ == "GEGLU", len(block.ff.net) == 3)
        norms = block.norm1, block.norm2, block.norm3
        self._norms = [(norm.normalized_shape, norm.weight, norm.bias, norm.eps) for norm in norms]
        own, other = block.attn1, block.attn2
        for attention, kinds in ((own, PLAIN), (other, (*PLAIN, IPAdapterAttnProcessor2_0))):
            need(type(attention.processor) in kinds, not attention.residual_connection)
            need(attention.norm_q is None, attention.group_norm is None, not attention.norm_cross)
            need(attention.spatial_norm is None, attention.rescale_output_factor == 1)
            need(attention.to_q.bias is None, attention.to_k.bias is None, attention.to_v.bias is None)
        self._heads, self._other_heads = own.heads, other.heads
        self._own, self._own_out = (
            Linear(_joined(own.to_q, own.to_k, own.to_v), None, pack),
            _linear(own.to_out[0], pack),
        )
        self._query, self._other_out = _linear(other.to_q, pack), _linear(other.to_out[0], pack)
        self._words = other.to_k, other.to_v
        self._styling = None
        if isinstance(other.processor, IPAdapterAttnProcessor2_0):
            need(len(other.processor.scale) == 1)
            self._styling = other.processor
        gated = block.ff.net[0].proj
        self._gated, self._end = Gated(gated.weight, gated.bias, pack), _linear(block.ff.net[2], pack)

    @property
    def width(self) -> int:
        """Of the keys, of all heads together."""
        return int(self._words[0].weight.shape[0])

    def keys(self, text: torch.Tensor) -> Keys:
        """Keys and values of ``text``, N x tokens x width."""
        return self._by_heads(self._words[0](text)), self._by_heads(self._words[1](text))

    def picture_keys(self, picture: torch.Tensor) -> Keys:
        """Keys and values of a style picture, N x 1 x tokens x width; its weight is in the values."""
        assert self._styling is not None
        scale, key, value = self._styling.scale[0], self._styling.to_k_ip[0], self._styling.to_v_ip[0]
        return self._by_heads(key(picture[:, 0])), self._by_heads(value(picture[:, 0]) * scale)

    def split(self, keys: torch.Tensor, rows: int) -> Keys:
        """What :meth:`keys` gave, from its numbers one behind the other."""
        key, value = keys.view(2, rows, self._other_heads, -1, self.width // self._other_heads).unbind()
        return key, value

    def __call__(self, tokens: torch.Tensor, words: Keys, picture: Keys | None) -> torch.Tensor:
        first, second, third = self._norms
        three = self._own(F.layer_norm(tokens, *first)).unflatten(-1, (3, self._heads, -1)).transpose(1, 3)
        tokens = self._own_out(attend(*three.unbind(2)), add=tokens)
        query = self._query(F.layer_norm(tokens, *second)).unflatten(-1, (self._other_heads, -1)).transpose(1, 2)
        found = attend(query, *words)
        if picture is not None:
            found = found + attend(query, *picture)
        tokens = self._other_out(found, add=tokens)
        return self._end(self._gated(F.layer_norm(tokens, *third)), add=tokens)

    def _by_heads(self, each: torch.Tensor) -> torch.Tensor:
        return each.unflatten(-1, (self._other_heads, -1)).transpose(1, 2)


def _joined(*layers: Any) -> torch.Tensor:
    """The weights of ``layers`` one below the other, of which theirs are parts from now on: what changes them counts.

    Made once, so that nothing has to be joined again when a LoRA changes one of them.
    """
    whole = torch.cat([layer.weight.detach() for layer in layers])
    for layer, part in zip(layers, whole.split([len(layer.weight) for layer in layers]), strict=True):
        layer.weight = nn.Parameter(part, requires_grad=False)
    return whole


def _linear(layer: Any, pack: bool) -> Linear:
    return Linear(layer.weight, layer.bias, pack)


def _tokens(x: torch.Tensor) -> torch.Tensor:
    """N x C x H x W in channels_last to N x (H * W) x C, without a copy."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)
