"""Modules rewritten so that the same arithmetic costs less. torch and diffusers' modules; no files, no requests.

Nothing here changes what a model computes beyond rounding: the tests hold each rewrite to that. Weights are joined in
fp32, so before the modules get their precision; they are packed (see packed.py) after that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import AutoencoderTiny, T2IAdapter
from diffusers.models.adapter import AdapterResnetBlock, FullAdapter
from diffusers.models.unets.unet_2d_blocks import AutoencoderTinyBlock
from torch import nn

from ..sampling.pipeline import Pipeline
from .packed import Conv, packs
from .quick_unet import quicken_control, quicken_unet


class DoubledConv(nn.Module):
    """Doubling each side by nearest neighbour and a 3 x 3 convolution, in one convolution of the small picture.

    Each pixel of the doubled picture sees 2 x 2 pixels of the small one, whichever of its four corners it came
    from. So the 3 x 3 weights add up to four kernels of 2 x 2, one a corner: 16 products in place of 36, and the
    doubled picture is never written.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.channels = conv.out_channels
        weight = conv.weight.detach().double()
        # rows that the upper corners see: the one above, and their own twice; the lower: their own twice, and below
        above = torch.stack([weight[:, :, 0], weight[:, :, 1] + weight[:, :, 2]], 2)
        below = torch.stack([weight[:, :, 0] + weight[:, :, 1], weight[:, :, 2]], 2)
        corners = []
        for rows in (above, below):
            corners.append(torch.stack([rows[..., 0], rows[..., 1] + rows[..., 2]], -1))
            corners.append(torch.stack([rows[..., 0] + rows[..., 1], rows[..., 2]], -1))
        bias = None if conv.bias is None else conv.bias.detach().repeat(4)
        self.conv = _conv(torch.cat(corners).to(conv.weight.dtype), bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """N x C x H x W to N x channels x 2H x 2W."""
        number, _, height, width = x.shape
        corners = self.conv(x).view(number, 2, 2, self.channels, height + 1, width + 1)
        whole = x.new_empty(number, height, 2, width, 2, self.channels)
        for a in (0, 1):
            for b in (0, 1):
                part = corners[:, a, b, :, a : a + height, b : b + width]
                whole[:, :, a, :, b].copy_(part.permute(0, 2, 3, 1))
        return whole.view(number, 2 * height, 2 * width, self.channels).permute(0, 3, 1, 2)


class DoubledPair(nn.Module):
    """Doubling each side by nearest neighbour and two 3 x 3 convolutions, in one convolution of the small picture.

    With nothing between them the two are one of 5 x 5, and from the small picture each of the four pixels that one of
    its becomes sees 3 x 3. Only the outermost pixels are another sum, since what the second sees beyond the rim is
    zero and not what the first would give there: those are computed the long way.
    """

    def __init__(self, first: nn.Conv2d, second: nn.Conv2d) -> None:
        super().__init__()
        self.first, self.second, self.channels = first, second, second.out_channels
        both = _joined(first.weight, second.weight)
        phases = []
        for sums_y in _DOUBLED:
            rows = torch.stack([both[:, :, list(taps)].sum(2) for taps in sums_y], 2)
            for sums_x in _DOUBLED:
                phases.append(torch.stack([rows[..., list(taps)].sum(-1) for taps in sums_x], -1))
        self.conv = _conv(torch.cat(phases).to(first.weight.dtype), _joined_bias(first, second, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """N x C x H x W to N x channels x 2H x 2W, for H and W of 2 or more."""
        number, _, height, width = x.shape
        phases = self.conv(x).permute(0, 2, 3, 1).view(number, height, width, 2, 2, self.channels)
        whole = phases.transpose(2, 3).reshape(number, 2 * height, 2 * width, self.channels).permute(0, 3, 1, 2)
        ends = self._long(torch.cat([x[:, :, :2], x[:, :, -2:]]))
        whole[:, :, 0], whole[:, :, -1] = ends[:number, :, 0], ends[number:, :, -1]
        ends = self._long(torch.cat([x[..., :2], x[..., -2:]]))
        whole[..., 0], whole[..., -1] = ends[:number, :, :, 0], ends[number:, :, :, -1]
        return whole

    def _long(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(F.interpolate(x, scale_factor=2.0, mode="nearest")))


class HalvedPair(nn.Module):
    """A 3 x 3 convolution and another of stride 2 that halves each side, in one of 2 x 2 pixels laid side by side.

    As in :class:`DoubledPair`, the two are one, of 5 x 5 pixels, and so of 3 x 3 groups of 2 x 2; and the first row
    and column, where the second sees zeros beyond the rim, are computed the long way.
    """

    def __init__(self, first: nn.Conv2d, second: nn.Conv2d) -> None:
        super().__init__()
        self.first, self.second = first, second
        both = F.pad(_joined(first.weight, second.weight), (0, 1, 0, 1))
        outputs, inputs = both.shape[:2]
        # 6 x 6, the last row and column unused, is 3 x 3 groups of 2 x 2
        grouped = both.view(outputs, inputs, 3, 2, 3, 2).permute(0, 3, 5, 1, 2, 4).reshape(outputs, 4 * inputs, 3, 3)
        self.conv = _conv(grouped.to(first.weight.dtype), _joined_bias(first, second, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """N x C x H x W to N x channels x H/2 x W/2, for even H and W of 4 or more."""
        number, channels, height, width = x.shape
        groups = x.permute(0, 2, 3, 1).reshape(number, height // 2, 2, width // 2, 2, channels).transpose(2, 3)
        result = self.conv(groups.reshape(number, height // 2, width // 2, 4 * channels).permute(0, 3, 1, 2))
        result[:, :, 0] = self.second(self.first(x[:, :, :4]))[:, :, 0]
        result[..., 0] = self.second(self.first(x[..., :4]))[..., 0]
        return result


_DOUBLED = (((0, 1), (2, 3), (4,)), ((0,), (1, 2), (3, 4)))
"""Which of 5 rows of a doubled picture are row -1, 0 and +1 of the small one, from its even and its odd rows."""


def _joined(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """The 5 x 5 weights (fp64) of two 3 x 3 convolutions, ``second`` after ``first``."""
    inner = first.detach().double().transpose(0, 1)
    return F.conv2d(inner, second.detach().double().flip(2, 3), padding=2).transpose(0, 1)


def _joined_bias(first: nn.Conv2d, second: nn.Conv2d, times: int) -> torch.Tensor | None:
    if first.bias is None and second.bias is None:
        return None
    bias = torch.zeros(second.out_channels, dtype=torch.float64)
    if first.bias is not None:
        bias += second.weight.detach().double().sum((2, 3)) @ first.bias.detach().double()
    if second.bias is not None:
        bias += second.bias.detach().double()
    return bias.repeat(times).to(first.weight.dtype)


def _conv(weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Conv2d:
    conv = nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2], padding=1, bias=bias is not None)
    conv.weight = nn.Parameter(weight, requires_grad=False)
    conv.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)
    return conv


def quicken_autoencoder(vae: nn.Module, fold: bool) -> None:
    """Rewrite an AutoencoderTiny in place: ReLUs without a copy and, with ``fold``, layers joined into one.

    To be called in fp32, before the weights are rounded. ``fold`` is for a CPU; a GPU has products to spare, and would
    rather not gather the pieces. Other autoencoders are left alone.
    """
    if not isinstance(vae, AutoencoderTiny):
        return
    for module in vae.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = True  # each follows a convolution or a sum, whose result nobody else reads
    if not fold:
        return
    first, second = vae.encoder.layers[:2]
    if _is_3x3(first) and _is_3x3(second, stride=2):
        vae.encoder.layers[0], vae.encoder.layers[1] = nn.Identity(), HalvedPair(first, second)
    layers = vae.decoder.layers
    for index in range(len(layers) - 1):
        doubling, conv = layers[index], layers[index + 1]
        if not (_doubles(doubling) and _is_3x3(conv)):
            continue
        layers[index] = nn.Identity()
        after = layers[index + 2] if index + 2 < len(layers) else None
        if after is not None and _is_3x3(after):
            layers[index + 1], layers[index + 2] = nn.Identity(), DoubledPair(conv, after)
        else:
            layers[index + 1] = DoubledConv(conv)


def quicken(pipeline: Pipeline) -> None:
    """Have the modules of ``pipeline``, placed where they will stay, computed with less in between, where that goes."""
    pipeline.quick = quicken_unet(pipeline.unet)
    rest = [pipeline.vae, pipeline.adapter, pipeline.control]
    if pipeline.control is not None and (control := quicken_control(pipeline.control)) is not None:
        pipeline.quick_control, rest[-1] = control, pipeline.control.controlnet_cond_embedding
    for module in rest:
        if module is not None:
            pack_module(module)


def pack_module(module: Any) -> None:
    """Have the convolutions below ``module`` computed with packed weights; does nothing where those do not pay.

    ``module`` must be where and in the precision that it stays, and its weights must never change. A T2I-Adapter must
    be given the same plane in each of its channels.
    """
    if not packs(module):
        return
    for each in module.modules():
        if isinstance(each, nn.Conv2d) and each.padding_mode == "zeros" and not isinstance(each.padding, str):
            _compute_by(each, Conv(each, pack=True))
    for each in module.modules():
        if isinstance(each, AutoencoderTinyBlock) and isinstance(each.conv[1], nn.ReLU):
            _compute_by(each, _TinyBlock(each))
        elif isinstance(each, AdapterResnetBlock):
            _compute_by(each, _AdapterBlock(each))
    if isinstance(module, T2IAdapter) and isinstance(module.adapter, FullAdapter):
        _compute_by(module.adapter, _GreyAdapter(module.adapter))


def _compute_by(module: Any, forward: Callable[..., Any]) -> None:
    module.forward = forward  # its hooks, name and weights stay


class _TinyBlock:
    """AutoencoderTinyBlock's forward: three convolutions and a sum, the ReLUs within them."""

    def __init__(self, block: Any) -> None:
        self._convs, self._skip = [block.conv[index].forward for index in (0, 2, 4)], block.skip

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        one, two, three = self._convs
        return three(two(one(x, relu=True), relu=True), add=self._skip(x), relu=True)


class _AdapterBlock:
    """AdapterResnetBlock's forward, with its ReLU and its sum within the convolutions."""

    def __init__(self, block: Any) -> None:
        self._one, self._two = block.block1.forward, block.block2.forward

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self._two(self._one(x, relu=True), add=x)


class _GreyAdapter:
    """FullAdapter's forward for a plane repeated in each of its channels: one plane, and the sum of their weights."""

    def __init__(self, adapter: Any) -> None:
        conv, self._factor = adapter.conv_in, adapter.unshuffle.downscale_factor
        weight = conv.weight.detach().float()
        summed = weight.unflatten(1, (-1, self._factor**2)).sum(1).to(conv.weight.dtype)
        self._conv = Conv(_conv(summed.contiguous(memory_format=torch.channels_last), conv.bias), pack=True)
        self._body = adapter.body

    def __call__(self, x: torch.Tensor) -> list[torch.Tensor]:
        number, _, height, width = x.shape
        factor = self._factor
        tiles = x[:, 0].reshape(number, height // factor, factor, width // factor, factor).transpose(2, 3)
        x = self._conv(tiles.reshape(number, height // factor, width // factor, factor**2).permute(0, 3, 1, 2))
        features = []
        for block in self._body:
            x = block(x)
            features.append(x)
        return features


def _doubles(module: nn.Module) -> bool:
    return isinstance(module, nn.Upsample) and module.mode == "nearest" and module.scale_factor in (2, (2, 2))


def _is_3x3(module: nn.Module, stride: int = 1) -> bool:
    return (
        isinstance(module, nn.Conv2d)
        and (module.kernel_size, module.padding, module.stride) == ((3, 3), (1, 1), (stride, stride))
        and (module.dilation, module.groups, module.padding_mode) == ((1, 1), 1, "zeros")
    )
