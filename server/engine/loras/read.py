"""Reads LoRA files into differences of a model's weights: all of a file, or none. torch and safetensors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from addon.wire.checks import show

from ..embedding_file import Bundled, fitted, is_finite
from ..embedding_file import Misfit as OtherWords
from ..errors import EngineError
from ..loading.recognise import FAMILIES, Found, require
from .differences import Decomposed, Difference, Linear, Misfit, Replaced, difference, rank_of, size_of, whole
from .names import GROUPS, SECOND_TEXT, TEXT, UNET, Layers, Named, named
from .scales import LARGEST, Odd, Scales

PEFT = "base_model.model."
BUNDLED = "bundle_emb."
"""A textual inversion that some trainers put into the same file: words of a prompt, no weights of the model."""
_ENDS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(rf"(?P<layer>.+?)({pattern})$"), factor)
    for pattern, factor in (
        (r"[._]lora(_linear_layer)?[._]down(\.weight)?", "down"),
        (r"[._]lora(_linear_layer)?[._]up(\.weight)?", "up"),
        (r"\.lora_A(\.(?!weight|bias)\w+)?(\.weight)?", "down"),
        (r"\.lora_B(\.(?!weight|bias)\w+)?(\.weight)?", "up"),
        (r"(\.lora_B(\.(?!weight|bias)\w+)?|[._]lora(_linear_layer)?[._]up)\.bias", "up_bias"),
        (r"\.lora_mid(\.weight)?", "mid"),
        (r"\.lora_embedding_A(\.\w+)?", "embedding_a"),
        (r"\.lora_embedding_B(\.\w+)?", "embedding_b"),
        (r"[._]lora_magnitude_vector(\.(?!weight)\w+)?(\.weight)?", "magnitude"),
        (r"\.dora_scale", "dora_scale"),
        (r"([._]lora(_linear_layer)?)?\.alpha", "alpha"),
        *((rf"\.hada_{name}(\.\w+)?", f"hada_{name}") for name in ("w1_a", "w1_b", "w2_a", "w2_b", "t1", "t2")),
        *((rf"\.lokr_{name}(\.\w+)?", f"lokr_{name}") for name in ("w1", "w2", "w1_a", "w1_b", "w2_a", "w2_b", "t2")),
        (r"\.diff|\.w_norm", "diff"),
        (r"\.diff_b|\.b_norm", "bias_diff"),
        (r"(\.modules_to_save(\.\w+)?)?\.weight", "weight"),
        (r"(\.modules_to_save(\.\w+)?)?\.bias", "bias"),
    )
)
"""How the tensors of a layer end, and what each is. A name within may be that of peft's adapter."""
_ALONE = {"diff", "weight", "alpha", "up_bias", "bias_diff", "bias"}
"""What is not multiplied with the other factors of a layer."""
_SAID = (
    ("stable-diffusion-xl", "SDXL"),
    ("sdxl", "SDXL"),
    ("stable-diffusion-v1", "SD1.5"),
    ("sd_v1", "SD1.5"),
    ("stable-diffusion-v2", "SD2"),
    ("sd_v2", "SD2"),
)


@dataclass(frozen=True, eq=False)
class Change:
    """What a LoRA does to ``weight``, one of the tensors of ``group``."""

    group: str
    weight: torch.Tensor
    difference: Difference

    @property
    def is_fixed(self) -> bool:
        """Whether what it adds depends on the LoRA alone, and not on the weight."""
        return isinstance(self.difference, Linear)

    def delta(self) -> torch.Tensor:
        """What a fixed one adds at weight 1, in the weight's shape and precision."""
        assert isinstance(self.difference, Linear)
        return self.difference.whole(self.weight.shape).to(self.weight.dtype)

    def added(self, original: torch.Tensor, factor: float) -> torch.Tensor:
        """What it adds at weight ``factor`` to the weight that was ``original``; fp32, on the weight's device."""
        return self.difference.of(original.to(self.weight.device), factor)


@dataclass(frozen=True, eq=False)
class Contents:
    """What is in a LoRA's file: what it changes, and the textual inversions that it brings with it."""

    changes: list[Change]
    bundled: tuple[Bundled, ...] = ()


