"""presets.toml as dataclasses. No torch."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..engine.spec import Sampler
from .records import COMMIT, SHA256, is_plain, is_repo

FILE = Path(os.environ.get("DRAFTGLASS_PRESETS") or Path(__file__).with_name("presets.toml"))
ROLES = ("base", "lora", "vae", "control", "ip_adapter")
GB = 10**9


@dataclass(frozen=True)
class Part:
    """A repository on the hub that a preset takes files from. ``files``: patterns, as in a shell.

    ``sha256``: path -> checksum. Where it names any, it names all the weights: no hub can say otherwise.
    """

    role: str
    repo: str
    revision: str
    files: tuple[str, ...]
    sha256: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ValueError(f"role is {self.role!r}, but must be one of {', '.join(ROLES)}")
        if not is_repo(self.repo):
            raise ValueError(f"repo is {self.repo!r}, but must be OWNER/NAME")
        if not COMMIT.fullmatch(self.revision):
            raise ValueError(f"revision is {self.revision!r}, but must be a commit of 40 hexadecimal digits")
        for path, digest in self.sha256.items():
            if not is_plain(path) or not SHA256.fullmatch(digest):
                raise ValueError(f"sha256 has {path!r} = {digest!r}, but must have a file's path and 64 digits")


@dataclass(frozen=True)
class ModelPreset:
    """A model with all that it needs. One without ``parts`` comes with the server."""

    name: str
    title: str
    family: str
    licence: str
    sentence: str
    download_gb: float = 0.0
    memory_gb: float = 0.0
    steps: int = 4
    guidance: float = 1.0
    strength: float = 0.8
    sampler: str = "lcm"
    eta: float = 0.3
    parts: tuple[Part, ...] = ()

    def __post_init__(self) -> None:
        if self.parts and [part.role for part in self.parts].count("base") != 1:
            raise ValueError(f"preset {self.name!r} must have exactly one part with the role 'base'")
        Sampler(self.sampler, self.eta)

    @property
    def suits(self) -> Sampler:
        """The sampler that it is made for."""
        return Sampler(self.sampler, self.eta)

    @property
    def download_bytes(self) -> int:
        """About what a pull takes."""
        return int(self.download_gb * GB)

    @property
    def memory_bytes(self) -> int:
        """About what it takes of the device's memory."""
        return int(self.memory_gb * GB)


def read_presets(path: Path = FILE) -> dict[str, ModelPreset]:
    """The presets in ``path``, by name, in the file's order. Raises ValueError where one of them is wrong."""
    with path.open("rb") as file:
        tables = tomllib.load(file)
    return {name: _preset(name, dict(table), path) for name, table in tables.items()}


def _preset(name: str, table: dict[str, Any], path: Path) -> ModelPreset:
    try:
        parts = tuple(Part(**{**part, "files": tuple(part["files"])}) for part in table.pop("parts", []))
        return ModelPreset(name, **table, parts=parts)
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"preset {name!r} in {path}: {error}") from None
