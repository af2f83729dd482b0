"""All models by name: the presets and what lies in the user's own folder. No torch, no sockets."""

from __future__ import annotations

import os
import re
from pathlib import Path

from addon.wire import Entry
from addon.wire.models import MAX_ENTRIES, MAX_NAME, Kind

from ..config import MODELS
from ..engine import EngineError, LoraFile, ModelSpec
from ..engine.recognise import recognise
from .presets import Preset, read_presets
from .records import Records

FOLDERS: dict[str, Kind] = {"checkpoints": "model", "loras": "lora", "controlnets": "control"}
"""Folders for the user's own files, and the kind of what belongs there."""
KINDS: dict[Kind, tuple[str, ...]] = {
    "model": ("checkpoint",),
    "lora": ("lora",),
    "control": ("controlnet", "t2i_adapter"),
}

LORA_NAMES = ("lcm-lora.safetensors", "pytorch_lora_weights.safetensors")
FAST = re.compile(r"lcm|turbo|lightning|hyper", re.IGNORECASE)
"""In the name of a checkpoint that was made for few steps and needs no LCM-LoRA."""


class UnknownModel(EngineError):
    """No model of that name, or not one that can be used; the message says what there is."""


class Catalogue:
    """The models of ``presets`` and of the user's ``folder``, which has a folder for each kind.

    Files that another tool has are found through symbolic links in there, or by naming its folder.
    """

    def __init__(self, folder: Path, presets: dict[str, Preset] | None = None) -> None:
        self.folder = folder
        self.presets = read_presets() if presets is None else presets
        self.records = Records(folder / "pulled")

    def entries(self) -> tuple[Entry, ...]:
        """Every model, LoRA and control that is here or can be had; presets first."""
        own = [self._own_entry(name, kind, path) for name, (kind, path) in self._own().items()]
        return tuple([self._preset_entry(preset) for preset in self.presets.values()] + own)[:MAX_ENTRIES]

    def preset(self, name: str) -> Preset:
        """The preset ``name``. Raises UnknownModel."""
        if name not in self.presets:
            raise UnknownModel(
                f"there is no model {name!r} to download: choose one of {', '.join(self.presets)}", "bad_request"
            )
        return self.presets[name]

    def model(self, name: str) -> ModelSpec:
        """What to load for the model ``name``. Raises UnknownModel, also when it was not downloaded yet."""
        if name in self.presets:
            return self._preset_spec(self.presets[name])
        kind, path = self._own().get(name, ("", Path()))
        if kind != "model":
            known = [entry.name for entry in self.entries() if entry.kind == "model"]
            raise UnknownModel(f"there is no model {name!r}: choose one of {', '.join(known)}", "bad_request")
        return self._own_spec(path)

    def lora(self, name: str, weight: float) -> LoraFile:
        """The LoRA ``name``. Raises UnknownModel."""
        own = self._own()
        kind, path = own.get(name, ("", Path()))
        if kind != "lora":
            known = ", ".join(other for other, (kind, _) in own.items() if kind == "lora") or "none yet"
            raise UnknownModel(
                f"there is no LoRA {name!r}: put its file into {self.folder / 'loras'} (there: {known})", "bad_request"
            )
        return LoraFile(path, weight)

    def _preset_spec(self, preset: Preset) -> ModelSpec:
        if not preset.parts:
            return ModelSpec(MODELS / preset.name)
        from . import pull  # here, as huggingface_hub takes a second to import, and the embedded model needs none

        if not pull.is_here(preset, self.records):
            raise UnknownModel(
                f"model {preset.name} is not on this machine yet: download it first "
                f"(`python -m server models pull {preset.name}`, {preset.download_gb:g} GB)",
                "bad_request",
            )
        places = self._places(preset)
        return ModelSpec(
            places["base"],
            loras=(LoraFile(places["lora"]),) if "lora" in places else (),
            vae=places.get("vae"),
            control=places.get("control"),
            ip_adapter=places.get("ip_adapter"),
        )

    def _own_spec(self, path: Path) -> ModelSpec:
        """The user's checkpoint with what few steps and depth need, from the user's folder or from what was pulled."""
        family = self._family("model", path)
        if path.is_dir():
            family = "SDXL" if (path / "text_encoder_2").is_dir() else "SD1.5"
        pulled = self._pulled_for(family)
        fits = {
            name: (kind, other)
            for name, (kind, other) in self._own().items()
            if kind != "model" and family and self._family(kind, other) == family
        }
        lcm = [other for name, (kind, other) in fits.items() if kind == "lora" and "lcm" in name.lower()]
        controls = [other for kind, other in fits.values() if kind == "control"]
        lora = next(iter(lcm), pulled.get("lora"))
        if FAST.search(path.stem) or any((path / name).is_file() for name in LORA_NAMES):
            lora = None  # it needs none, or has its own
        control = next(iter(controls), pulled.get("control"))
        return ModelSpec(
            path,
            loras=() if lora is None else (LoraFile(lora),),
            control=None if (path / "adapter").is_dir() else control,
        )

    def _pulled_for(self, family: str) -> dict[str, Path]:
        """Role -> where it lies, of the presets for ``family`` that were downloaded."""
        places: dict[str, Path] = {}
        for preset in self.presets.values():
            if preset.family == family:
                places |= self._places(preset)
        return places

    def _places(self, preset: Preset) -> dict[str, Path]:
        """Role -> folder (of a LoRA: file) in the hub's cache, of a preset; without those that are not there."""
        from . import hub

        places: dict[str, Path] = {}
        for file in self.records.read(preset.name):
            path = hub.local_path(file)
            if path is not None:
                places[file.role] = path if file.role == "lora" else path.parents[file.path.count("/")]
        return places

    def _own(self) -> dict[str, tuple[Kind, Path]]:
        """Name -> kind and path of what lies in the user's folder: weight files and diffusers folders."""
        found: dict[str, tuple[Kind, Path]] = {}
        for folder, kind in FOLDERS.items():
            root = self.folder / folder
            for place, folders, files in os.walk(root, followlinks=True):
                if len(Path(place).relative_to(root).parts) > 3:
                    folders.clear()
                    continue
                if {"model_index.json", "config.json"} & set(files) and place != str(root):
                    found[Path(place).relative_to(root).as_posix()] = (kind, Path(place))
                    folders.clear()
                    continue
                for file in files:
                    if file.endswith(".safetensors"):
                        path = Path(place) / file
                        name = path.relative_to(root).with_suffix("").as_posix()
                        found[f"{name} ({kind})" if name in found else name] = (kind, path)
        usable = {n: v for n, v in found.items() if len(n) <= MAX_NAME and n.isprintable() and n not in self.presets}
        return dict(sorted(usable.items(), key=lambda item: (item[1][0] != "model", item[0].lower())))

    def _own_entry(self, name: str, kind: Kind, path: Path) -> Entry:
        sentence = family = ""
        if path.is_file():
            try:
                found, _ = recognise(path)
                family = found.family
                if found.kind not in KINDS[kind]:
                    sentence = f"This is {found.words}: it belongs into another folder."
            except (EngineError, OSError) as error:
                sentence = str(error)
        where = "your folder" if path.is_file() else "your folder, in diffusers' layout"
        return Entry(name, name, kind, family, f"of {where}", not sentence, sentence=sentence.replace("\n", " ")[:1000])

    def _family(self, kind: Kind, path: Path) -> str:
        return "" if path.is_dir() else self._own_entry(path.stem, kind, path).family

    def _preset_entry(self, preset: Preset) -> Entry:
        from . import pull

        here = pull.is_here(preset, self.records)
        return Entry(
            preset.name,
            preset.title,
            "model",
            preset.family,
            preset.licence,
            installed=here,
            removable=bool(preset.parts) and bool(self.records.read(preset.name)),
            download_bytes=0 if here else preset.download_bytes,
            memory_bytes=preset.memory_bytes,
            steps=preset.steps,
            guidance=preset.guidance,
            strength=preset.strength,
            sentence=preset.sentence,
        )
