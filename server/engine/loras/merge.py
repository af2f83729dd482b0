"""LoRAs added into a model's weights, for good or until others are chosen. diffusers reads the files; torch.

A LoRA is added to the weights themselves, so that it costs nothing in a frame: W + weight * up @ down, computed in
fp32 from the weights as they were before.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from ..errors import EngineError
from ..loading.recognise import FAMILIES, Found, require
from ..spec import LoraFile
from .names import known_names

GROUPS = ("unet", "text_encoder", "text_encoder_2")
REST = 32
"""Frames with the same weights after which nobody drags a slider any more."""
ROOM = 4
"""Unchanged weights stay on a GPU while that leaves this many times their size free there, else in main memory."""


@dataclass(frozen=True, eq=False)
class _Change:
    """What a LoRA does to one weight of ``group``: ``up @ down``, reshaped to it."""

    group: str
    weight: torch.Tensor
    up: torch.Tensor
    down: torch.Tensor

    def delta(self) -> torch.Tensor:
        """In the weight's shape and precision."""
        up, down = (side.to(self.weight.device, torch.float32).flatten(1) for side in (self.up, self.down))
        return (up @ down).reshape(self.weight.shape).to(self.weight.dtype)


class _Deltas:
    """The products of LoRAs, kept while their weights are being changed: a slider that is dragged needs them again."""

    def __init__(self) -> None:
        self._made: dict[int, torch.Tensor] = {}
        self._rested = REST
        self.keep = False

    def of(self, change: _Change) -> torch.Tensor:
        made = self._made.get(id(change))
        if made is None:
            made = change.delta()
            if self.keep:
                self._made[id(change)] = made
        return made

    def moved(self, same: bool) -> None:
        """Weights were changed, of the ``same`` LoRAs as before."""
        self.keep = same and self._rested < REST
        if not self.keep:
            self._made.clear()
        self._rested = 0

    def rested(self) -> None:
        """A frame has come with the weights as they were."""
        self._rested += 1
        if self._rested == REST:
            self._made.clear()


