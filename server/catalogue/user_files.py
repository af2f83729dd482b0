"""Finds the user's own model files, and recognises what each of them is. No torch, no sockets."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from addon.problems import Problem
from addon.wire.models import MAX_NAME

from ..engine import EngineError, ModelSpec
from ..engine.loading.control_files import control_weights, ip_adapter_weights
from ..engine.loading.files import PICKLES, read_json, read_metadata
from ..engine.loading.inspection import LORA_NAMES, inspect
from ..engine.loading.recognise import FAMILIES, Found, recognise
from ..engine.spec import Sampler
from .few_steps import FewSteps, few_steps
from .file_names import depth_rank, named_depth, named_sdxl
from .folders import PURPOSES, Purpose, roots, walk

KINDS: dict[Purpose, tuple[str, ...]] = {
    "model": ("checkpoint",),
    "lora": ("lora",),
    "control": ("controlnet", "t2i_adapter"),
    "style": ("ip_adapter",),
    "vae": ("vae",),
    "embedding": ("embedding",),
    "other": (),
}
ELSEWHERE: dict[str, Purpose] = {"ip_adapter": "style", "vae": "vae"}
"""Kinds of files that A1111's users keep beside others: IP-Adapters beside ControlNets, VAEs beside checkpoints."""
TELLING = ("modelspec.title", "modelspec.merged_from", "modelspec.tags", "ss_output_name", "sd_merge_models")
"""Of a file's metadata, what may say that it was made for few steps."""
OWN_VAE = "first_stage_model."


@dataclass(frozen=True)
class UserFile:
    """A file or diffusers folder of the user's, by the name that it has in the list.

    ``vaes``: those that the user has, for a checkpoint that has none.
    """

    name: str
    purpose: Purpose
    path: Path
    vaes: tuple[Path, ...] = field(default=(), compare=False)

    def examine(self) -> tuple[str, str]:
        """Its family ("" unknown), and why it cannot be used ("" when it can)."""
        try:
            if not self.path.is_dir():
                found = _facts(self.path).found
                if self.purpose == "other":
                    return found.family, f"This is {found.words}: nothing here uses it."
                if found.kind not in KINDS[self.purpose]:
                    return found.family, f"This is {found.words}: it belongs into another folder."
                if self.purpose == "style":
                    ip_adapter_weights(self.path)
            elif self.purpose == "control":
                control_weights(self.path)
            elif self.purpose != "model":
                return "", "This is a folder of another kind of model: it belongs elsewhere."
            if self.purpose == "model":
                inspect(ModelSpec(self.path, vae=self.own_vae))
            return family_of(self.path), ""
        except (EngineError, OSError) as error:
            return "", _line(str(error))
        except Exception as error:  # an odd file must not hide the others
            return "", _line(f"{self.path.name} cannot be read: {type(error).__name__} {error}")

    @property
    def own_vae(self) -> Path | None:
        """The user's VAE for a checkpoint in one file that has none: that of its own name, or the first of its family.

        Raises EngineError, OSError.
        """
        if self.path.is_dir() or _facts(self.path).has_vae:
            return None
        sdxl = _facts(self.path).found.family == "SDXL"
        beside = [vae for vae in self.vaes if vae.name.lower() == f"{self.path.stem}.vae.safetensors".lower()]
        return next(iter([*beside, *(vae for vae in self.vaes if named_sdxl(vae.name) == sdxl)]), None)

    @property
    def few_steps(self) -> FewSteps | None:
        """What it wants where it needs no LoRA for few steps, as its name, its metadata or its UNet say, or it has its
        own; None where it needs one. Raises EngineError, OSError.
        """
        of_folder = self.path.is_dir()
        told = [] if of_folder else [read_metadata(self.path).get(name, "") for name in TELLING]
        named = next((found for name in (self.path.name, *told) if (found := few_steps(name)) is not None), None)
        if named is not None or not of_folder:
            return named or (FewSteps("LCM") if _facts(self.path).takes_guidance else None)
        if any((self.path / name).is_file() for name in LORA_NAMES):
            return FewSteps("its own LoRA")
        unet = read_json(self.path / "unet" / "config.json", "the config of the UNet")
        path = self.path / "scheduler" / "scheduler_config.json"
        scheduler = read_json(path, "the scheduler config") if path.is_file() else {}
        if scheduler.get("_class_name") == "TCDScheduler":
            return FewSteps("TCD", Sampler("tcd"))
        # LCM's own fine-tunes take the guidance as an input; Turbo and Lightning begin at the very last step
        return (
            FewSteps("LCM")
            if unet.get("time_cond_proj_dim") or scheduler.get("timestep_spacing") == "trailing"
            else None
        )


