"""Inspects the files of controls and IP-Adapters before anything is loaded. Standard library only: no torch."""

from __future__ import annotations

from pathlib import Path

from ..errors import EngineError
from .files import Weights, check_safetensors, find_weights, read_json
from .recognise import require

CONTROLS = {"T2IAdapter": "adapter", "ControlNetModel": "ControlNet"}
"""Kinds of controls, and what sentences call them."""


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
    """The IP-Adapter's file and the folder of its image encoder. Raises EngineError."""
    if path.is_dir():
        found = sorted(path.glob("ip-adapter*.safetensors"))
        if not found:
            raise EngineError(f"IP-Adapter {path} has no ip-adapter*.safetensors in it: give one such file")
        path = found[0]
    require(path, ("ip_adapter",), "an IP-Adapter")
    # as the hub's h94/IP-Adapter has them: models/image_encoder serves files of sdxl_models too
    places = (path.parent / "image_encoder", path.parent.parent / "models" / "image_encoder")
    folders = [place for place in places if (place / "config.json").is_file()]
    if not folders:
        raise EngineError(f"the image encoder of {path} is missing: put its folder beside it, as {places[0]}")
    return path, _matching_encoder(path, folders)


def _matching_encoder(path: Path, folders: list[Path]) -> Path:
    """The encoder whose width the IP-Adapter takes: ViT-H or ViT-bigG."""
    shapes = check_safetensors(path)
    hidden = "image_proj.latents" in shapes
    first = shapes.get("image_proj.proj_in.weight" if hidden else "image_proj.proj.weight", ())
    if len(first) != 2 or "ip_adapter.0.to_q_lora.down.weight" in shapes:
        raise EngineError(f"IP-Adapter {path} is of the face kind: take a plain or a plus one, for whole pictures")
    takes = first[1]
    gives = []
    for folder in folders:
        config = read_json(folder / "config.json", "the config of the image encoder")
        gives.append(config.get("hidden_size" if hidden else "projection_dim"))
        if gives[-1] == takes:
            return folder
    raise EngineError(
        f"IP-Adapter {path} takes pictures encoded {takes} wide, but {folders[0]} gives {gives[0]}: "
        "put the image encoder that belongs to it beside it"
    )
