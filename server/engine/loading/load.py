"""Loads a model's files into modules. torch, diffusers and transformers; only safetensors, no network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from safetensors import SafetensorError
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from ..errors import EngineError
from ..loras.merge import LoraStack
from ..sampling.schedule import Schedule
from .compatibility import check_control, check_fit
from .controls import add_to_difference, load_control, load_ip_adapter, stretches_depth
from .files import Weights, check_safetensors, check_texts, check_whole, read_json, read_through
from .inspection import Files, check_kind
from .memory import is_shortage
from .parts import Parts
from .prediction import noise_config
from .single_file import load_texts, load_unet, load_vae

Progress = Callable[[float, str], None]

AUTOENCODERS = {"AutoencoderTiny": AutoencoderTiny, "AutoencoderKL": AutoencoderKL}
SCHEDULER: dict[str, object] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
}
"""What all checkpoints in one file were trained with."""


def load_parts(files: Files, progress: Progress, dtype: torch.dtype = torch.float32) -> Parts:
    """Load the model in ``files``; ``progress`` gets 0..1 and words. Raises EngineError.

    ``dtype``: of the large modules; the autoencoder is loaded in fp32, in which it may be rewritten.
    """
    bar = _Bar(progress, sum(part.size for part in files.weights.values()))
    load_base = _load_folder if files.found is None else _load_file
    with _told(files.base):
        parts = load_base(files, bar, dtype)
    check_fit(parts, files.base)
    for part, add in (("control", _add_control), ("loras", _add_loras), ("ip_adapter", _add_ip_adapter)):
        try:
            add(parts, files, bar, dtype)
        except EngineError as error:
            files.leave_out(part, error)
    parts.left_out, parts.sampler = tuple(files.left_out), files.spec.sampler
    return parts


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Have the libraries' errors over the files at ``path`` say which those are."""
    try:
        yield
    except EngineError:
        raise
    except (KeyError, ValueError, RuntimeError, TypeError, IndexError, StopIteration, SafetensorError) as error:
        if is_shortage(error):
            raise
        words = f"{path} is damaged, or of a kind that is not known here: {_first_line(error)}"
        raise EngineError(words) from error


def _add_control(parts: Parts, files: Files, bar: _Bar, dtype: torch.dtype) -> None:
    path = files.spec.control
    if path is None:
        return
    weights, part = files.weights["control"], "adapter" if path.name == "adapter" else "control"
    with _told(path):
        control = bar.load(part, weights, lambda: load_control(path, weights, dtype))
        add_to_difference(control, parts.unet, path)
        check_control(control, parts.unet, path)
        parts.stretch_depth = stretches_depth(path)
    parts.control, parts.control_name = control.eval().requires_grad_(False), _name_of(path)


def _name_of(control: Path) -> str:
    """What tells ``control`` from others: of one that the hub's cache or a model's folder has, the folder says it."""
    known = next((part for part in control.parts if part.startswith("models--")), "")
    if control.name == "adapter":  # of the model itself
        return f"{control.parent.name}/adapter"
    return known.removeprefix("models--").replace("--", "/") or (control.stem if control.is_file() else control.name)


def _add_loras(parts: Parts, files: Files, bar: _Bar, dtype: torch.dtype) -> None:
    for lora in files.spec.loras:
        bar.say(0.96, f"applying {lora.path.name}")
        parts.loras.fuse(lora)


def _add_ip_adapter(parts: Parts, files: Files, bar: _Bar, dtype: torch.dtype) -> None:
    if files.spec.ip_adapter is None or files.encoder is None:
        return
    path, folder, weights = files.weights["IP-Adapter"].files[0], files.encoder, files.weights["IP-Adapter"]
    with _told(path):
        parts.pictures = bar.load("IP-Adapter", weights, lambda: load_ip_adapter(parts.unet, path, folder, dtype))


def _load_folder(files: Files, bar: _Bar, dtype: torch.dtype) -> Parts:
    folder, weights = files.base, files.weights
    schedule = Schedule(read_json(folder / "scheduler" / "scheduler_config.json", "the scheduler config"), folder)
    check_kind(folder / "unet", "unet", ("UNet2DConditionModel",))
    texts = [(_tokenizer(folder / "tokenizer"), _load(CLIPTextModel, folder, "text_encoder", weights, bar, dtype))]
    if "text_encoder_2" in weights:
        second = _load(CLIPTextModelWithProjection, folder, "text_encoder_2", weights, bar, dtype)
        texts.append((_tokenizer(folder / "tokenizer_2"), second))
    unet = _load(UNet2DConditionModel, folder, "unet", weights, bar, dtype)
    vae = _load_vae(files.spec.vae or folder / "vae", weights["vae"], bar, "SDXL" if len(texts) > 1 else "SD1.5")
    index = folder / "model_index.json"
    facts = read_json(index, "model_index.json") if index.is_file() else {}
    if facts.get("requires_aesthetics_score"):
        raise EngineError(f"model {folder} is SDXL's refiner, but must be a base model or a fine-tune of it")
    blank = len(texts) > 1 and bool(facts.get("force_zeros_for_empty_prompt", True))
    name = files.spec.name or folder.name
    loras = LoraStack(name, unet, [encoder for _, encoder in texts])
    return Parts(name, unet, vae, texts, schedule, loras, blank_negative=blank)


