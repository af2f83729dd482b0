"""Rewritten modules compute what the original ones do."""

from __future__ import annotations

import copy

import pytest
import torch
from diffusers import AutoencoderTiny, T2IAdapter
from torch import nn

from server.engine.acceleration.fast import DoubledConv, DoubledPair, HalvedPair, pack_module, quicken_autoencoder
from server.engine.acceleration.packed import packs
from tests.plain.checkpoints import make_vae


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 3, 8, 8), (2, 5, 7, 9), (1, 4, 1, 1)])
def test_doubled_conv_is_upsampling_and_convolution(shape: tuple[int, ...], bias: bool) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(shape[1], 6, 3, padding=1, bias=bias)
    x = torch.randn(shape)
    with torch.inference_mode():
        expected = conv(nn.Upsample(scale_factor=2)(x))
        torch.testing.assert_close(DoubledConv(conv)(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 3, 8, 8), (2, 5, 7, 9), (1, 4, 2, 2)])
def test_doubled_pair_is_upsampling_and_two_convolutions(shape: tuple[int, ...], bias: bool) -> None:
    torch.manual_seed(0)
    first = nn.Conv2d(shape[1], 6, 3, padding=1, bias=False)
    second = nn.Conv2d(6, 3, 3, padding=1, bias=bias)
    x = torch.randn(shape)
    with torch.inference_mode():
        expected = second(first(nn.Upsample(scale_factor=2)(x)))
        torch.testing.assert_close(DoubledPair(first, second)(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 3, 8, 8), (2, 5, 6, 10), (1, 4, 4, 4)])
def test_halved_pair_is_two_convolutions(shape: tuple[int, ...], bias: bool) -> None:
    torch.manual_seed(0)
    first = nn.Conv2d(shape[1], 6, 3, padding=1)
    second = nn.Conv2d(6, 7, 3, padding=1, stride=2, bias=bias)
    x = torch.randn(shape)
    with torch.inference_mode():
        torch.testing.assert_close(HalvedPair(first, second)(x), second(first(x)), rtol=1e-5, atol=1e-5)


def autoencoder_without_last_blocks() -> AutoencoderTiny:
    """As the embedded model's: nothing stands between its two last convolutions, nor its two first."""
    wide = (16, 16, 16, 16)
    blocks = {"num_encoder_blocks": (0, 1, 1, 2), "num_decoder_blocks": (3, 2, 2, 0)}
    return AutoencoderTiny(encoder_block_out_channels=wide, decoder_block_out_channels=wide, **blocks).eval()


def test_a_packed_autoencoder_gives_the_same_pictures() -> None:
    torch.manual_seed(0)
    original = autoencoder_without_last_blocks()
    quick = copy.deepcopy(original)
    quicken_autoencoder(quick, fold=True)
    kinds = [type(module) for module in quick.modules()]
    assert [kinds.count(kind) for kind in (DoubledConv, DoubledPair, HalvedPair)] == [2, 1, 1]
    pack_module(quick.requires_grad_(False).to(memory_format=torch.channels_last))
    assert packs(quick) == any("forward" in vars(module) for module in quick.modules())
    for height, width in ((64, 64), (40, 72)):
        image, latent = torch.rand(1, 3, height, width) * 2 - 1, torch.randn(1, 4, height // 8, width // 8)
        with torch.inference_mode():
            torch.testing.assert_close(quick.encode(image).latents, original.encode(image).latents)
            torch.testing.assert_close(quick.decode(latent).sample, original.decode(latent).sample)


@pytest.mark.parametrize("kind", ["full_adapter", "full_adapter_xl", "light_adapter"])
def test_a_packed_adapter_gives_the_same_features(kind: str) -> None:
    torch.manual_seed(0)
    original = T2IAdapter(3, [8, 16, 16], 1, 8, kind).eval()
    quick = copy.deepcopy(original)
    pack_module(quick.requires_grad_(False))
    plane = torch.rand(1, 1, 64, 96).expand(-1, 3, -1, -1)
    with torch.inference_mode():
        for one, other in zip(original(plane), quick(plane), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("fold", [True, False])
def test_a_quickened_autoencoder_gives_the_same_pictures(fold: bool) -> None:
    torch.manual_seed(0)
    original = make_vae("tiny").eval()
    quick = copy.deepcopy(original)
    quicken_autoencoder(quick, fold)
    assert sum(isinstance(module, DoubledConv) for module in quick.modules()) == (3 if fold else 0)
    image, latent = torch.rand(1, 3, 64, 64) * 2 - 1, torch.randn(1, 4, 8, 8)
    before = image.clone(), latent.clone()
    with torch.inference_mode():
        torch.testing.assert_close(quick.encode(image).latents, original.encode(image).latents)
        torch.testing.assert_close(quick.decode(latent).sample, original.decode(latent).sample, rtol=1e-4, atol=1e-4)
    assert torch.equal(image, before[0]) and torch.equal(latent, before[1])


def test_other_autoencoders_are_left_alone() -> None:
    vae = make_vae("kl")
    modules = list(vae.modules())
    quicken_autoencoder(vae, fold=True)
    assert [id(module) for module in vae.modules()] == [id(module) for module in modules]
