"""Where models lie: a folder of ours, or ComfyUI's or A1111's as it is installed. No torch, no sockets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from ..engine.loading.files import PICKLES
from ..engine.yaml_files import read_yaml

Purpose = Literal["model", "lora", "control", "style", "vae", "embedding", "other"]
"""What a file is for; "style" is an IP-Adapter, which follows a style picture."""
PURPOSES: tuple[Purpose, ...] = ("model", "lora", "control", "style", "vae", "embedding", "other")

FOLDERS: dict[str, Purpose] = {
    "checkpoints": "model",
    "stable-diffusion": "model",
    "diffusers": "model",
    "loras": "lora",
    "lora": "lora",
    "lycoris": "lora",
    "controlnets": "control",
    "controlnet": "control",
    "t2i_adapter": "control",
    "t2i-adapter": "control",
    "ipadapters": "style",
    "ipadapter": "style",
    "ipadapter-flux": "style",
    "vae": "vae",
    "vae_approx": "other",
    "vae-approx": "other",
    "unet": "other",
    "diffusion_models": "other",
    "embeddings": "embedding",
    "hypernetworks": "other",
    "upscale_models": "other",
    "esrgan": "other",
    "realesrgan": "other",
    "swinir": "other",
    "clip": "other",
    "text_encoders": "other",
    "style_models": "other",
    "gligen": "other",
    "photomaker": "other",
    "instantid": "other",
}
"""Folders of people's models, whatever their case, those of ComfyUI and A1111 among them, and what lies there."""
DEPTH = 10
"""Levels of folders within each of :data:`FOLDERS` that are looked into."""
EXTRA = ("extra_model_paths.yaml", "extra_model_paths.yml")
"""Where ComfyUI is told of models in other places."""


def roots(folder: Path) -> list[tuple[Path, Purpose]]:
    """The folders of models within ``folder``, each with what lies there, models first; none twice."""
    found: dict[Path, tuple[Path, Purpose]] = {}
    for root, purpose in (*_in(folder), *_in(folder / "models"), *_of_extensions(folder), *_extra(folder)):
        found.setdefault(_real(root), (root, purpose))
    return sorted(found.values(), key=lambda item: PURPOSES.index(item[1]))


def walk(root: Path) -> Iterator[Path]:
    """The weight files and diffusers folders under ``root``; a link to a folder that it lies in is not followed."""
    for place, folders, files in os.walk(root, followlinks=True):
        path = Path(place)
        above = [each for each in path.parents if each == root or root in each.parents]
        if _real(path) in map(_real, above):
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if name != "image_encoder" and not name.startswith("."))
        if path != root and {"model_index.json", "config.json"} & set(files):
            folders.clear()
            yield path
            continue
        if len(path.relative_to(root).parts) >= DEPTH:
            folders.clear()
        for file in sorted(files):
            if Path(file).suffix.lower() in (".safetensors", *PICKLES):
                yield path / file


def _in(folder: Path) -> Iterator[tuple[Path, Purpose]]:
    for root in _folders(folder):
        if purpose := FOLDERS.get(root.name.lower()):
            yield root, purpose


def _of_extensions(folder: Path) -> Iterator[tuple[Path, Purpose]]:
    """A1111's ControlNets lie within the extension that reads them."""
    for extension in _folders(folder / "extensions"):
        if "controlnet" in extension.name.lower() and (extension / "models").is_dir():
            yield extension / "models", "control"


def _extra(folder: Path) -> Iterator[tuple[Path, Purpose]]:
    """The folders that ComfyUI's ``extra_model_paths.yaml`` names; one that cannot be read names none."""
    for place, config in _extra_configs(folder):
        said = config.get("base_path")
        base = Path(os.path.expandvars(os.path.expanduser(said if isinstance(said, str) else "")))
        for name, given in config.items():
            purpose = FOLDERS.get(str(name).lower())
            if purpose is None:
                continue
            for line in given.split("\n") if isinstance(given, str) else given if isinstance(given, list) else ():
                if isinstance(line, str) and line.strip():
                    root = place / base / os.path.expandvars(os.path.expanduser(line.strip()))
                    if root.is_dir():
                        yield root, purpose


def _extra_configs(folder: Path) -> Iterator[tuple[Path, dict[Any, Any]]]:
    """The parts of each, and where it lies: in ComfyUI's root, of which the folder of models may be what is given."""
    for place in (folder, folder.parent) if folder.name == "models" else (folder,):
        for name in EXTRA:
            try:
                every = read_yaml(place / name)
                yield from ((place, each) for each in every.values() if isinstance(each, dict))
            except (OSError, ValueError, AttributeError):
                continue


def _folders(folder: Path) -> list[Path]:
    try:
        return [each for each in sorted(folder.iterdir()) if each.is_dir()]
    except OSError:
        return []


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
