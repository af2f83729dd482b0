"""The scale of each layer of a LoRA. Standard library only.

kohya and LyCORIS write an alpha beside each layer. diffusers writes peft's config into the file's metadata, for each
part of the model or for the one that the file is of; peft writes it into a file beside, ``adapter_config.json``.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from addon.untrusted.regular import read_regular
from addon.wire.checks import show

CONFIG = "adapter_config.json"
LONGEST_CONFIG = 1024 * 1024
LARGEST = 1e9
MOST_PATTERNS, LONGEST_PATTERN = 8192, 500
REPEATED = re.compile(r"(?<!\\)[*+{]")
NESTED = re.compile(r"(?<!\\)\)[*+{]")
"""What has a pattern try many ways. With two of them it is quick, whatever is matched; with more, or inside each other,
it may not be."""
MOST_REPEATED = 2
CHANGED_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")
"""Ways of peft to begin training that change the model's own weights, too, which the file does not hold."""


class Odd(ValueError):
    """What a file says of itself is not what its tools write; the message says what, as the end of a sentence."""


class Scales:
    """What the configs of a LoRA say of its layers. ``configs``: peft's for each part of a model; "" for any other."""

    def __init__(self, configs: Mapping[str, Mapping[str, Any]]) -> None:
        self._configs = configs
        for config in configs.values():
            _check(config)

    @classmethod
    def read(cls, path: Path, metadata: Mapping[str, str], is_pefts: bool) -> Scales:
        """Those of the file ``path``; ``is_pefts``: whether its names are peft's own. Raises Odd."""
        configs: dict[str, dict[str, Any]] = {}
        if "lora_adapter_metadata" in metadata:
            for name, value in _object(metadata["lora_adapter_metadata"], "its lora_adapter_metadata").items():
                if isinstance(value, dict) and value.keys() & {"r", "lora_alpha", "alpha"}:  # a part's config as one
                    configs.setdefault(name, {}).update(value)
                    continue
                group, _, option = name.rpartition(".")
                configs.setdefault(group, {})[option] = value
        elif is_pefts and (beside := path.parent / CONFIG).is_file():
            try:
                configs[""] = _object(read_regular(beside, LONGEST_CONFIG).decode("utf-8"), f"its {CONFIG}")
            except (OSError, UnicodeDecodeError) as error:
                reason = getattr(error, "strerror", None) or error
                raise Odd(f"its {CONFIG} cannot be read: {reason}") from None
        return cls(configs)

    def of(self, group: str, layer: str, alpha: float | None, rank: int | None) -> float:
        """By what the ``layer`` of ``group`` is scaled. ``alpha``: what lies beside it; ``rank``: of its factors."""
        if alpha is not None:
            return alpha / rank if rank else 1.0  # LyCORIS' whole ones have an alpha that is not for scaling
        config = self._configs.get(group, self._configs.get("", {}))
        given = config.get("lora_alpha", config.get("alpha"))
        if given is None:
            return 1.0
        made = _by_pattern(config.get("alpha_pattern"), layer, given)
        shared = _by_pattern(config.get("rank_pattern"), layer, config.get("r", rank))
        return float(made / (math.sqrt(shared) if config.get("use_rslora") else shared)) if shared else 1.0


def _object(text: str, what: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise Odd(f"{what} is no JSON") from None
    if not isinstance(value, dict):
        raise Odd(f"{what} holds a {type(value).__name__}, but must hold a JSON object")
    return value


def _check(config: Mapping[str, Any]) -> None:
    for name in ("r", "lora_alpha", "alpha"):
        if config.get(name) is not None and not _is_number(config[name]):
            raise Odd(f"its config says that {name} is {show(config[name])}, but it must be a number")
    if config.get("r") is not None and config["r"] <= 0:
        raise Odd(f"its config says that r is {show(config['r'])}, but it must be above 0")
    for name in ("rank_pattern", "alpha_pattern"):
        pattern = config.get(name) or {}
        if not isinstance(pattern, dict) or not all(_is_number(value) for value in pattern.values()):
            raise Odd(f"the {name} of its config is {show(pattern)}, but must give a number for each layer")
        if len(pattern) > MOST_PATTERNS:
            raise Odd(f"the {name} of its config has {len(pattern)} entries, but {MOST_PATTERNS} at most are read")
        for key in pattern:
            try:
                re.compile(key)
            except (re.error, RecursionError, OverflowError) as error:
                raise Odd(f"the {name} of its config has {show(key)}, which is no pattern: {error}") from None
            if len(key) > LONGEST_PATTERN or len(REPEATED.findall(key)) > MOST_REPEATED or NESTED.search(key):
                raise Odd(f"the {name} of its config has {show(key)}, but must have names of layers or plain patterns")
    kind = config.get("peft_type")
    if not isinstance(kind, str | None) or kind not in (None, "LORA", "LOHA", "LOKR"):
        raise Odd(f"its config says that it is {show(kind)} of peft, of which LORA, LOHA and LOKR can be used")
    begun = config.get("init_lora_weights")
    if isinstance(begun, str) and begun.lower().startswith(CHANGED_BASE):
        raise Odd(
            f"it was begun by {show(begun)}, which changes the model's own weights, too: have peft convert it to a "
            "plain LoRA (path_initial_model_for_weight_conversion)"
        )


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) <= LARGEST  # neither NaN nor infinity is


def _by_pattern(patterns: Mapping[str, float] | None, layer: str, otherwise: float) -> float:
    """The number of the first of ``patterns`` that the end of ``layer`` is, as peft chooses it."""
    for pattern, value in (patterns or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", layer):
            return value
    return otherwise
