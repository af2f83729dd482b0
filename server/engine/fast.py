"""Modules rewritten so that the same sums cost less. torch and diffusers' modules; no files, no requests.

Nothing here changes what a model computes beyond rounding: the tests hold each rewrite to that.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diffusers import AutoencoderTiny
from torch import nn


class DoubledConv(nn.Module):
    """Doubling each side by nearest neighbour and a 3 x 3 convolution, in one convolution of the small picture.

    Each pixel of the doubled picture sees 2 x 2 pixels of the small one, whichever of its four corners it came
    from. So the 3 x 3 weights add up to four kernels of 2 x 2, one a corner: 16 products in place of 36, and the
    doubled picture is never written.
    """

    bias: nn.Parameter | None

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
        self.weight = nn.Parameter(torch.cat(corners).to(conv.weight.dtype), requires_grad=False)
        bias = None if conv.bias is None else nn.Parameter(conv.bias.detach().repeat(4), requires_grad=False)
        self.register_parameter("bias", bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """N x C x H x W to N x channels x 2H x 2W."""
        number, _, height, width = x.shape
        corners = F.conv2d(x, self.weight, self.bias, padding=1).view(
            number, 2, 2, self.channels, height + 1, width + 1
        )
        whole = x.new_empty(number, height, 2, width, 2, self.channels)
        for a in (0, 1):
            for b in (0, 1):
                part = corners[:, a, b, :, a : a + height, b : b + width]
                whole[:, :, a, :, b].copy_(part.permute(0, 2, 3, 1))
        return whole.view(number, 2 * height, 2 * width, self.channels).permute(0, 3, 1, 2)


def quicken_autoencoder(vae: nn.Module, fold: bool) -> None:
    """Rewrite an AutoencoderTiny in place: ReLUs without a copy and, with ``fold``, doublings by DoubledConv.

    To be called in fp32, before the weights are rounded. ``fold`` takes 15 % off the decoder's time on a CPU; a GPU
    has products to spare, and would rather not gather the corners. Other autoencoders are left alone.
    """
    if not isinstance(vae, AutoencoderTiny):
        return
    for module in vae.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = True  # each follows a convolution or a sum, whose result nobody else reads
    layers = vae.decoder.layers
    for index in range(len(layers) - 1 if fold else 0):
        doubling, conv = layers[index], layers[index + 1]
        if _doubles(doubling) and _plain_3x3(conv):
            layers[index], layers[index + 1] = nn.Identity(), DoubledConv(conv)


def _doubles(module: nn.Module) -> bool:
    return isinstance(module, nn.Upsample) and module.mode == "nearest" and module.scale_factor in (2, (2, 2))


def _plain_3x3(module: nn.Module) -> bool:
    return (
        isinstance(module, nn.Conv2d)
        and (module.kernel_size, module.padding, module.stride) == ((3, 3), (1, 1), (1, 1))
        and (module.dilation, module.groups, module.padding_mode) == ((1, 1), 1, "zeros")
    )
