"""The layers of a diffusers model in their fastest form: the same arithmetic, no modules. torch, no requests.

PyTorch's CPU kernels (oneDNN) want a convolution's weights in an order of their own, and eager mode puts them into it
at every call, which for small pictures takes longer than the convolution. Here that is done once; and what follows a
convolution or a linear layer, a sum or a ReLU, is done on its result while that is still in the cache. Elsewhere, and
for large models, the layers read the modules' own weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import torch
import torch.nn.functional as F
from torch import nn

from ..devices import cpu_has_bf16

LARGEST_PACKED = 256 * 2**20
"""Bytes of weights that a second copy of is kept, in the kernels' order. Large models gain little by it."""

SMALL_MAP, NARROW_GROUP = 1024, 16
"""Pixels and channels of a group below which PyTorch's own group norm takes several times as long as it need."""

SMALL_SCORES = 2**17
"""Up to so many attention scores of a head, multiplying them out beats the blockwise kernel."""

HAS_ONEDNN = torch.backends.mkldnn.is_available()
"""PyTorch for Macs is built without it, and has none of its operators then."""
_convolve: Any = torch.ops.mkldnn._convolution_pointwise if HAS_ONEDNN else None
_multiply: Any = torch.ops.mkldnn._linear_pointwise if HAS_ONEDNN else None


def packs(module: nn.Module) -> bool:
    """Whether the weights of ``module``, which is where and in the precision that it will stay, are to be packed."""
    weights = list(module.parameters())
    known = {torch.float32} | ({torch.bfloat16} if cpu_has_bf16() else set())
    return (
        torch.backends.mkldnn.is_available()
        and all(weight.device.type == "cpu" and weight.dtype in known for weight in weights)
        and sum(weight.nbytes for weight in weights) <= LARGEST_PACKED
    )


Made = TypeVar("Made")


class Derived(Generic[Made]):
    """What ``make`` makes of ``weight``, and makes anew once the weight has been changed in place."""

    def __init__(self, weight: torch.Tensor, make: Callable[[torch.Tensor], Made]) -> None:
        self._weight, self._make = weight, make
        self._version, self._made = weight._version, make(weight.detach())

    def get(self) -> Made:
        if self._version != self._weight._version:
            self._version, self._made = self._weight._version, self._make(self._weight.detach())
        return self._made


class Conv:
    """A convolution of N x C x H x W in channels_last, which may add something of its result's shape, then a ReLU."""

    def __init__(self, conv: nn.Conv2d, pack: bool) -> None:
        self.bias = conv.bias
        self._weight = conv.weight
        self._shape: tuple[Any, ...] = (conv.padding, conv.stride, conv.dilation, conv.groups)
        self._packed = Derived(conv.weight, self._reorder) if pack else None

    def _reorder(self, weight: torch.Tensor) -> torch.Tensor:
        return torch.ops.mkldnn._reorder_convolution_weight(weight, *self._shape)

    def __call__(
        self,
        x: torch.Tensor,
        add: torch.Tensor | None = None,
        relu: bool = False,
        bias: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """``bias``: in place of the layer's own."""
        bias = self.bias if bias is None else bias
        if self._packed is None:
            padding, stride, dilation, groups = self._shape
            result = F.conv2d(x, self._weight, bias, stride, padding, dilation, groups)
            result = result if add is None else result.add_(add)
            return result.relu_() if relu else result
        if add is None:
            return _convolve(x, self._packed.get(), bias, *self._shape, "relu" if relu else "none", [], None)
        after = "relu" if relu else None
        return _convolve.binary(x, add, self._packed.get(), bias, *self._shape, "add", 1.0, after, [], None)


class Linear:
    """A linear layer of ... x width, which may add something of its result's shape, multiply by it, or end in a GELU.

    ``weight``: out x in; ``bias``: out, or None.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None, pack: bool) -> None:
        self._weight, self._bias = weight, bias
        self._packed = Derived(weight, torch.ops.mkldnn._reorder_linear_weight) if pack else None

    def __call__(
        self,
        x: torch.Tensor,
        add: torch.Tensor | None = None,
        multiply: torch.Tensor | None = None,
        gelu: bool = False,
    ) -> torch.Tensor:
        if self._packed is not None:
            packed = self._packed.get()
            if add is not None:
                return _multiply.binary(x, add, packed, self._bias, "add")
            if multiply is not None:
                return _multiply.binary(x, multiply, packed, self._bias, "mul")
            return _multiply(x, packed, self._bias, "gelu" if gelu else "none", [], "none" if gelu else None)
        if x.dim() == 3 and len(x) == 1:  # as a matrix, however it lies in memory, its product takes the bias in
            result = F.linear(x[0], self._weight, self._bias)[None]
        else:
            result = F.linear(x, self._weight, self._bias)
        if add is not None:
            return result.add_(add)
        if multiply is not None:
            return result.mul_(multiply)
        return F.gelu(result) if gelu else result


class Gated:
    """A GEGLU's first layer: half of its outputs, each multiplied by the GELU of one of the other half.

    ``weight``: 2 out x in, the gates last; ``bias``: 2 out.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor, pack: bool) -> None:
        self._both = self._plain = self._gate = None
        if not pack:  # one large product and a pass over it, in place of two
            self._both = Linear(weight, bias, pack)
            return
        (plain, gate), (plain_bias, gate_bias) = weight.chunk(2), bias.chunk(2)
        self._plain, self._gate = Linear(plain, plain_bias, pack), Linear(gate, gate_bias, pack)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if self._both is not None:
            plain, gate = self._both(x).chunk(2, -1)
            return plain * F.gelu(gate)
        assert self._plain is not None and self._gate is not None
        return self._plain(x, multiply=self._gate(x, gelu=True))