class LoraStack:
    """The LoRAs in the weights of one model. Not thread-safe: one thread renders.

    ``name``: of the model, for sentences. ``encoders``: the text encoders, one of SD1.5, two of SDXL.
    """

    def __init__(self, name: str, unet: Any, encoders: list[Any]) -> None:
        self._name = name
        self._unet_config = unet.config
        self._modules = dict(zip(GROUPS, (unet, *encoders), strict=False))
        self._used: tuple[LoraFile, ...] = ()
        self._read_files: dict[tuple[Path, int, int], list[_Change]] = {}
        self._originals: dict[int, tuple[_Change, torch.Tensor]] = {}
        self._deltas = _Deltas()

    @torch.no_grad()
    def fuse(self, lora: LoraFile) -> None:
        """Add ``lora`` for good. Raises EngineError, and changes nothing then, where it does not fit the model."""
        for change in self._read(lora.path):
            change.weight.copy_(change.weight.float() + lora.weight * change.delta())

    @torch.no_grad()
    def use(self, loras: Iterable[LoraFile]) -> set[str]:
        """Have exactly ``loras`` in the weights, beside those that were fused; returns which :data:`GROUPS` changed.

        Raises EngineError, and changes nothing then, where one does not fit the model; where memory runs out half way,
        none is in use. A file in use already is not read again: a change of weights alone costs one pass over them.
        """
        wanted = tuple(lora for lora in loras if lora.weight != 0)
        if wanted == self._used:
            self._deltas.rested()
            return set()
        files = {lora.path: _stamp(lora.path) for lora in wanted}
        read = {stamp: self._read_files.get(stamp) or self._read(stamp[0]) for stamp in files.values()}
        self._deltas.moved(same=read.keys() == self._read_files.keys())
        sums: dict[int, list[tuple[float, _Change]]] = {}
        for lora in wanted:
            for change in read[files[lora.path]]:
                sums.setdefault(id(change.weight), []).append((lora.weight, change))
        self._keep_originals(changes[0][1] for changes in sums.values())
        touched = {change.group for change, _ in self._originals.values()}
        try:
            for key, (change, original) in self._originals.items():
                self._put(change.weight, original, sums.get(key, ()))
        except Exception:
            for change, original in self._originals.values():
                change.weight.copy_(original)
            self._used, self._read_files, self._originals, self._deltas = (), {}, {}, _Deltas()
            raise
        self._originals = {key: kept for key, kept in self._originals.items() if key in sums}
        self._read_files, self._used = read, wanted
        return touched

    def _put(self, weight: torch.Tensor, original: torch.Tensor, changes: Sequence[tuple[float, _Change]]) -> None:
        """Make ``weight`` what it was, and ``changes`` with their factors added; rounded once."""
        if not changes:
            weight.copy_(original)
        elif len(changes) == 1:
            (factor, change), device = changes[0], weight.device
            torch.add(original.to(device), self._deltas.of(change), alpha=factor, out=weight)
        else:
            total = original.to(weight.device, torch.float32, copy=True)
            for factor, change in changes:
                total.add_(self._deltas.of(change), alpha=factor)
            weight.copy_(total)

    def _keep_originals(self, changes: Iterable[_Change]) -> None:
        fresh = {id(change.weight): change for change in changes if id(change.weight) not in self._originals}
        size = sum(change.weight.nbytes for change in fresh.values())
        device = next((change.weight.device for change in fresh.values()), torch.device("cpu"))
        roomy = device.type != "cuda" or torch.cuda.mem_get_info(device)[0] > ROOM * size
        for key, change in fresh.items():
            self._originals[key] = (change, change.weight.clone() if roomy else change.weight.cpu())

    def _read(self, path: Path) -> list[_Change]:
        found, _ = require(path, ("lora",), "a LoRA")
        state, scales = _by_group(path, self._unet_config, "text_encoder_2" in self._modules)
        changes: list[_Change] = []
        for group, tensors in state.items():
            if group not in self._modules:
                raise EngineError(_other_base(path, found, f"it changes the {group}, which the model does not have"))
            layers = dict(self._modules[group].named_modules())
            try:
                pairs = _pairs(tensors)
            except KeyError as error:
                raise EngineError(f"LoRA {path} is damaged: it lacks {error}; copy it again") from None
            for name, up, down in pairs:
                weight = self._weight(layers, name, up, down, path, found)
                up, down = (up * scales[group, name]).to(weight.device), down.to(weight.device)
                changes.append(_Change(group, weight, up, down))
        if not changes:
            raise EngineError(f"{path} is no LoRA for Stable Diffusion: none of its tensors is named like one")
        return changes

    def _weight(
        self, layers: dict[str, Any], name: str, up: torch.Tensor, down: torch.Tensor, path: Path, found: Found
    ) -> torch.Tensor:
        """The weight that the two halves of the LoRA's layer ``name`` change."""
        # transformers' text encoder has lost a level of names that older files still have
        names = (name, name.removeprefix("text_model."), f"text_model.{name}")
        layer = next((layers[each] for each in names if each in layers), None)
        weight: torch.Tensor | None = getattr(layer, "weight", None)
        if weight is None:
            reason = f"it changes the layer {name}, which {self._name} does not have"
            raise EngineError(_other_base(path, found, reason))
        if up.ndim < 2 or down.ndim < 2 or up.shape[1] != down.shape[0] or not down.shape[0]:
            raise EngineError(f"{path} is damaged: the two halves of its layer {name} do not fit together")
        for given, taken in ((down[0].numel(), weight[0].numel()), (up.shape[0], weight.shape[0])):
            if given != taken:
                family = f" ({FAMILIES[given]})" if name.endswith("attn2.to_k") and given in FAMILIES else ""
                reason = f"its layer {name} is {given} wide{family}, the model's {taken}"
                raise EngineError(_other_base(path, found, reason))
        if not (bool(up.isfinite().all()) and bool(down.isfinite().all())):
            raise EngineError(f"{path} is damaged: its layer {name} has values that are no numbers; use another LoRA")
        return weight


def _stamp(path: Path) -> tuple[Path, int, int]:
    try:
        facts = path.stat()
    except OSError:
        raise EngineError(f"LoRA {str(path)!r} does not exist: choose another, or put the file back") from None
    return path, facts.st_mtime_ns, facts.st_size


State = dict[str, dict[str, torch.Tensor]]