def read_lora(path: Path, name: str, modules: Mapping[str, Any]) -> Contents:
    """What the LoRA ``path`` does to ``modules``, the parts of the model ``name``; each of its tensors is used.

    Raises EngineError, which says how many cannot be used and why, where that is not so.
    """
    found, _ = require(path, ("lora",), "a LoRA")
    tensors, metadata = _open(path)
    bundled = _bundled(path, name, tensors, modules)
    tensors = {each: value for each, value in tensors.items() if not each.startswith(BUNDLED)}
    try:
        scales = Scales.read(path, metadata, any(PEFT in each for each in tensors))
    except Odd as error:
        raise EngineError(f"LoRA {path} cannot be used: {error}") from None
    factors, unknown = _by_layer(tensors)
    if unknown:
        which = f"{len(unknown)} of its {len(tensors)} tensors, such as {unknown[0]},"
        raise EngineError(f"LoRA {path} cannot be used: {which} are of a kind that is not known here")
    file = _File(path, found, name, scales)
    file.check_base({named(layer): layer for layer in factors}, metadata, modules)
    return Contents(file.placed(factors, Layers(modules)), bundled)


def _bundled(
    path: Path, model: str, tensors: Mapping[str, torch.Tensor], modules: Mapping[str, Any]
) -> tuple[Bundled, ...]:
    """The textual inversions within. Raises EngineError where one does not fit the text encoders."""
    found: dict[str, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith(BUNDLED):
            word, _, what = key.removeprefix(BUNDLED).partition(".")
            found.setdefault(word, {})[what] = value
    widths = [modules[group].get_input_embeddings().weight.shape[1] for group in GROUPS[1:] if group in modules]
    for word, vectors in found.items():
        try:
            fitted(vectors, widths)
        except OtherWords as error:
            raise EngineError(f"LoRA {path} brings the embedding {word!r}, which {model} cannot use: {error}") from None
        if not is_finite(vectors):
            raise EngineError(f"LoRA {path} is damaged: its embedding {word!r} has values that are no numbers")
    return tuple(Bundled(word, vectors) for word, vectors in found.items())


def _open(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            metadata = dict(file.metadata() or {})
    except (SafetensorError, ValueError, OSError) as error:
        raise EngineError(f"LoRA {path} is damaged: {error}") from None
    # nothing is computed in fp8
    fp8 = {name: each.float() for name, each in tensors.items() if each.is_floating_point() and each.itemsize == 1}
    return tensors | fp8, metadata


def _by_layer(tensors: Mapping[str, torch.Tensor]) -> tuple[dict[str, dict[str, torch.Tensor]], list[str]]:
    """The factors of each layer, and the names of the tensors that are none."""
    layers: dict[str, dict[str, torch.Tensor]] = {}
    unknown = []
    for name, tensor in tensors.items():
        found = next(((end, factor) for pattern, factor in _ENDS if (end := pattern.match(name))), None)
        if found is None or not (tensor.is_floating_point() or found[1] == "alpha"):
            unknown.append(name)
            continue
        end, factor = found
        layers.setdefault(end["layer"], {})[factor] = tensor
    return layers, unknown


@dataclass(frozen=True)
class _File:
    """A LoRA's file, for its sentences. ``model``: the name of the one that it is to change."""

    path: Path
    found: Found
    model: str
    scales: Scales

    def other_base(self, reason: str, family: str = "") -> EngineError:
        family = family or self.found.family
        made_for = f"made for another base model, {family}" if family else "made for another base model"
        return EngineError(f"{self.path} was {made_for}: {reason}; use a LoRA made for this model's family")

    def check_base(self, names: Mapping[Named, str], metadata: Mapping[str, str], modules: Mapping[str, Any]) -> None:
        """Raise EngineError where names or metadata say that it is for another base model, whatever its shapes."""
        for name, layer in names.items():
            if name.other_family:
                raise self.other_base(f"it changes the layer {layer}", name.other_family)
            if name.group and name.group not in modules:
                raise self.other_base(f"it changes the {name.group}, which the model does not have")
        if any(not _is_of_text(name) for name in names):
            return  # the UNets of two families have no layer in common that fits both
        own = "SDXL" if SECOND_TEXT in modules else "SD1.5"
        said = {family for name in names if (family := name.family)} or {_family_said(metadata)} - {""}
        if said and own not in said:
            raise self.other_base("it changes a text encoder alone, by its name there", min(said))
        if not said and own == "SDXL" and all(name.group != SECOND_TEXT for name in names):
            raise EngineError(
                f"LoRA {self.path} changes nothing but a text encoder that SD1.5 and SDXL have in common, and does "
                "not say which of them it was made for: use a LoRA made for this model's family"
            )

    def placed(self, factors: Mapping[str, dict[str, torch.Tensor]], layers: Layers) -> list[Change]:
        """The changes of all layers of the file."""
        changes: list[Change] = []
        lost = []
        taken: dict[tuple[str, str, str], str] = {}
        for layer, of in factors.items():
            places = layers.find(named(layer))
            if not places:
                lost.append(layer)
                continue
            made = [list(self._changes(layer, of, *place)) for place in places]
            chosen = next((index for index, each in enumerate(made) if all(map(_fits, each))), 0)
            group, name, _ = places[chosen]
            for factor in of:
                if (group, name, factor) in taken:
                    twice = f"{taken[group, name, factor]} and {layer}"
                    raise EngineError(f"LoRA {self.path} is damaged: it has the layer {name} twice, as {twice}")
                taken[group, name, factor] = layer
            for change in made[chosen]:
                self._check(layer, name, change)
            changes += made[chosen]
        if lost:
            some = f"{len(lost)} of its {len(factors)} layers, such as {lost[0]},"
            if any(named(layer).is_known for layer in lost):
                raise self.other_base(f"{some} are not in {self.model}")
            raise EngineError(f"LoRA {self.path} cannot be used: {some} have names that are not known here")
        if not changes:
            raise EngineError(f"{self.path} is no LoRA for Stable Diffusion: none of its tensors is named like one")
        if all(isinstance(each.difference, Linear) and each.difference.scale == 0 for each in changes):
            raise EngineError(f"LoRA {self.path} changes nothing: the alpha of each of its layers is 0; use another")
        return changes

    def _changes(
        self, layer: str, of: Mapping[str, torch.Tensor], group: str, name: str, module: Any
    ) -> Iterable[Change]:
        """What the factors ``of`` do to weight and bias of ``module``, whether or not they fit. Raises EngineError."""
        factors = {factor: each for factor, each in of.items() if factor not in _ALONE}
        scale = self.scales.of(group, name, self._alpha(layer, of.get("alpha")), rank_of(factors))
        on_weight: list[Difference] = []
        on_bias: list[Difference] = []
        if factors or not of.keys() & {"diff", "weight", "bias_diff", "bias"}:
            try:
                on_weight.append(difference(factors, scale))
            except Misfit as error:
                raise EngineError(f"{self.path} is damaged: of its layer {layer} {error}; copy it again") from None
        if "diff" in of:
            on_weight.append(whole(of["diff"]))
        if "weight" in of:
            on_weight.append(Replaced(of["weight"]))
        if "up_bias" in of:
            on_bias.append(whole(of["up_bias"], scale))
        if "bias_diff" in of:
            on_bias.append(whole(of["bias_diff"]))
        if "bias" in of:
            on_bias.append(Replaced(of["bias"]))
        for each in on_weight:
            yield Change(group, module.weight, each.to(module.weight.device))
        for each in on_bias:
            if getattr(module, "bias", None) is None:
                raise self.other_base(f"it changes the bias of {layer}, which has none in {self.model}")
            yield Change(group, module.bias, each.to(module.bias.device))

    def _alpha(self, layer: str, given: torch.Tensor | None) -> float | None:
        if given is None:
            return None
        if given.numel() != 1 or not abs(float(given)) <= LARGEST:  # NaN fails too
            said = show(given.flatten()[:3].tolist() if given.numel() != 1 else float(given))
            raise EngineError(
                f"{self.path} is damaged: the alpha of its layer {layer} is {said}, but must be one number"
            )
        return float(given)

    def _check(self, layer: str, name: str, change: Change) -> None:
        weight, difference = change.weight, change.difference
        for given, taken in zip(reversed(difference.size), reversed(size_of(weight)), strict=True):
            if given != taken:
                family = f" ({FAMILIES[given]})" if name.endswith("attn2.to_k") and given in FAMILIES else ""
                raise self.other_base(f"its layer {layer} is {given} wide{family}, the model's {taken}")
        if isinstance(difference, Decomposed):
            given, taken = difference.magnitude.numel(), weight.shape[0 if difference.by_output else 1]
            if given != taken:
                raise self.other_base(f"its layer {layer} has {given} magnitudes, the model's is {taken} wide")
        if not all(bool(each.isfinite().all()) for each in difference.tensors()):
            words = f"its layer {layer} has values that are no numbers; use another LoRA"
            raise EngineError(f"{self.path} is damaged: {words}")


def _fits(change: Change) -> bool:
    return change.difference.size == size_of(change.weight)


def _is_of_text(name: Named) -> bool:
    bare = name.flat.startswith(("encoder_layers_", "transformer_resblocks_"))
    return name.group in (TEXT, SECOND_TEXT) or (bare and name.group != UNET)


def _family_said(metadata: Mapping[str, str]) -> str:
    """The family that kohya's or OneTrainer's metadata name, or ""."""
    said = f"{metadata.get('modelspec.architecture', '')} {metadata.get('ss_base_model_version', '')}".lower()
    return next((family for words, family in _SAID if words in said), "")