class GroupNorm:
    """A group norm of N x C x H x W in channels_last, which may end in a SiLU."""

    def __init__(self, norm: nn.GroupNorm, silu: bool) -> None:
        self._norm, self._silu = norm, silu
        groups, channels = norm.num_groups, norm.num_channels
        self._width = channels // groups
        self._weight, self._bias = Derived(norm.weight, torch.Tensor.float), Derived(norm.bias, torch.Tensor.float)
        # multiplied by it, the sums of channels become their groups' means, as far as the pixels' number is left out
        self._to_groups = torch.eye(groups).repeat_interleave(self._width, 0) / self._width
        self._to_channels = torch.eye(groups).repeat_interleave(self._width, 1).contiguous()

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        number, channels, height, width = x.shape
        is_fast = not x.is_cpu or height * width >= SMALL_MAP or self._width >= NARROW_GROUP
        if is_fast or torch.compiler.is_compiling():
            norm = self._norm
            result = F.group_norm(x, norm.num_groups, norm.weight, norm.bias, norm.eps)
            return F.silu(result, inplace=True) if self._silu else result
        rows = x.permute(0, 2, 3, 1).reshape(number, height * width, channels).float()
        sums = torch.stack([rows.sum(1), torch.linalg.vecdot(rows, rows, dim=1)])
        mean, square = (sums @ self._to_groups).mul_(1 / (height * width)).unbind()
        spread = torch.rsqrt_((square - mean * mean).clamp_(min=0).add_(self._norm.eps))
        scale, shift = (torch.stack([spread, mean * spread]) @ self._to_channels).unbind()
        shift = torch.addcmul(self._bias.get(), shift, self._weight.get(), value=-1)
        result = torch.addcmul(shift[:, None], rows, (scale * self._weight.get())[:, None])
        if self._silu:
            F.silu(result, inplace=True)
        return result.to(x.dtype).view(number, height, width, channels).permute(0, 3, 1, 2)


def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Attention of N x heads x tokens x width to as many heads of other tokens; N x tokens x (heads * width)."""
    number, heads, tokens, width = query.shape
    if number == 1 and query.is_cpu and tokens * key.shape[2] <= SMALL_SCORES:
        nothing = query.new_empty(1, 1, 1)
        scores = torch.baddbmm(nothing, query[0], key[0].transpose(1, 2), beta=0, alpha=width**-0.5)
        result = torch.bmm(torch.softmax(scores, -1), value[0])[None]
    else:
        result = F.scaled_dot_product_attention(query, key, value)
    return result.transpose(1, 2).reshape(number, tokens, heads * width)
