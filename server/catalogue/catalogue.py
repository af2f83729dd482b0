"""All models by name: the presets and what lies in the user's own folder. No torch, no sockets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from addon.problems.serving import LoraMissing, ModelMissing, ModelNotDownloaded
from addon.wire import Entry

from ..config import EMBEDDED, MODELS, expanded
from ..engine import EngineError, LoraFile, ModelSpec
from ..engine.loading.files import read_json
from ..engine.loading.inspection import OPTIONAL
from ..engine.spec import LCM
from .entries import entry_of
from .few_steps import FewSteps, few_steps_lora
from .folders import Purpose
from .presets import ModelPreset, read_presets
from .records import Records
from .user_files import UserFile, for_depth, own_embeddings, own_files

NAMED = 20
"""How many names a sentence gives."""


class UnknownModel(EngineError):
    """No model of that name, or not one that can be used; its problem says what there is."""


@dataclass(frozen=True)
class _FewStepsLora:
    path: Path
    few: FewSteps


class Catalogue:
    """The models of ``presets`` and of the user's ``folder``, which has a folder for each kind.

    Files that another tool has are found through symbolic links in there, or by naming its folder.
    """

    def __init__(self, folder: Path, presets: dict[str, ModelPreset] | None = None) -> None:
        self.folder = folder
        self.presets = read_presets() if presets is None else presets

    @cached_property
    def records(self) -> Records:
        """What was pulled, also for servers with other folders: it lies with the hub's cache."""
        from . import cache  # here, as huggingface_hub takes a second to import, and the embedded model needs none

        return Records(cache.records_folder())

    def entries(self) -> tuple[Entry, ...]:
        """Every model, LoRA and control that is here or can be had; presets first."""
        presets = [self._preset_entry(preset) for preset in self.presets.values()]
        return (*presets, *self._own_entries())

    def preset(self, name: str) -> ModelPreset:
        """The preset ``name``. Raises UnknownModel."""
        if name not in self.presets:
            raise UnknownModel(ModelMissing(name, ", ".join(self.presets)))
        return self.presets[name]

    def model(self, name: str) -> ModelSpec:
        """What to load for the model ``name``. Raises UnknownModel, also when it was not downloaded yet."""
        if name in self.presets:
            return self._preset_spec(self.presets[name])
        own = self._own().get(name)
        if own is None or own.purpose != "model":
            raise UnknownModel(ModelMissing(name, self._model_names()))
        return self._own_spec(own)

    def check(self, given: str) -> None:
        """Raise UnknownModel unless ``given``, a path or a name, is a model that can be loaded. Opens no weights."""
        if _existing(given) is not None:
            return
        if given in self.presets:
            self._preset_spec(self.presets[given])
        elif given not in self._own() or self._own()[given].purpose != "model":
            raise UnknownModel(ModelMissing(given, self._model_names()))

    def find(self, given: str) -> ModelSpec:
        """What to load for ``given``: a path, or a name as for :meth:`model`. Raises UnknownModel."""
        path = _existing(given)
        return self.model(given) if path is None else self._own_spec(self._given(path))

    def lora(self, name: str, weight: float) -> LoraFile:
        """The LoRA ``name``. Raises UnknownModel."""
        loras = {other: one.path for other, one in self._own().items() if one.purpose == "lora"}
        path = loras.get(name)
        if path is None:
            # A1111's prompts name the file alone, in whichever folder it lies
            alike = [other for other in loras if loras[other].stem.lower() == name.lower()]
            if len(alike) > 1:
                raise UnknownModel(f"there are several LoRAs {name!r}: name one of {_some(alike)}", "bad_request")
            path = loras[alike[0]] if alike else None
        if path is None:
            raise UnknownModel(LoraMissing(name, _some(loras)))
        try:
            return LoraFile(path, weight, name)
        except ValueError as error:
            raise UnknownModel(str(error), "bad_request") from None

    def embeddings(self) -> dict[str, Path]:
        """The textual inversions that prompts may name; whether one can be used, its file says when it is."""
        return own_embeddings(self.folder)

    def _own(self) -> dict[str, UserFile]:
        return own_files(self.folder, self.presets)

    def _given(self, path: Path) -> UserFile:
        """The model at ``path``, which need not lie in the folder."""
        vaes = tuple(one.path for one in self._own().values() if one.purpose == "vae")
        beside = path.with_name(f"{path.stem}.vae.safetensors")
        name = path.resolve().name if path.is_dir() else path.stem
        return UserFile(name, "model", path, (*([beside] if beside.is_file() else []), *vaes))

    def _model_names(self) -> str:
        own = (name for name, one in self._own().items() if one.purpose == "model" and not one.examine()[1])
        return _some([*self.presets, *own])

    def _preset_spec(self, preset: ModelPreset) -> ModelSpec:
        if not preset.parts:
            return ModelSpec(MODELS / preset.name, name=preset.name)
        from . import pull

        if not pull.is_here(preset, self.records):
            raise UnknownModel(ModelNotDownloaded(preset.name, preset.download_bytes))
        places = self._places(preset)
        own = {"control", "ip_adapter"} - set(places)
        return self._with_style(
            ModelSpec(
                places["base"],
                loras=(LoraFile(places["lora"]),) if "lora" in places else (),
                vae=places.get("vae"),
                control=places.get("control") or self._depth_for(preset.family),
                ip_adapter=places.get("ip_adapter"),
                name=preset.name,
                sampler=preset.suits,
                optional=frozenset(own),
            ),
            preset.family,
        )

    def _own_spec(self, own: UserFile) -> ModelSpec:
        """A checkpoint of the user's with what few steps and depth need, of their own or of what was pulled.

        Without it where the checkpoint itself cannot be used: loading it then says why.
        """
        path = own.path
        family, wrong = own.examine()
        if wrong or not family:
            return ModelSpec(path, name=own.name)
        pulled = self._pulled_for(family)
        few = own.few_steps
        lora = self._few_steps_lora(family, self._fitting("lora", family)) if few is None else None
        spec = ModelSpec(
            path,
            loras=() if lora is None else (LoraFile(lora.path),),
            vae=None if _has_tiny_vae(path) else pulled.get("vae") or own.own_vae,
            control=None if (path / "adapter").is_dir() else self._depth_for(family),
            name=own.name,
            sampler=lora.few.sampler if lora else few.sampler if few else LCM,
            # without its only VAE it could not be loaded
            optional=frozenset(OPTIONAL) - ({"vae"} if own.own_vae else set()),
        )
        return self._with_style(spec, family)

    def _few_steps_lora(self, family: str, fitting: Iterable[UserFile]) -> _FewStepsLora | None:
        """What checkpoints of ``family`` are made fast by: an LCM-LoRA before any other, the user's own first.

        ``fitting``: what the user has for the family and can be used.
        """
        found = [
            _FewStepsLora(one.path, few)
            for one in fitting
            if one.purpose == "lora" and (few := few_steps_lora(one.name)) is not None
        ]
        for preset in self.presets.values():
            if preset.family == family and (lora := self._places(preset).get("lora")) is not None:
                title = "LCM" if preset.suits == LCM else preset.name
                found.append(_FewStepsLora(lora, FewSteps(title, preset.suits, preset.steps)))
        return min(found, key=lambda each: each.few.title != "LCM", default=None)

    def _depth_for(self, family: str) -> Path | None:
        """The user's own control for depth, or one that was pulled with another model of ``family``."""
        own = for_depth(self._fitting("control", family))
        return self._pulled_for(family).get("control") if own is None else own.path

    def _with_style(self, spec: ModelSpec, family: str) -> ModelSpec:
        """``spec`` with the user's IP-Adapter for ``family``, where there is one."""
        if spec.ip_adapter is None:
            found = next(iter(self._fitting("style", family)), None)
            return spec if found is None else replace(spec, ip_adapter=found.path)
        return spec

    def _fitting(self, purpose: Purpose, family: str) -> list[UserFile]:
        """What the user has for ``purpose`` that can be used and was made for ``family``."""
        return [one for one in self._own().values() if one.purpose == purpose and one.examine() == (family, "")]

    def _pulled_for(self, family: str) -> dict[str, Path]:
        """Role -> where it lies, of the presets for ``family`` that were downloaded."""
        places: dict[str, Path] = {}
        for preset in self.presets.values():
            if preset.family == family:
                places = self._places(preset) | places
        return places

    def borrowers(self, name: str, used: Iterable[str]) -> list[str]:
        """Those of the models ``used`` that are made of files of the preset ``name``, or are that preset."""
        places = set(self._places(self.preset(name)).values())
        borrowing = []
        for model in used:
            try:
                spec = self.find(model)
            except EngineError:
                continue
            files = {spec.base, spec.vae, spec.control, spec.ip_adapter, *(lora.path for lora in spec.loras)}
            if model == name or files & places:
                borrowing.append(model)
        return borrowing

    def _places(self, preset: ModelPreset) -> dict[str, Path]:
        """Role -> folder (of a LoRA: file) in the hub's cache, of a preset; without those that are not there."""
        from . import cache, pull

        places: dict[str, Path] = {}
        for file in pull.files_of(preset, self.records):
            path = cache.local_path(file)
            if path is not None:
                places[file.role] = path if file.role == "lora" else path.parents[file.path.count("/")]
        return places

    def _own_entries(self) -> list[Entry]:
        own = self._own().values()
        looked = {one.name: one.examine() for one in own}
        families = {family for family, _ in looked.values()}
        fitting = {family: [one for one in own if looked[one.name] == (family, "")] for family in families}
        loras = {family: self._few_steps_lora(family, fitting[family]) for family in families}
        depth = {family: for_depth([one for one in fitting[family] if one.purpose == "control"]) for family in families}
        entries = []
        for one in own:
            family, wrong = looked[one.name]
            lora = loras[family]
            few = one.few_steps if one.purpose == "model" and not wrong else None
            entries.append(entry_of(one, family, wrong, few or (lora.few if lora else None), depth[family]))
        return entries

    def _preset_entry(self, preset: ModelPreset) -> Entry:
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
            sampler=preset.sampler,
        )


def _existing(given: str) -> Path | None:
    """The path that ``given`` is, where something lies there; a folder in the way does not hide the embedded model."""
    path = expanded(given)
    try:
        return path if given != EMBEDDED and path.exists() else None
    except (OSError, ValueError):  # a name that no file can have
        return None


def _has_tiny_vae(path: Path) -> bool:
    config = path / "vae" / "config.json"
    return config.is_file() and read_json(config, "the config of the vae").get("_class_name") == "AutoencoderTiny"


def _some(names: Iterable[str]) -> str:
    """``names`` for a sentence; not all of a large collection."""
    every = list(names)
    return ", ".join(every[:NAMED]) + (f" and {len(every) - NAMED} more" if len(every) > NAMED else "")