def own_files(folder: Path, taken: Collection[str] = ()) -> dict[str, UserFile]:
    """What lies in ``folder``, models first, by names that differ from each other and from those that are ``taken``.

    A pickle is listed too, to be told what is wrong with it.
    """
    listed: list[tuple[str, Purpose, Path]] = []
    for root, usual in roots(folder):
        for path in walk(root):
            purpose = usual
            if usual != "other" and path.is_file():
                purpose = ELSEWHERE.get(_kind_of(path), usual)
            inside = path.relative_to(root)
            name = (inside.with_suffix("") if path.suffix.lower() == ".safetensors" else inside).as_posix()
            listed.append((name, purpose, path))
    vaes = tuple(path for _, purpose, path in listed if purpose == "vae")
    found: dict[str, UserFile] = {}
    for name, purpose, path in sorted(listed, key=lambda item: PURPOSES.index(item[1])):
        shown = _free(name, purpose, {*found, *taken})
        found[shown] = UserFile(shown, purpose, path, vaes if purpose == "model" else ())
    return dict(sorted(found.items(), key=lambda item: (PURPOSES.index(item[1].purpose), item[0].lower())))


def own_embeddings(folder: Path) -> dict[str, Path]:
    """The textual inversions in ``folder`` by the names that prompts give them: those of the files, without ends.

    A pickle is among them, unless the same is there in a form that can be opened.
    """
    found: dict[str, Path] = {}
    for root, purpose in roots(folder):
        for path in walk(root) if purpose == "embedding" else ():
            if path.is_file() and (path.stem not in found or found[path.stem].suffix.lower() in PICKLES):
                found[path.stem] = path
    return found


def _free(name: str, purpose: Purpose, taken: Collection[str]) -> str:
    """``name`` as a list may have it: printable, of a length that the wire takes, and another than those ``taken``."""
    name = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name)
    shown, number = _short(name, MAX_NAME), 1
    while shown in taken:
        shown = f"{_short(name, MAX_NAME - 20)} ({purpose}{f' {number}' if number > 1 else ''})"
        number += 1
    return shown


def _short(name: str, longest: int) -> str:
    """``name`` where it is no longer than that, else its beginning, and what tells it from others that begin alike."""
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return name if len(name) <= longest else f"{name[: longest - 9]}~{digest}"


def _line(text: str) -> str:
    """``text`` on one line, in valid Unicode: a name within a folder need not be, and would hide the whole list."""
    return " ".join(text.split()).encode("utf-8", "replace").decode()


def _kind_of(path: Path) -> str:
    """The kind of the file ``path``, "" where it cannot be told."""
    try:
        return _facts(path).found.kind
    except Exception:  # said by UserFile.look
        return ""


@dataclass(frozen=True)
class _Facts:
    """What the names and shapes in a file say. ``takes_guidance``: as the UNets of LCM's own fine-tunes do."""

    found: Found
    has_vae: bool
    takes_guidance: bool


def _facts(path: Path) -> _Facts:
    """Those of the file ``path``, read once: lists are made again and again. Raises EngineError, OSError."""
    if not path.is_file():
        recognise(path)  # says why not
    there = path.stat()
    found = _read_once(path, there.st_mtime_ns, there.st_size)
    if isinstance(found, Problem):
        raise EngineError(found)
    return found


@lru_cache(maxsize=4096)
def _read_once(path: Path, changed: int, size: int) -> _Facts | Problem:
    """The facts, or why there are none; not the error itself, which would hold on to what was read."""
    try:
        found, shapes = recognise(path)
    except EngineError as error:
        return error.problem
    return _Facts(
        found,
        any(name.startswith(OWN_VAE) for name in shapes),
        any(name.endswith("time_embed.cond_proj.weight") for name in shapes),
    )


def family_of(path: Path) -> str:
    """The family of the file or diffusers folder ``path``, "" where it is not known. Raises EngineError, OSError."""
    if path.is_file():
        return _facts(path).found.family
    config = path / "unet" / "config.json"
    facts = read_json(config if config.is_file() else path / "config.json", "the config")
    if facts.get("_class_name") == "T2IAdapter":
        return "SDXL" if facts.get("adapter_type") == "full_adapter_xl" else "SD1.5"
    width = facts.get("cross_attention_dim")
    return FAMILIES.get(width, "") if isinstance(width, int) else ""


def for_depth(controls: list[UserFile]) -> UserFile | None:
    """That of ``controls`` which takes depth, as its name says; a well-known one before any other."""
    named = [control for control in controls if named_depth(control.name)]
    return min(named, key=lambda control: depth_rank(control.name), default=None)
