"""The arithmetic of a picture: tensors in, tensors out; it decides nothing and waits for nothing. torch, no requests.

Everything that varies from frame to frame comes as a tensor on the device, so that a method with inputs of the same
shapes does the same work each time: it can be recorded once (a CUDA graph) and repeated with other values copied
into its inputs. Which of the optional inputs are None is part of the shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from ..acceleration.quick_unet import QuickControl, QuickUnet
from ..images import from_model, resize_to, to_model

FLAT = 1e-3
"""A depth with less between its nearest and its farthest point says nothing when stretched."""


@dataclass(frozen=True, eq=False)
class Call:
    """The numbers of one UNet call, of one frame or of N: ``next latent = keep * latent + use * output (+ noise)``.

    ``timestep``: int64, 0-d. ``keep``, ``use``: fp32, 0-d. ``noise``: fp32, of the latent's shape, already scaled;
    None at the last call. ``shifts``, ``control_shifts``: what a :class:`QuickUnet` and a :class:`QuickControl` take in
    place of the timestep.
    """

    timestep: torch.Tensor
    keep: torch.Tensor
    use: torch.Tensor
    noise: torch.Tensor | None
    shifts: torch.Tensor | None = None
    control_shifts: torch.Tensor | None = None


@dataclass(frozen=True, eq=False)
class Guide:
    """What the prompt gives to each UNet call.

    B is 1, or 2 with classifier-free guidance, the negative one first; N or 2 N for N frames in one call.

    ``text``: B x tokens x width. ``pooled``, ``times``: SDXL's, B x width and B x 6 (size, crop, size), or None.
    ``picture``: the encoded style picture of an IP-Adapter, B x 1 x ..., or None where the UNet has none.
    ``guidance``: fp32, 0-d, or None without classifier-free guidance. ``embedded``: the embedding of the guidance for
    UNets that take it as an input, B x width, or None. ``keys``, ``picture_keys``, ``control_keys``: what a
    :class:`QuickUnet` and a :class:`QuickControl` take in place of text and picture.
    """

    text: torch.Tensor
    pooled: torch.Tensor | None = None
    times: torch.Tensor | None = None
    picture: torch.Tensor | None = None
    guidance: torch.Tensor | None = None
    embedded: torch.Tensor | None = None
    keys: torch.Tensor | None = None
    picture_keys: torch.Tensor | None = None
    control_keys: torch.Tensor | None = None


@dataclass(frozen=True, eq=False)
class Depth:
    """What the depth gives to each UNet call, made once a frame by :meth:`Pipeline.encode_control`.

    ``features``: a T2I-Adapter's, one for each UNet block, weighted, or None. ``plane``: what a ControlNet sees,
    B x 3 x H x W, or what a :class:`QuickControl` has made of it, or None; ``weight``: of its residuals, fp32, 0-d.
    """

    features: tuple[torch.Tensor, ...] | None = None
    plane: torch.Tensor | None = None
    weight: torch.Tensor | None = None


@dataclass(eq=False)
class Pipeline:
    """The modules of a model, on their device, and the sums that a frame makes with them.

    The weights of ``unet`` and the text encoders are changed in place when LoRAs change: a recording that reads them
    where they are stays right. ``quick`` computes ``unet``, where it can, and ``quick_control`` ``control``, from calls
    and guides that have been through :class:`Conditions`. ``baked`` counts changes of plain numbers in the modules: a
    recording has to be made anew. ``adapter`` is a T2IAdapter, ``control`` a ControlNetModel; at most one of them is
    there. ``stretch_depth``: they were trained on MiDaS' maps, whose farthest point is 0 and nearest 1 in each picture,
    and not on our planes, where 0 is at infinity.
    """

    unet: Any
    vae: Any
    dtype: torch.dtype
    adapter: Any = None
    control: Any = None
    vae_dtype: torch.dtype | None = None
    stretch_depth: bool = True
    quick: QuickUnet | None = None
    quick_control: QuickControl | None = None
    baked: int = 0

    def encode(
        self, image: torch.Tensor, height: int, width: int, signal: torch.Tensor, start: torch.Tensor
    ) -> torch.Tensor:
        """The first latent: ``start + signal * encoded``; ``image`` uint8 H x W x 3, stretched to height x width."""
        planes = to_model(image, height, width, self.vae_dtype or self.dtype)
        encoded = self.vae.encode(planes, return_dict=False)[0]
        # AutoencoderKL gives a distribution: its mode keeps a still view still, a sample would not
        latent = encoded if torch.is_tensor(encoded) else encoded.mode()
        return start + signal * (latent.float() * self.vae.config.scaling_factor)

    def encode_control(self, depth: torch.Tensor, height: int, width: int, weight: torch.Tensor, rows: int) -> Depth:
        """What ``depth`` (fp32 H x W, 0..1, near is 1) gives to the UNet calls, for ``rows`` rows of a batch."""
        if self.stretch_depth:
            low, high = depth.aminmax()
            depth = torch.where(high - low < FLAT, depth, (depth - low) / (high - low))
        plane = resize_to(depth[None, None], height, width).to(self.dtype, memory_format=torch.channels_last)
        if self.adapter is None:
            plane = plane.expand(-1, 3, -1, -1)
            seen = plane if self.quick_control is None else self.quick_control.encode(plane)
            return Depth(plane=seen.expand(rows, -1, -1, -1), weight=weight)
        features = self.adapter(plane.expand(-1, self.adapter.config.in_channels, -1, -1))
        return Depth(features=tuple((feature * weight).expand(rows, -1, -1, -1) for feature in features))

    def step(self, latent: torch.Tensor, call: Call, guide: Guide, depth: Depth) -> torch.Tensor:
        """The latent (fp32, N x ...) after one UNet call."""
        output = self.predict(latent, call, guide, depth)
        latent = latent * call.keep + output * call.use
        return latent if call.noise is None else latent + call.noise

    def predict(self, latent: torch.Tensor, call: Call, guide: Guide, depth: Depth) -> torch.Tensor:
        """The UNet's output for ``latent``, in fp32."""
        sample = latent.to(self.dtype)
        times = guide.text.shape[0] // latent.shape[0]
        if times > 1:
            sample = torch.cat([sample] * times)
        residuals = self._residuals(sample, call, guide, depth)
        features = depth.features or ()
        if self.quick is None:
            output = self._by_diffusers(sample, call, guide, features, residuals)
        else:
            assert call.shifts is not None and guide.keys is not None
            output = self.quick(sample, call.shifts, guide.keys, guide.picture_keys, features, residuals)
        output = output.float()
        if guide.guidance is None:
            return output
        without, with_prompt = output.chunk(2)
        return without + guide.guidance * (with_prompt - without)

    def _residuals(self, sample: torch.Tensor, call: Call, guide: Guide, depth: Depth) -> tuple[torch.Tensor, ...]:
        """What the ControlNet adds, to the middle last."""
        if depth.plane is None:
            return ()
        if self.quick_control is not None:
            assert call.control_shifts is not None and guide.control_keys is not None and depth.weight is not None
            return self.quick_control(sample, call.control_shifts, guide.control_keys, depth.plane, depth.weight)
        down, middle = self.control(
            sample,
            call.timestep,
            encoder_hidden_states=guide.text,
            controlnet_cond=depth.plane,
            conditioning_scale=depth.weight,
            added_cond_kwargs=_added(guide),
            return_dict=False,
        )
        return (*down, middle)

    def _by_diffusers(
        self,
        sample: torch.Tensor,
        call: Call,
        guide: Guide,
        features: tuple[torch.Tensor, ...],
        residuals: tuple[torch.Tensor, ...],
    ) -> torch.Tensor:
        added = _added(guide) or {}
        if guide.picture is not None:
            added["image_embeds"] = [guide.picture]
        output: torch.Tensor = self.unet(
            sample,
            call.timestep,
            encoder_hidden_states=guide.text,
            timestep_cond=guide.embedded,
            added_cond_kwargs=added or None,
            down_block_additional_residuals=residuals[:-1] or None,
            mid_block_additional_residual=residuals[-1] if residuals else None,
            down_intrablock_additional_residuals=list(features) or None,
            return_dict=False,
        )[0]
        return output

    def decode(self, latent: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The picture, uint8 H x W x 3, and whether all of the latent and of the picture are numbers (bool, 0-d)."""
        scaled = (latent / self.vae.config.scaling_factor).to(self.vae_dtype or self.dtype)
        decoded = self.vae.decode(scaled, return_dict=False)[0]
        # both, as what is no number may be lost on the way, in a ReLU; an autoencoder has its own: a black picture
        return from_model(decoded), torch.isfinite(latent).all() & torch.isfinite(decoded.mean())  # a tenth of .all()


def _added(guide: Guide) -> dict[str, Any] | None:
    """SDXL's further inputs, or None."""
    return None if guide.pooled is None else {"text_embeds": guide.pooled, "time_ids": guide.times}
