"""Pictures from the exported model in batches, for judging it. torch and diffusers' stock modules and schedulers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderTiny, DDIMScheduler, LCMScheduler, StableDiffusionPipeline, T2IAdapter
from numpy.typing import NDArray

from tools.training.modules import depth_planes
from tools.training.stages.diffusion import tokens_of
from tools.training.stages.distill import LORA_FILE, guided


class Sampler:
    """The model in `folder`, with its LCM-LoRA or, for comparison, without."""

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        self.device = device
        pipeline = StableDiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32, local_files_only=True)
        self.has_lora = (folder / LORA_FILE).exists()
        if self.has_lora:
            pipeline.load_lora_weights(folder, weight_name=LORA_FILE)
        pipeline.set_progress_bar_config(disable=True)
        self.unet = pipeline.unet.to(device, memory_format=torch.channels_last).eval()
        self.vae: AutoencoderTiny = pipeline.vae.to(device, memory_format=torch.channels_last).eval()
        self.text_encoder, self.tokenizer = pipeline.text_encoder.to(device).eval(), pipeline.tokenizer
        adapter = T2IAdapter.from_pretrained(folder / "adapter", local_files_only=True)
        self.adapter = adapter.to(device, memory_format=torch.channels_last).eval()
        self.config = pipeline.scheduler.config

    @torch.no_grad()
    def pictures(
        self, captions: list[str], depths: NDArray[Any], steps: int, lora: bool = True, ddim: bool = False,
        seed: int = 0, batch: int = 16,
    ) -> NDArray[Any]:  # fmt: skip
        """Return pictures, uint8 (N, H, W, 3), of inverse depths uint8 (N, H, W) at strength 1.

        Without `ddim` they are sampled as latent consistency models are, with no guidance; with it by DDIM over
        trailing timesteps, guided by text and depth as the LoRA's teacher was.
        """
        if self.has_lora:
            (self.unet.enable_adapters if lora else self.unet.disable_adapters)()
        out = []
        for k in range(0, len(captions), batch):
            out.append(self._batch(captions[k : k + batch], depths[k : k + batch], steps, ddim, seed + k))
        return np.concatenate(out)

    def _batch(self, captions: list[str], depths: NDArray[Any], steps: int, ddim: bool, seed: int) -> NDArray[Any]:
        count = len(captions)
        generator = torch.Generator().manual_seed(seed)
        if ddim:
            scheduler = DDIMScheduler.from_config(self.config, timestep_spacing="trailing")
        else:
            scheduler = LCMScheduler.from_config(self.config)
        scheduler.set_timesteps(steps)
        planes = depth_planes(torch.from_numpy(np.ascontiguousarray(depths)))
        with torch.autocast(self.device, torch.bfloat16):
            features = self.adapter(planes.to(self.device, memory_format=torch.channels_last))
            text = self.text_encoder(tokens_of(self.tokenizer, captions).to(self.device))[0]
            if ddim:
                empty = self.text_encoder(tokens_of(self.tokenizer, [""]).to(self.device))[0].expand_as(text)
                text = torch.cat([empty, empty, text])
                features = [torch.cat([torch.zeros_like(f), f, f]) for f in features]
            shape = (count, self.unet.config.in_channels, depths.shape[1] // 8, depths.shape[2] // 8)
            latents = torch.randn(shape, generator=generator).to(self.device)
            for t in scheduler.timesteps:
                x = latents.repeat(3, 1, 1, 1) if ddim else latents
                v = self.unet(x.contiguous(memory_format=torch.channels_last), t, encoder_hidden_states=text,
                              down_intrablock_additional_residuals=list(features)).sample.float()  # fmt: skip
                if ddim:
                    latents = scheduler.step(guided(*v.chunk(3)), t, latents).prev_sample
                else:
                    latents = scheduler.step(v, t, latents, generator=generator).prev_sample
            pictures = self.vae.decode(latents / self.vae.config.scaling_factor).sample.float()
        return pictures.clamp(-1, 1).add(1).mul(127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
