"""What is to be set up: where, by which Python, from which lists, with which options. Standard library only; no bpy."""

from __future__ import annotations

import hashlib
import json
import platform
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from .machine import BUILDS, INDEX, Build

AUTO = "auto"
"""The build is chosen by what the machine has."""


@dataclass(frozen=True)
class Plan:
    """One environment to be made.

    ``home``: the extension's own folder for user data. ``python``: the interpreter that makes it. ``requirements``
    and ``constraints``: pip's lists, all versions pinned. ``build``: a name of ``BUILDS``, or ``auto``. ``options``:
    more arguments for pip, as a person would type them. ``version``: the extension's. ``hashes``: pip's list of the
    checksums that the pinned packages may have.

    Raises ValueError with the name, the value and what would be valid.
    """

    home: Path
    python: Path
    requirements: Path
    constraints: Path | None = None
    build: str = AUTO
    options: tuple[str, ...] = ()
    version: str = ""
    hashes: Path | None = None

    def __post_init__(self) -> None:
        if self.build != AUTO and self.build not in BUILDS:
            raise ValueError(f"build is {self.build!r}, but must be {AUTO!r} or one of {', '.join(BUILDS)}")

    @property
    def is_offline(self) -> bool:
        """Whether the options keep pip from every index, so that nothing is downloaded."""
        return "--no-index" in self.options

    @property
    def fingerprint(self) -> str:
        """Differs between plans whose environments would: 12 hexadecimal digits. Raises OSError."""
        parts = [self.requirements.read_text("utf-8"), self.constraints.read_text("utf-8") if self.constraints else ""]
        parts += [self.build, f"{sys.version_info[0]}.{sys.version_info[1]}", platform.machine()]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]

    @property
    def folder(self) -> Path:
        """The environment's own folder. Raises OSError when the lists cannot be read."""
        return environments(self.home) / self.fingerprint

    def torch_arguments(self, build: Build) -> list[str]:
        """What pip must be told to find ``build`` and no other one: its index, and its local version."""
        pinned = next((line for line in self.required() if line.startswith("torch==")), "")
        if not build.folder or not pinned or self.is_offline:
            return []
        return ["--extra-index-url", f"{INDEX}/{build.folder}", f"{pinned}+{build.folder}"]

    def required(self) -> list[str]:
        """The lines of the requirements that name packages, without comments and markers."""
        lines = (line.split("#")[0].split(";")[0].strip() for line in self.requirements.read_text("utf-8").splitlines())
        return [line for line in lines if line and not line.startswith("-")]

    def to_json(self) -> str:
        """One line, which :meth:`from_json` takes."""
        return json.dumps(
            {
                "home": str(self.home),
                "python": str(self.python),
                "requirements": str(self.requirements),
                "constraints": str(self.constraints) if self.constraints else None,
                "build": self.build,
                "options": self.options,
                "version": self.version,
                "hashes": str(self.hashes) if self.hashes else None,
            }
        )

    @classmethod
    def from_json(cls, line: str) -> Plan:
        """Undo :meth:`to_json`."""
        values = json.loads(line)
        return cls(
            Path(values["home"]),
            Path(values["python"]),
            Path(values["requirements"]),
            Path(values["constraints"]) if values["constraints"] else None,
            values["build"],
            tuple(values["options"]),
            values["version"],
            Path(values["hashes"]) if values["hashes"] else None,
        )


def environments(home: Path) -> Path:
    """The folder that all environments lie in."""
    return home / "server"


def split_options(typed: str) -> tuple[str, ...]:
    """Arguments as a person typed them. Raises ValueError with a sentence when a quote is left open."""
    try:
        return tuple(shlex.split(typed))
    except ValueError as error:
        raise ValueError(f"The extra pip arguments are {typed!r}, but {str(error).lower()}.") from None
