"""Small random checkpoints in the hub's own layouts, written by the libraries that write the real ones.

They make pictures of nothing, but every line that loads and runs a real model runs on them, in a second.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    DDIMScheduler,
    LCMScheduler,
    StableDiffusionPipeline,
    T2IAdapter,
    UNet2DConditionModel,
)
from diffusers.utils import convert_state_dict_to_diffusers, convert_state_dict_to_kohya
from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel

WIDTHS = (32, 64)
TEXT_WIDTH = 32
LORA_TARGETS = [  # those of diffusers' train_lcm_distill_lora scripts
    *("to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2"),
    *("conv1", "conv2", "conv_shortcut", "downsamplers.0.conv", "upsamplers.0.conv", "time_emb_proj"),
]


def make_sd15(
    folder: Path,
    *,
    prediction: str = "epsilon",
    zero_snr: bool = False,
    vae: str = "tiny",
    adapter: int | None = 3,
    adapter_downscale: int = 8,
    lora: str | None = None,
    scheduler: str = "LCMScheduler",
    text_width: int = TEXT_WIDTH,
    guidance_input: int | None = None,
    clip_sample: bool = False,
    seed: int = 0,
) -> Path:
    """Write a model of SD1.5's shape in small to ``folder`` and return it: two UNet levels, pictures 8 x the latent.

    ``vae``: "tiny" or "kl". ``adapter``: its input channels, or None for none. ``lora``: an LCM-LoRA in "diffusers",
    "kohya" or "mixed" form. ``guidance_input``: width of the guidance embedding of a fully distilled LCM UNet.
    """
    torch.manual_seed(seed)
    unet = make_unet(text_width, guidance_input)
    unet.save_pretrained(folder / "unet")
    make_vae(vae).save_pretrained(folder / "vae")
    if adapter is not None:
        T2IAdapter(adapter, list(WIDTHS), 1, adapter_downscale).save_pretrained(folder / "adapter")
    make_text_encoder(text_width).save_pretrained(folder / "text_encoder")
    write_tokenizer(folder / "tokenizer")
    kind = {"LCMScheduler": LCMScheduler, "DDIMScheduler": DDIMScheduler}[scheduler]
    kind(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type=prediction,
        rescale_betas_zero_snr=zero_snr,
        clip_sample=clip_sample,
        set_alpha_to_one=False,
    ).save_pretrained(folder / "scheduler")
    parts = {"scheduler": scheduler, "text_encoder": "CLIPTextModel", "tokenizer": "CLIPTokenizer"}
    parts |= {"unet": "UNet2DConditionModel", "vae": "AutoencoderTiny" if vae == "tiny" else "AutoencoderKL"}
    index = {"_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.42.1"}
    for part, name in parts.items():
        index[part] = ["transformers" if name.startswith("CLIP") else "diffusers", name]  # type: ignore[assignment]
    (folder / "model_index.json").write_text(json.dumps(index, indent=2))
    if lora is not None:
        write_lora(folder / "lcm-lora.safetensors", unet, lora)
    return folder


def scheduler_config() -> dict[str, Any]:
    """What SD1.5 and SDXL were trained with."""
    return {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "clip_sample": False}


def make_unet(text_width: int = TEXT_WIDTH, guidance_input: int | None = None) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=32,
        block_out_channels=WIDTHS,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=text_width,
        attention_head_dim=4,
        norm_num_groups=8,
        time_cond_proj_dim=guidance_input,
    )


def make_vae(kind: str) -> AutoencoderTiny | AutoencoderKL:
    if kind == "tiny":
        widths = (16, 16, 16, 16)
        tiny = AutoencoderTiny(
            encoder_block_out_channels=widths,
            decoder_block_out_channels=widths,
            num_encoder_blocks=(1, 1, 1, 1),
            num_decoder_blocks=(1, 1, 1, 1),
        )
        for module in tiny.modules():  # torch's own start shrinks the signal layer by layer: pictures would be flat
            if isinstance(module, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
        torch.nn.init.constant_(tiny.decoder.layers[-1].bias, 0.5)
        return tiny
    return AutoencoderKL(
        block_out_channels=(8, 16, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        norm_num_groups=4,
        scaling_factor=0.18215,
        sample_size=256,
    )


def make_text_encoder(width: int = TEXT_WIDTH) -> CLIPTextModel:
    return CLIPTextModel(text_config(len(_vocabulary()), width))


def text_config(size: int, width: int, heads: int = 4, **options: Any) -> CLIPTextConfig:
    """The config of a CLIP text encoder with ``size`` tokens."""
    return CLIPTextConfig(
        vocab_size=size,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=heads,
        max_position_embeddings=77,
        bos_token_id=size - 2,
        eos_token_id=size - 1,
        pad_token_id=size - 1,
        projection_dim=width,
        **options,
    )


def write_tokenizer(folder: Path) -> None:
    """CLIP's byte-level BPE with a vocabulary of single bytes and one merge, in the files of SD1.5's tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(_vocabulary(), ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\no w\n", encoding="utf-8")
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    special["pad_token"] = "<|endoftext|>"
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "do_lower_case": True, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def write_lora(path: Path, unet: UNet2DConditionModel, form: str, rank: int = 4, seed: int = 1) -> Path:
    """Write an LCM-LoRA for ``unet`` with random weights to ``path``.

    ``form``: "diffusers" as its pipelines save it; "kohya" as lcm-lora-sdv1-5 and the files of other tools are;
    "mixed" as some of diffusers' training scripts write it, attention under old names and the rest under new ones.
    """
    torch.manual_seed(seed)
    trained = UNet2DConditionModel.from_config(unet.config)
    trained.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=LORA_TARGETS))
    for name, parameter in trained.named_parameters():
        if "lora_B" in name:  # zero before training
            torch.nn.init.normal_(parameter, std=0.1)
    layers = get_peft_model_state_dict(trained)
    if form == "kohya":
        state = convert_state_dict_to_kohya({f"unet.{key}": value for key, value in layers.items()})
        save_file({key: value.contiguous() for key, value in state.items()}, path)
        return path
    if form == "mixed":
        layers = convert_state_dict_to_diffusers(layers)
    StableDiffusionPipeline.save_lora_weights(
        path.parent, unet_lora_layers=layers, weight_name=path.name, safe_serialization=True
    )
    return path


def _vocabulary() -> dict[str, int]:
    # CLIP's table of printable stand-ins for the 256 bytes
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    stand_ins = [chr(b) for b in printable] + [chr(256 + k) for k in range(256 - len(printable))]
    tokens = [*stand_ins, *(token + "</w>" for token in stand_ins), "ow", "<|startoftext|>", "<|endoftext|>"]
    return {token: index for index, token in enumerate(tokens)}
