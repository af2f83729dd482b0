"""Rewritten modules compute what the original ones do."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from server.engine.fast import DoubledConv, quicken_autoencoder
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
