"""Inspects the files of controls and IP-Adapters before anything is loaded. Standard library only: no torch."""

from __future__ import annotations

from pathlib import Path

from ..errors import EngineError
from .files import Weights, check_safetensors, find_weights, read_json
from .recognise import require

CONTROLS = {"T2IAdapter": "adapter", "ControlNetModel": "ControlNet"}
"""Kinds of controls, and what sentences call them."""
VISION = "vision_model."
"""Begins the names in an image encoder in one file."""
ABOVE = 8
"""Folders above an IP-Adapter beside which its image encoder is looked for."""


def control_weights(path: Path) -> Weights:
    """The files of the T2I-Adapter or ControlNet at ``path``. Raises EngineError."""
    if path.is_file():
        require(path, ("t2i_adapter", "controlnet"), "a control")
        return Weights((path,))
    if not path.is_dir():
        raise EngineError(f"control {str(path)!r} does not exist: give the path of a folder or a .safetensors file")
    kind = read_json(path / "config.json", "the config of the control").get("_class_name")
    if not isinstance(kind, str) or kind not in CONTROLS:
        raise EngineError(f"control {path} is {kind!r}, but must be {' or '.join(CONTROLS)}")
    return find_weights(path, CONTROLS[kind])


def ip_adapter_weights(path: Path) -> tuple[Path, Path]:
    """The IP-Adapter's file, and the folder or file of its image encoder. Raises EngineError."""
    if path.is_dir():
        found = sorted(path.glob("ip-adapter*.safetensors"))
        if not found:
            raise EngineError(f"IP-Adapter {path} has no ip-adapter*.safetensors in it: give one such file")
        path = found[0]
    require(path, ("ip_adapter",), "an IP-Adapter")
    encoders = [*_encoder_folders(path), *_encoder_files(path)]
    if not encoders:
        raise EngineError(
            f"the image encoder of {path} is missing: put its folder beside it, as {path.parent / 'image_encoder'}, or "
            "its .safetensors file into a folder clip_vision"
        )
    return path, _matching_encoder(path, encoders)


def _encoder_folders(path: Path) -> list[Path]:
    """As the hub's h94/IP-Adapter has them: models/image_encoder serves files of sdxl_models too."""
    places = (path.parent / "image_encoder", path.parent.parent / "models" / "image_encoder")
    return [place for place in places if (place / "config.json").is_file()]


def _encoder_files(path: Path) -> list[Path]:
    """As ComfyUI has them: in clip_vision, beside the folder that the IP-Adapter lies in somewhere."""
    for above in list(path.absolute().parents)[:ABOVE]:
        if (folder := above / "clip_vision").is_dir():
            return sorted(each for each in folder.rglob("*.safetensors") if each.is_file())
    return []


def encoder_widths(encoder: Path) -> tuple[int, int]:
    """Of what the image encoder gives for each patch, and of its embedding; 0 where it is none. Raises EngineError."""
    if encoder.is_dir():
        config = read_json(encoder / "config.json", "the config of the image encoder")
        inner, outer = config.get("hidden_size"), config.get("projection_dim")
        return inner if isinstance(inner, int) else 0, outer if isinstance(outer, int) else 0
    shapes = check_safetensors(encoder)
    patch, out = (
        shapes.get(f"{VISION}embeddings.patch_embedding.weight", ()),
        shapes.get("visual_projection.weight", ()),
    )
    return (patch[0], out[0]) if len(patch) == 4 and len(out) == 2 else (0, 0)


def _matching_encoder(path: Path, encoders: list[Path]) -> Path:
    """The encoder whose width the IP-Adapter takes: ViT-H or ViT-bigG."""
    shapes = check_safetensors(path)
    hidden = "image_proj.latents" in shapes
    first = shapes.get("image_proj.proj_in.weight" if hidden else "image_proj.proj.weight", ())
    if len(first) != 2 or "ip_adapter.0.to_q_lora.down.weight" in shapes:
        raise EngineError(f"IP-Adapter {path} is of the face kind: take a plain or a plus one, for whole pictures")
    gives = [encoder_widths(encoder)[0 if hidden else 1] for encoder in encoders]
    for encoder, width in zip(encoders, gives, strict=True):
        if width == first[1]:
            return encoder
    raise EngineError(
        f"IP-Adapter {path} takes pictures encoded {first[1]} wide, but {encoders[0]} gives {gives[0]}: "
        "put the image encoder that belongs to it beside it"
    )
