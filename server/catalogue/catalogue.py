"""All models by name: the presets and what lies in the user's own folder. No torch, no sockets."""

from __future__ import annotations

import os
from pathlib import Path

from addon.wire import Entry
from addon.wire.models import MAX_ENTRIES, MAX_NAME

from ..config import MODELS
from ..engine import EngineError, LoraFile, ModelSpec
from ..engine.recognise import recognise
from .presets import Preset, read_presets
from .records import Records

FOLDERS = {"checkpoints": "model", "loras": "lora", "controlnets": "control"}
"""Folders for the user's own files, and the kind of what belongs there."""
KINDS = {"model": ("checkpoint",), "lora": ("lora",), "control": ("controlnet", "t2i_adapter")}


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
        return ModelSpec(path, control=self._control_for(path))

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
        from . import hub, pull  # here, as huggingface_hub takes a second to import, and the embedded model needs none

        if not pull.is_here(preset, self.records):
            raise UnknownModel(
                f"model {preset.name} is not on this machine yet: download it first "
                f"(`python -m server models pull {preset.name}`, {preset.download_gb:g} GB)",
                "bad_request",
            )
        places: dict[str, Path] = {}
        for file in self.records.read(preset.name):
            path = hub.local_path(file)
            assert path is not None  # it is here
            root = path.parents[file.path.count("/")]
            places[file.role] = path if file.role == "lora" else root
        return ModelSpec(
            places["base"],
            loras=(LoraFile(places["lora"]),) if "lora" in places else (),
            vae=places.get("vae"),
            control=places.get("control"),
            ip_adapter=places.get("ip_adapter"),
        )

    def _control_for(self, checkpoint: Path) -> Path | None:
        """The first control in the user's folder that is made for the family of ``checkpoint``."""
        family = self._family("model", checkpoint)
        controls = [path for kind, path in self._own().values() if kind == "control"]
        return next((path for path in controls if family and self._family("control", path) == family), None)

    def _own(self) -> dict[str, tuple[str, Path]]:
        """Name -> kind and path of what lies in the user's folder: weight files and diffusers folders."""
        found: dict[str, tuple[str, Path]] = {}
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
                        found[path.relative_to(root).with_suffix("").as_posix()] = (kind, path)
        usable = {n: v for n, v in found.items() if len(n) <= MAX_NAME and n.isprintable() and n not in self.presets}
        return dict(sorted(usable.items(), key=lambda item: (item[1][0] != "model", item[0].lower())))

    def _own_entry(self, name: str, kind: str, path: Path) -> Entry:
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
        return Entry(
            name, name, kind, family, f"of {where}", not sentence, sentence=sentence.replace("\n", " ")[:1000],
        )  # type: ignore[arg-type]  # fmt: skip

    def _family(self, kind: str, path: Path) -> str:
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