def _by_group(path: Path, unet_config: Any, sdxl: bool) -> tuple[State, _Scales]:
    """The LoRA's tensors for each of :data:`GROUPS`, under peft's names, and by what each layer is scaled."""
    # a second of imports that a model without a LoRA does without
    from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
    from diffusers.utils import convert_state_dict_to_diffusers, convert_state_dict_to_peft
    from diffusers.utils.state_dict_utils import convert_unet_state_dict_to_peft

    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            facts = _facts(file.metadata() or {})
    except (SafetensorError, ValueError, OSError) as error:
        raise EngineError(f"LoRA {path} is damaged: {_brief(error)}") from error
    layers = unet_config.layers_per_block
    state = known_names(tensors, layers if isinstance(layers, int) else layers[0])
    kind = StableDiffusionXLPipeline if sdxl else StableDiffusionPipeline
    try:
        state, _ = kind.lora_state_dict(_with_alphas_applied(state), unet_config=unet_config)
        grouped: State = {}
        for name, tensor in state.items():
            group, _, rest = name.partition(".")
            grouped.setdefault(group, {})[rest] = tensor
        for group, tensors in grouped.items():
            # Some of diffusers' training scripts mix older and newer names in one file, and its loader then skips
            # the older ones without an error. So all of them get today's names first.
            if group == "unet":
                grouped[group] = convert_unet_state_dict_to_peft(tensors)
            elif group in GROUPS:
                grouped[group] = convert_state_dict_to_peft(convert_state_dict_to_diffusers(tensors))
    except Exception as error:  # diffusers raises ValueError, KeyError and others for names it cannot place
        raise EngineError(f"{path} cannot be read as a LoRA: {_brief(error)}") from error
    odd = next((name for name in state if name.partition(".")[0] not in GROUPS), None)
    if odd is not None:
        raise EngineError(f"{path} is no LoRA for Stable Diffusion: it has a tensor named {odd}")
    return grouped, _Scales(facts)


class _Scales:
    """By what the layers of a LoRA are scaled, from the facts that diffusers writes into a file: alpha / rank."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self._facts = facts

    def __getitem__(self, key: tuple[str, str]) -> float:
        group, name = key
        rank, alpha = self._facts.get(f"{group}.r"), self._facts.get(f"{group}.lora_alpha")
        if not rank or alpha is None:
            return 1.0
        rank = (self._facts.get(f"{group}.rank_pattern") or {}).get(name, rank)
        alpha = (self._facts.get(f"{group}.alpha_pattern") or {}).get(name, alpha)
        return float(alpha) / (rank**0.5 if self._facts.get(f"{group}.use_rslora") else rank)


def _facts(metadata: dict[str, str]) -> dict[str, Any]:
    """What diffusers has written of ranks and alphas. Raises ValueError where that is something else."""
    facts = json.loads(metadata.get("lora_adapter_metadata", "{}"))
    if not isinstance(facts, dict) or not all(
        value is None or (isinstance(value, (int, float)) and math.isfinite(value))
        for name, value in facts.items()
        if name.endswith((".r", ".lora_alpha"))
    ):
        raise ValueError("its lora_adapter_metadata is not what diffusers writes")
    return facts


def _with_alphas_applied(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """``state`` without alphas, in whichever form: each has scaled its layer by alpha / rank. No fp8 is left."""
    wide = {name: tensor.float() if tensor.dtype.itemsize == 1 else tensor for name, tensor in state.items()}
    scaled = {name: tensor for name, tensor in wide.items() if not name.endswith(".alpha")}
    for name, alpha in state.items():
        layer = name.removesuffix(".alpha")
        if layer == name:
            continue
        for down, up in (("lora_down", "lora_up"), ("lora_A", "lora_B"), ("lora.down", "lora.up")):
            lower, upper = f"{layer}.{down}.weight", f"{layer}.{up}.weight"
            if lower in scaled and upper in scaled and scaled[lower].shape[0]:
                scaled[upper] = scaled[upper].float() * (alpha.item() / scaled[lower].shape[0])
    return scaled


def _pairs(tensors: dict[str, torch.Tensor]) -> list[tuple[str, torch.Tensor, torch.Tensor]]:
    """The layers' names with their up and down matrices. Raises KeyError with the name of a half that is missing."""
    ends = ".lora_A.weight", ".lora_B.weight"
    layers = {name.removesuffix(end): None for name in tensors for end in ends if name.endswith(end)}
    return [(layer, tensors[f"{layer}{ends[1]}"], tensors[f"{layer}{ends[0]}"]) for layer in layers]


def _other_base(path: Path, found: Found, reason: str) -> str:
    made_for = f"made for another base model, {found.family}" if found.family else "made for another base model"
    return f"{path} was {made_for}: {reason}; use a LoRA made for this model's family"


def _brief(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it lacks {error}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]
