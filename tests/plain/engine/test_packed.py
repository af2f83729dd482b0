"""Packed layers compute what torch's own do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from server.engine.acceleration import packed
from server.engine.acceleration.packed import Conv, Derived, Gated, GroupNorm, Linear, attend, packs

NO_BF16 = pytest.mark.skipif(not packed.cpu_has_bf16(), reason="this CPU has no bf16")
DTYPES = [torch.float32, pytest.param(torch.bfloat16, marks=NO_BF16)]
NEAR = {torch.float32: {"rtol": 1e-4, "atol": 1e-4}, torch.bfloat16: {"rtol": 0.03, "atol": 0.1}}
LAST = torch.channels_last


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    torch.manual_seed(0)
    with torch.no_grad():
        yield


@pytest.fixture(params=[False, True])
def pack(request: pytest.FixtureRequest) -> bool:
    if request.param and not torch.backends.mkldnn.is_available():
        pytest.skip("this torch has no oneDNN")
    return bool(request.param)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("size", "stride", "bias"), [(3, 1, True), (3, 2, False), (1, 1, True), (2, 1, True)])
@pytest.mark.parametrize("memory", [LAST, torch.contiguous_format])
def test_conv(dtype: torch.dtype, size: int, stride: int, bias: bool, memory: torch.memory_format, pack: bool) -> None:
    layer = nn.Conv2d(12, 20, size, stride, size // 2, bias=bias).to(dtype, memory_format=LAST)
    x = torch.randn(2, 12, 9, 8, dtype=dtype).to(memory_format=memory)
    conv, plain = Conv(layer, pack), layer(x)
    other, shift = torch.randn_like(plain), torch.randn(20, dtype=dtype)
    kept = other.clone()
    torch.testing.assert_close(conv(x), plain, **NEAR[dtype])
    torch.testing.assert_close(conv(x, relu=True), plain.relu(), **NEAR[dtype])
    torch.testing.assert_close(conv(x, add=other), plain + other, **NEAR[dtype])
    torch.testing.assert_close(conv(x, add=other, relu=True), (plain + other).relu(), **NEAR[dtype])
    shifted = F.conv2d(x, layer.weight, shift, stride, size // 2)
    torch.testing.assert_close(conv(x, bias=shift), shifted, **NEAR[dtype])
    assert torch.equal(other, kept)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bias", [True, False])
def test_linear(dtype: torch.dtype, bias: bool, pack: bool) -> None:
    layer = nn.Linear(24, 40, bias=bias).to(dtype)
    x = torch.randn(2, 7, 24, dtype=dtype)
    linear, plain = Linear(layer.weight, layer.bias, pack), layer(x)
    other = torch.randn_like(plain)
    torch.testing.assert_close(linear(x), plain, **NEAR[dtype])
    torch.testing.assert_close(linear(x, gelu=True), F.gelu(plain), **NEAR[dtype])
    torch.testing.assert_close(linear(x, add=other), plain + other, **NEAR[dtype])
    torch.testing.assert_close(linear(x, multiply=other), plain * other, **NEAR[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("silu", [True, False])
@pytest.mark.parametrize(("channels", "groups", "side"), [(24, 8, 5), (24, 8, 40), (64, 2, 4), (32, 32, 3)])
def test_group_norm(channels: int, groups: int, side: int, silu: bool, dtype: torch.dtype) -> None:
    norm = nn.GroupNorm(groups, channels)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    norm.to(dtype)
    x = (3 * torch.randn(2, channels, side, side) + 5).to(dtype, memory_format=LAST)
    expected = norm(x.float().contiguous().to(dtype))
    result = GroupNorm(norm, silu)(x)
    torch.testing.assert_close(result, F.silu(expected) if silu else expected, **NEAR[dtype])
    assert result.is_contiguous(memory_format=LAST)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("number", "tokens", "others"), [(1, 20, 7), (2, 20, 20), (1, 400, 400)])
def test_attention(number: int, tokens: int, others: int, dtype: torch.dtype) -> None:
    query = torch.randn(number, tokens, 3, 8, dtype=dtype).transpose(1, 2)
    key, value = (torch.randn(number, others, 3, 8, dtype=dtype).transpose(1, 2) for _ in range(2))
    expected = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
    torch.testing.assert_close(attend(query, key, value), expected, **NEAR[dtype])


def test_what_is_made_of_a_weight_follows_it() -> None:
    made: list[float] = []
    weight = torch.zeros(2, 3)
    derived = Derived(weight, lambda now: made.append(float(now.sum())) or 2 * now)
    assert torch.equal(derived.get(), torch.zeros(2, 3)) and derived.get() is derived.get()
    weight[0].copy_(torch.ones(3))
    assert torch.equal(derived.get(), 2 * weight)
    assert made == [0.0, 3.0]


@pytest.mark.parametrize("dtype", DTYPES)
def test_gated(dtype: torch.dtype, pack: bool) -> None:
    layer = nn.Linear(24, 64).to(dtype)
    x = torch.randn(2, 7, 24, dtype=dtype)
    plain, gate = layer(x).chunk(2, -1)
    torch.testing.assert_close(Gated(layer.weight, layer.bias, pack)(x), plain * F.gelu(gate), **NEAR[dtype])


def test_a_rows_bias_is_added_within_the_product_however_the_row_lies() -> None:
    """By itself, torch adds it afterwards to what lies as pixels of one channel behind those of another."""
    layer = Linear(torch.randn(6, 4), torch.randn(6), pack=False)
    tokens = torch.randn(1, 4, 5).transpose(1, 2)
    seen: list[str] = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, given: Any = (), named: Any = None) -> Any:
            seen.append(str(function))
            return function(*given, **(named or {}))

    with Watch():
        result = layer(tokens)
    assert "aten.addmm.default" in seen and not {"aten.add.Tensor", "aten.add_.Tensor", "aten.clone.default"} & {*seen}
    torch.testing.assert_close(result, F.linear(tokens, layer._weight, layer._bias))


def test_large_and_odd_weights_are_not_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = nn.Linear(4, 4)
    assert packs(layer) == torch.backends.mkldnn.is_available()
    assert not packs(nn.Linear(4, 4).half())
    monkeypatch.setattr(packed, "LARGEST_PACKED", 79)
    assert not packs(layer)


def test_a_torch_without_onednn() -> None:
    """PyTorch's builds for Macs have none: the operators that pack weights are missing there."""
    without = """
import types, torch
torch.backends.mkldnn.is_available = lambda: False
torch.ops.__dict__["mkldnn"] = types.SimpleNamespace()
from server.engine import StableDiffusionLcm, default_model
from tests.plain.engine.conftest import make_request
engine = StableDiffusionLcm.load(default_model(), "cpu", dtype=torch.float32)
assert engine._pipeline.quick is not None
assert engine.render(make_request(1.0, strength=0.5, steps=1)).image.std() > 1
"""
    subprocess.run([sys.executable, "-c", without], check=True, timeout=120)
