"""A full-size SD1.5 or SDXL with random weights: written, loaded, one frame, released. Run as a program of its own.

    python -m tests.plain.engine.full_size SD1.5|SDXL FOLDER

writes the model to FOLDER where it is not there yet (2 or 7 GB) and prints one line of JSON: seconds to load, steps of
the progress, seconds of a frame of 256 x 256 with one UNet call, and this process's memory in GiB: before, with the
model, at its most, and once the model is released.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from diffusers import AutoencoderKL, LCMScheduler, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from addon.wire import Frame, Request, Style
from server.engine import StableDiffusionLcm
from server.engine.loading.clip_tokenizer import clip_tokenizer
from tests.plain.checkpoints import scheduler_config
from tests.plain.checkpoints_original import write_checkpoint

UNETS: dict[str, dict[str, Any]] = {
    "SD1.5": {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8},
    "SDXL": {
        "sample_size": 128,
        "block_out_channels": (320, 640, 1280),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": (1, 2, 10),
        "cross_attention_dim": 2048,
        "attention_head_dim": (5, 10, 20),
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
}
"""How the published models differ from the defaults of UNet2DConditionModel."""


def write(folder: Path, family: str) -> Path:
    """Write the model and return its path: of SD1.5 one file under the original names, of SDXL a folder, in fp16."""
    model = folder / family
    done = folder / "SD1.5.safetensors" if family == "SD1.5" else model / "scheduler" / "scheduler_config.json"
    if done.exists():
        return done if family == "SD1.5" else model
    vae = {
        "block_out_channels": (128, 256, 512, 512),
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "layers_per_block": 2,
        "scaling_factor": 0.13025 if family == "SDXL" else 0.18215,
    }
    _fill(model / "unet", lambda: UNet2DConditionModel(**UNETS[family]))
    _fill(model / "vae", lambda: AutoencoderKL(**vae))
    _fill(model / "text_encoder", lambda: CLIPTextModel(_text(768, 12, 12, "quick_gelu", 768)))
    clip_tokenizer().save_pretrained(model / "tokenizer")
    if family == "SDXL":
        _fill(model / "text_encoder_2", lambda: CLIPTextModelWithProjection(_text(1280, 32, 20, "gelu", 1280)))
        clip_tokenizer("!").save_pretrained(model / "tokenizer_2")
    else:
        write_checkpoint(done, model, torch.float16)
    LCMScheduler(**scheduler_config()).save_pretrained(model / "scheduler")
    return done if family == "SD1.5" else model


def _text(width: int, layers: int, heads: int, activation: str, projected: int) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=49408,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        hidden_act=activation,
        projection_dim=projected,
        bos_token_id=49406,
        eos_token_id=49407,
        pad_token_id=1,
    )


def _fill(folder: Path, make: Any) -> None:
    """Write a module's config and random weights in fp16, without making the module itself."""
    with torch.device("meta"):
        module = make()
    block = (torch.randn(1 << 20) * 0.03).half()
    state = {}
    for name, weight in module.state_dict().items():
        count = weight.numel()
        if weight.dim() > 1:
            state[name] = block.repeat(count // len(block) + 1)[:count].reshape(weight.shape)
        else:  # norms and biases
            state[name] = torch.full(weight.shape, float(name.endswith("weight")), dtype=torch.float16)
    folder.mkdir(parents=True, exist_ok=True)
    transformers = isinstance(module, CLIPTextModel | CLIPTextModelWithProjection)
    if transformers:
        module.config.architectures = [type(module).__name__]
        module.config.save_pretrained(folder)
    else:
        module.save_config(folder)
    name = "model.safetensors" if transformers else "diffusion_pytorch_model.safetensors"
    save_file(state, folder / name, metadata={"format": "pt"})


def main(family: str, folder: Path) -> dict[str, Any]:
    model = write(folder, family)
    gc.collect()
    process, gib = psutil.Process(), float(1 << 30)
    before = process.memory_info().rss
    seen: list[float] = []
    started = time.perf_counter()
    engine = StableDiffusionLcm.load(model, "auto", lambda fraction, words: seen.append(fraction))
    loaded = time.perf_counter()
    request = Request(Frame(0, np.zeros((256, 256, 3), np.uint8)), Style("a castle", steps=1, width=256, height=256))
    image = engine.render(request).image
    rendered = time.perf_counter()
    held, weights, device = process.memory_info().rss, engine.memory_bytes, engine.device
    engine.close()
    del engine
    gc.collect()
    return {
        "family": family,
        "device": device,
        "shape": image.shape,
        "load_s": round(loaded - started, 1),
        "frame_s": round(rendered - loaded, 1),
        "progress": sorted(set(seen)),
        "rising": seen == sorted(seen),
        "weights_gib": round(weights / gib, 2),
        "before_gib": round(before / gib, 2),
        "held_gib": round(held / gib, 2),
        "peak_gib": round(_peak() / gib, 2),
        "released_gib": round(process.memory_info().rss / gib, 2),
    }


def _peak() -> int:
    """The most memory that this process ever held, in bytes; pages of files that are mapped count too."""
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size if sys.platform == "darwin" else size * 1024


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]))))