def _load_file(files: Files, bar: _Bar, dtype: torch.dtype) -> Parts:
    path, shapes, found = files.base, files.shapes, files.found
    assert found is not None
    bar.read("checkpoint", files.weights["checkpoint"])
    texts = load_texts(path, shapes, found.family, dtype)
    bar.step("checkpoint", "loaded text encoders", 0.7)
    pooled = texts[-1][1].config.projection_dim if found.family == "SDXL" else 0
    unet = load_unet(path, shapes, found.family, dtype, pooled)
    bar.step("checkpoint", "loaded unet", 0.95)
    vae = load_vae(path, shapes, found.family) if files.spec.vae is None else None
    bar.done("checkpoint", files.weights["checkpoint"])
    if vae is None and files.spec.vae is not None:
        vae = _load_vae(files.spec.vae, files.weights["vae"], bar, found.family)
    config: dict[str, object] = SCHEDULER | noise_config(path, shapes)
    name = files.spec.name or path.stem
    loras = LoraStack(name, unet, [encoder for _, encoder in texts])
    blank = found.family == "SDXL"
    return Parts(name, unet, vae, texts, Schedule(config, path), loras, blank_negative=blank)


def _load_vae(path: Path, weights: Weights, bar: _Bar, family: str) -> Any:
    if path.is_file():
        shapes = check_safetensors(path)
        return bar.load("vae", weights, lambda: load_vae(path, shapes, family))
    kind = AUTOENCODERS[check_kind(path, "vae", tuple(AUTOENCODERS))]
    return _from_folder(kind, path, "vae", weights, bar, torch.float32)


class _Bar:
    """Spreads 0..0.95 over the parts by their bytes: reading is most of the wait, building the rest."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._done, self._size = progress, max(1, total), 0, 0

    def say(self, share: float, words: str) -> None:
        self._progress(share, words)

    def read(self, part: str, weights: Weights) -> None:
        """Read the files of a part once, reporting as the bytes come: 0.6 of what the part counts."""
        self._size = weights.size
        read_through(weights, lambda share: self.step(part, f"loading {part}", 0.6 * share))

    def step(self, part: str, words: str, share: float) -> None:
        self._progress(0.95 * (self._done + share * self._size) / self._total, words)

    def done(self, part: str, weights: Weights) -> None:
        self._done += weights.size
        self._size = 0
        self.step(part, f"loaded {part}", 0)

    def load(self, part: str, weights: Weights, load: Callable[[], Any]) -> Any:
        self.read(part, weights)
        try:
            module = load()
        except EngineError:
            raise
        except Exception as error:  # each library has its own exceptions for a config and weights that do not fit
            if is_shortage(error):
                raise
            where = weights.files[0].parent
            reason = _first_line(error)
            if "ignore_mismatched_sizes" in reason:  # transformers' advice to its callers
                reason = "its weights have other shapes than its config says, so they are of another part or model"
            raise EngineError(f"{part} of {where} cannot be loaded: {reason}; copy the whole folder again") from error
        self.done(part, weights)
        return module


def _load(kind: Any, folder: Path, part: str, weights: dict[str, Weights], bar: _Bar, dtype: torch.dtype) -> Any:
    return _from_folder(kind, folder / part, part, weights[part], bar, dtype)


def _from_folder(kind: Any, folder: Path, part: str, weights: Weights, bar: _Bar, dtype: torch.dtype) -> Any:
    options: dict[str, Any] = {"use_safetensors": True, "local_files_only": True, "variant": weights.variant}
    options["dtype" if kind.__module__.startswith("transformers") else "torch_dtype"] = dtype

    def load() -> Any:
        module, told = kind.from_pretrained(folder, output_loading_info=True, **options)
        check_whole(told, f"{part} of {folder.parent}")
        return module

    module = bar.load(part, weights, load)
    return module.eval().requires_grad_(False)


def _tokenizer(where: Path) -> CLIPTokenizer:
    if not where.is_dir():
        raise EngineError(f"the model has no tokenizer: {where} is missing; copy the whole diffusers folder again")
    if not (where / "tokenizer.json").is_file() and not (where / "vocab.json").is_file():
        raise EngineError(f"the tokenizer has no vocabulary: {where} lacks vocab.json; copy the whole folder again")
    check_texts(where)
    try:
        return CLIPTokenizer.from_pretrained(where, local_files_only=True)
    except Exception as error:
        raise EngineError(f"tokenizer of {where.parent} cannot be loaded: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]
