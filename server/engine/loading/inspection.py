"""Inspects all of a model's files before anything is loaded from them. Standard library only: no torch.

What is wrong with them is told here, within milliseconds, while the model loaded before still serves.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import EngineError
from ..spec import LoraFile, ModelSpec
from .control_files import control_weights, ip_adapter_weights
from .files import Shapes, Weights, check_safetensors, find_weights, read_json
from .recognise import Found, recognise, require

OTHER_NOISE = ("edm_mean", "edm_std", "edm_vpred.sigma_max", "edm_vpred.sigma_min")
"""Names that only checkpoints of another scale of noise have."""
LORA_NAMES = ("lcm-lora.safetensors", "pytorch_lora_weights.safetensors")

OPTIONAL = {
    "loras": "an LCM-LoRA",
    "vae": "the small autoencoder",
    "control": "a depth control",
    "ip_adapter": "style pictures",
}
"""Parts of a spec that a model can do without, as sentences name them."""


@dataclass
class Files:
    """The files of a spec, all looked at before anything is loaded, and what they hold."""

    spec: ModelSpec
    base: Path
    weights: dict[str, Weights]
    found: Found | None = None
    shapes: Shapes = field(default_factory=dict)
    encoder: Path | None = None
    """The folder of the IP-Adapter's image encoder."""
    left_out: list[str] = field(default_factory=list)
    """Sentences on what of the spec cannot be used, and is optional."""

    def leave_out(self, part: str, error: EngineError) -> None:
        """Do without ``part`` of the spec, as ``error`` has it. Raises ``error`` where it is not optional."""
        if part not in self.spec.optional:
            raise error
        self.left_out.append(f"It is loaded without {OPTIONAL[part]}: {error}")
        without: dict[str, Any] = {part: () if part == "loras" else None}
        self.spec = replace(self.spec, **without)


def inspect(spec: ModelSpec) -> Files:
    """The files of ``spec``, complete and of the right kinds. Raises EngineError."""
    base = _existing(spec.base)
    files = Files(spec, base, {})
    _look_at_optional(files, "vae")
    spec = files.spec
    if base.is_file():
        files.found, files.shapes = _check_checkpoint(base, spec)
        files.weights["checkpoint"] = Weights((base,))
    else:
        second = ("text_encoder_2",) if (base / "text_encoder_2").is_dir() else ()
        own_vae = () if spec.vae is not None else ("vae",)
        for part in ("text_encoder", *second, "unet", *own_vae):
            files.weights[part] = find_weights(base / part, part)
        if spec.control is None and (base / "adapter").is_dir():
            spec = replace(spec, control=base / "adapter")
        beside = next((base / name for name in LORA_NAMES if (base / name).is_file()), None)
        if not spec.loras and beside is not None:
            spec = replace(spec, loras=(LoraFile(beside),))
    files.spec = spec
    for part in ("control", "ip_adapter", "loras"):
        _look_at_optional(files, part)
    return files


def _look_at_optional(files: Files, part: str) -> None:
    """Find the files of a part that a spec may have, or leave it out."""
    spec = files.spec
    try:
        if part == "vae" and spec.vae is not None:
            files.weights["vae"] = _vae_weights(spec.vae)
        elif part == "control" and spec.control is not None:
            files.weights["control"] = control_weights(spec.control)
        elif part == "ip_adapter" and spec.ip_adapter is not None:
            path, files.encoder = ip_adapter_weights(spec.ip_adapter)
            files.weights["IP-Adapter"] = Weights((path,))
        elif part == "loras":
            for lora in spec.loras:
                check_safetensors(lora.path)
    except EngineError as error:
        files.leave_out(part, error)


def _existing(base: Path) -> Path:
    if base.is_file():
        return base.absolute()  # where links lead, names may say nothing
    if not base.is_dir():
        raise EngineError(
            f"model {str(base)!r} does not exist: give the path of a diffusers folder, of a .safetensors checkpoint, "
            "or 'embedded'"
        )
    if not (base / "unet").is_dir():
        index = base / "model_index.json"
        if index.is_file():
            kind = read_json(index, "model_index.json").get("_class_name")
            words = f"is a {kind} without a unet folder, but only SD1.5 and SDXL can be used"
            raise EngineError(f"model {str(base)!r} {words}")
        inside = ", ".join(sorted(path.name for path in base.iterdir())[:5])
        found = f"it has no unet folder in it, but {inside}" if inside else "it is empty"
        raise EngineError(
            f"model {str(base)!r} is no diffusers folder: {found}; "
            "give the folder that holds model_index.json, or a .safetensors checkpoint"
        )
    return base.resolve()


def _check_checkpoint(path: Path, spec: ModelSpec) -> tuple[Found, Shapes]:
    found, shapes = recognise(path)
    if found.kind == "checkpoint" and found.family not in ("SD1.5", "SDXL"):
        raise EngineError(
            f"{path} is a checkpoint of {found.family or 'an unknown family'}, but only SD1.5 and SDXL can be used"
        )
    require(path, ("checkpoint",), "a model")
    first = shapes.get("model.diffusion_model.input_blocks.0.0.weight", ())
    if len(first) != 4:
        raise EngineError(f"the UNet in {path} lacks its first layer: the file is damaged, or of an unknown kind")
    if (takes := first[1]) != 4:
        raise EngineError(
            f"{path} takes {takes} channels, not 4: inpainting and editing models cannot be used, "
            "take the plain text-to-image one"
        )
    if other := next((name for name in OTHER_NOISE if name in shapes), None):
        raise EngineError(
            f"{path} was trained on another scale of noise (it has {other}, as EDM and CosXL models do), which LCM "
            "cannot sample: take a checkpoint of plain SD1.5 or SDXL"
        )
    if spec.vae is None and not any(name.startswith("first_stage_model.") for name in shapes):
        raise EngineError(f"{path} has no VAE in it: get the checkpoint that has its VAE baked in")
    return found, shapes


def _vae_weights(path: Path) -> Weights:
    if path.is_file():
        require(path, ("vae", "checkpoint"), "a VAE")
        return Weights((path,))
    if not path.is_dir():
        raise EngineError(f"VAE {str(path)!r} does not exist: give the path of a folder or a .safetensors file")
    return find_weights(path, "vae")


def check_kind(folder: Path, part: str, kinds: tuple[str, ...]) -> str:
    config = read_json(folder / "config.json", f"the config of {part}")
    kind = config.get("_class_name")
    if not isinstance(kind, str) or kind not in kinds:
        raise EngineError(f"{part} of {folder} is {kind!r}, but must be {' or '.join(kinds)}")
    return str(kind)
