"""Reads untrusted YAML: short, and without aliases, by which a page can become gigabytes. PyYAML; no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from addon.untrusted.regular import read_regular

LONGEST = 100_000
"""Bytes; those of ComfyUI, A1111 and their models have some thousand."""
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: Path) -> Any:
    """What the file ``path`` says. Raises OSError, and ValueError for what is no plain YAML."""
    text = read_regular(path, LONGEST).decode("utf-8")
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, _LOADER)):
            raise ValueError("it repeats parts by reference (*), which is not read here")
        return yaml.load(text, _LOADER)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(str(error)) from None
