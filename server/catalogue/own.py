"""The user's own files: what lies in their folder, and what each of it is. No torch, no sockets."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from addon.wire.models import MAX_NAME

from ..engine import EngineError, ModelSpec
from ..engine.loading.control_files import control_weights, ip_adapter_weights
from ..engine.loading.files import PICKLES, read_json
from ..engine.loading.inspection import LORA_NAMES, inspect
from ..engine.loading.recognise import FAMILIES, recognise

Purpose = Literal["model", "lora", "control", "style"]
"""What a file is for; "style" is an IP-Adapter, which follows a style picture."""

FOLDERS: dict[str, Purpose] = {
    "checkpoints": "model",
    "stable-diffusion": "model",
    "loras": "lora",
    "lora": "lora",
    "controlnets": "control",
    "controlnet": "control",
    "ipadapters": "style",
    "ipadapter": "style",
}
"""Folders of the user's models, whatever their case, those of ComfyUI and A1111 among them, and what lies there."""

KINDS: dict[Purpose, tuple[str, ...]] = {
    "model": ("checkpoint",),
    "lora": ("lora",),
    "control": ("controlnet", "t2i_adapter"),
    "style": ("ip_adapter",),
}
DEPTH = 3
"""Levels of folders within each of :data:`FOLDERS` that are looked into."""
FAST = ("lcm", "turbo", "lightning", "dmd")
"""Begins or ends a word in the name of a checkpoint that was made for few steps and needs no LCM-LoRA."""
HYPER = re.compile(r"hyper[-_ ]?(sd|vae|\d+[-_ ]?step)", re.IGNORECASE)
"""The same of Hyper-SD; "hyper" alone also begins hyperrealism."""
WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
"""The words of names such as realisticV40_v51LightningBakedVAE."""
OTHER_CONTROLS = re.compile(
    r"canny|hed|pose|seg|normal|tile|paint|mlsd|shuffle|ip2p|sketch|scribble|line|edge|colou?r|qr|blur|recolor|style",
    re.IGNORECASE,
)
"""In the name of a control that takes something else than depth; nothing in the file says so."""


@dataclass(frozen=True)
class UserFile:
    """A file or diffusers folder of the user's, by the name that it has in the list."""

    name: str
    purpose: Purpose
    path: Path

    def examine(self) -> tuple[str, str]:
        """Its family ("" unknown), and why it cannot be used ("" when it can)."""
        try:
            if not self.path.is_dir():
                found, _ = recognise(self.path)
                if found.kind not in KINDS[self.purpose]:
                    return found.family, f"This is {found.words}: it belongs into another folder."
                if self.purpose == "style":
                    ip_adapter_weights(self.path)
            elif self.purpose == "model":
                inspect(ModelSpec(self.path))
            elif self.purpose == "control":
                control_weights(self.path)
            else:
                return "", "This is a folder of another kind of model: it belongs elsewhere."
            if self.purpose == "model" and not self.path.is_dir():
                inspect(ModelSpec(self.path))
            return family_of(self.path), ""
        except (EngineError, OSError) as error:
            return "", _line(str(error))
        except Exception as error:  # an odd file must not hide the others
            return "", _line(f"{self.path.name} cannot be read: {type(error).__name__} {error}")

    @property
    def is_fast(self) -> bool:
        """Whether it needs no LCM-LoRA, as its name says, or has its own."""
        return named_fast(self.path.name) or any((self.path / name).is_file() for name in LORA_NAMES)


def own_files(folder: Path, taken: Collection[str] = ()) -> dict[str, UserFile]:
    """What lies in ``folder``, models first, by names that differ from each other and from those that are ``taken``.

    A pickle is listed too, to be told what is wrong with it.
    """
    found: dict[str, UserFile] = {}
    for root, purpose in _roots(folder):
        for path in _walk(root):
            inside = path.relative_to(root)
            name = (inside.with_suffix("") if path.suffix.lower() == ".safetensors" else inside).as_posix()
            if name in found or name in taken:
                name = f"{name} ({purpose})"
            if len(name) <= MAX_NAME and name.isprintable():
                found.setdefault(name, UserFile(name, purpose, path))
    return dict(sorted(found.items(), key=lambda item: (_rank(item[1].purpose), item[0].lower())))


def _line(text: str) -> str:
    """``text`` on one line, in valid Unicode: a name within a folder need not be, and would hide the whole list."""
    return " ".join(text.split()).encode("utf-8", "replace").decode()


def family_of(path: Path) -> str:
    """The family of the file or diffusers folder ``path``, "" where it is not known. Raises EngineError, OSError."""
    if path.is_file():
        return recognise(path)[0].family
    config = path / "unet" / "config.json"
    facts = read_json(config if config.is_file() else path / "config.json", "the config")
    if facts.get("_class_name") == "T2IAdapter":
        return "SDXL" if facts.get("adapter_type") == "full_adapter_xl" else "SD1.5"
    width = facts.get("cross_attention_dim")
    return FAMILIES.get(width, "") if isinstance(width, int) else ""


def named_fast(name: str) -> bool:
    """Whether ``name`` says that a checkpoint was made for few steps: LCM, Turbo, Lightning, DMD2 or Hyper-SD."""
    words = [word.lower() for word in WORDS.findall(name)]
    return any(word.startswith(FAST) or word.endswith(FAST) for word in words) or bool(HYPER.search(name))


def named_lcm(name: str) -> bool:
    """Whether ``name`` is that of an LCM-LoRA."""
    return any(word.lower().startswith("lcm") or word.lower().endswith("lcm") for word in WORDS.findall(name))


def for_depth(controls: list[UserFile]) -> UserFile | None:
    """That of ``controls`` which takes depth, as far as their names tell."""
    named = [control for control in controls if "depth" in control.name.lower()]
    return next(iter([*named, *(each for each in controls if not OTHER_CONTROLS.search(each.name))]), None)


def _roots(folder: Path) -> Iterator[tuple[Path, Purpose]]:
    try:
        there = [(root, FOLDERS.get(root.name.lower())) for root in sorted(folder.iterdir()) if root.is_dir()]
    except OSError:
        return
    known = [(root, purpose) for root, purpose in there if purpose is not None]
    yield from sorted(known, key=lambda item: _rank(item[1]))


def _rank(purpose: Purpose) -> int:
    return list(KINDS).index(purpose)


def _walk(root: Path) -> Iterator[Path]:
    """The weight files and diffusers folders under ``root``."""
    for place, folders, files in os.walk(root, followlinks=True):
        folders[:] = sorted(name for name in folders if name != "image_encoder" and not name.startswith("."))
        path = Path(place)
        if path != root and {"model_index.json", "config.json"} & set(files):
            folders.clear()
            yield path
            continue
        if len(path.relative_to(root).parts) >= DEPTH:
            folders.clear()
        for file in sorted(files):
            if Path(file).suffix.lower() in (".safetensors", *PICKLES):
                yield path / file
