"""A diffusers folder to modules, ready to run. torch, diffusers and transformers; only safetensors, no network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, T2IAdapter, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from .errors import EngineError
from .files import Weights, check_safetensors, find_weights, read_json, read_through
from .lora import fuse_lora
from .schedule import Schedule

Progress = Callable[[float, str], None]

LORA_NAMES = ("lcm-lora.safetensors", "pytorch_lora_weights.safetensors")
AUTOENCODERS = {"AutoencoderTiny": AutoencoderTiny, "AutoencoderKL": AutoencoderKL}


@dataclass
class Parts:
    """The modules of a model, on the CPU in fp32, with what the engine must know of them."""

    name: str
    unet: UNet2DConditionModel
    vae: AutoencoderTiny | AutoencoderKL
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    adapter: T2IAdapter | None
    schedule: Schedule
    lora: Path | None

    @property
    def latent_scale(self) -> int:
        """Pixels of the picture to one of the latent, along each side."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))

    @property
    def size_step(self) -> int:
        """What width and height must be a multiple of."""
        unshuffle = self.adapter.downscale_factor if self.adapter is not None else 1
        return max(self.latent_scale, unshuffle)


def load_parts(source: str | Path, progress: Progress) -> Parts:
    """Load the model in the folder ``source``; ``progress`` gets 0..1 and words. Raises EngineError."""
    folder = _model_folder(source)
    weights = {part: find_weights(folder / part, part) for part in ("text_encoder", "unet", "vae")}
    if (folder / "adapter").is_dir():
        weights["adapter"] = find_weights(folder / "adapter", "adapter")
    lora = next((folder / name for name in LORA_NAMES if (folder / name).is_file()), None)
    if lora is not None:
        check_safetensors(lora)
    schedule = Schedule(read_json(folder / "scheduler" / "scheduler_config.json", "the scheduler config"), folder)
    vae_kind = AUTOENCODERS[_check_kind(folder, "vae", tuple(AUTOENCODERS))]
    _check_kind(folder, "unet", ("UNet2DConditionModel",))

    bar = _Bar(progress, sum(part.size for part in weights.values()))
    tokenizer = _tokenizer(folder)
    text_encoder = _load(CLIPTextModel, folder, "text_encoder", weights, bar)
    unet = _load(UNet2DConditionModel, folder, "unet", weights, bar)
    vae = _load(vae_kind, folder, "vae", weights, bar)
    adapter = _load(T2IAdapter, folder, "adapter", weights, bar) if "adapter" in weights else None
    parts = Parts(folder.name, unet, vae, text_encoder, tokenizer, adapter, schedule, lora)
    _check_fit(parts, folder)
    if lora is not None:
        progress(0.96, f"applying {lora.name}")
        fuse_lora(parts, lora)
    return parts


class _Bar:
    """Spreads 0..0.95 over the parts by their bytes: reading is most of the wait, building the rest."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._done = progress, max(1, total), 0.0

    def reading(self, part: str, size: int, share: float) -> None:
        self._progress(0.95 * (self._done + 0.6 * share * size) / self._total, f"loading {part}")

    def loaded(self, part: str, size: int) -> None:
        self._done += size
        self._progress(0.95 * self._done / self._total, f"loaded {part}")


def _model_folder(source: str | Path) -> Path:
    folder = Path(source).expanduser()
    if folder.is_file():
        raise EngineError(
            f"model {str(source)!r} is a file, but must be a diffusers folder: one with a unet folder in it"
        )
    if not folder.is_dir():
        raise EngineError(f"model {str(source)!r} does not exist: give the path of a diffusers folder, or 'embedded'")
    if not (folder / "unet").is_dir():
        inside = ", ".join(sorted(path.name for path in folder.iterdir())[:5]) or "nothing"
        raise EngineError(
            f"model {str(source)!r} is no diffusers folder: it has no unet folder in it, but {inside}; "
            "give the folder that holds model_index.json"
        )
    if (folder / "text_encoder_2").is_dir():
        raise EngineError(f"model {str(source)!r} is of the SDXL kind, but only models of the SD1.5 kind can be used")
    return folder.resolve()


def _check_kind(folder: Path, part: str, kinds: tuple[str, ...]) -> str:
    config = read_json(folder / part / "config.json", f"the config of {part}")
    kind = config.get("_class_name")
    if kind not in kinds:
        raise EngineError(f"{part} of {folder} is {kind!r}, but must be {' or '.join(kinds)}")
    return str(kind)


def _load(kind: Any, folder: Path, part: str, weights: dict[str, Weights], bar: _Bar) -> Any:
    found = weights[part]
    read_through(found, lambda share: bar.reading(part, found.size, share))
    options: dict[str, Any] = {"use_safetensors": True, "local_files_only": True, "variant": found.variant}
    # fp32 until a LoRA is applied: in half precision its small differences would be rounded away
    options["dtype" if kind is CLIPTextModel else "torch_dtype"] = torch.float32
    try:
        module = kind.from_pretrained(folder / part, **options)
    except Exception as error:  # each library has its own exceptions for a config and weights that do not fit
        raise EngineError(f"{part} of {folder} cannot be loaded: {_first_line(error)}") from error
    bar.loaded(part, found.size)
    return module.eval().requires_grad_(False)


def _tokenizer(folder: Path) -> CLIPTokenizer:
    where = folder / "tokenizer"
    if not where.is_dir():
        raise EngineError(f"the model has no tokenizer: {where} is missing; copy the whole diffusers folder again")
    try:
        return CLIPTokenizer.from_pretrained(where, local_files_only=True)
    except Exception as error:
        raise EngineError(f"tokenizer of {folder} cannot be loaded: {_first_line(error)}") from error


def _check_fit(parts: Parts, folder: Path) -> None:
    """Raise EngineError where the parts come from models that do not belong together."""
    unet, latent = parts.unet.config, parts.vae.config.latent_channels
    if unet.in_channels != latent:
        raise EngineError(
            f"unet of {folder} takes {unet.in_channels} channels, but vae gives {latent}: "
            "inpainting and editing models cannot be used, take the plain text-to-image one"
        )
    if getattr(unet, "addition_embed_type", None) is not None or getattr(unet, "class_embed_type", None) is not None:
        raise EngineError(f"unet of {folder} is of the SDXL kind, but only models of the SD1.5 kind can be used")
    width = parts.text_encoder.config.hidden_size
    if unet.cross_attention_dim != width:
        raise EngineError(
            f"unet of {folder} takes text embeddings {unet.cross_attention_dim} wide, but text_encoder gives {width}: "
            "they come from different models"
        )
    if parts.adapter is None:
        return
    config = parts.adapter.config
    if config.in_channels not in (1, 3):
        raise EngineError(f"adapter of {folder} takes {config.in_channels} channels, but depth has 1 (or 3 alike)")
    gives = tuple(config.channels) + ((config.channels[-1],) if config.adapter_type == "light_adapter" else ())
    if gives != tuple(unet.block_out_channels):
        raise EngineError(
            f"adapter of {folder} gives features of {list(gives)} channels, but unet takes "
            f"{list(unet.block_out_channels)}: it belongs to another base model"
        )


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]
