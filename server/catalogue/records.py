"""Records of what was downloaded, kept in the hub's own cache. Standard library only.

A record names every file of a model with its size and checksum, so that whether the model is here, and whole, can be
told without asking the hub.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

REPO = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
COMMIT = re.compile(r"[0-9a-f]{40}")
SHA256 = re.compile(r"[0-9a-f]{64}")
PATH = re.compile(r"[\w.+-]+(/[\w.+-]+)*", re.ASCII)
DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""What is no file on Windows, wherever it lies."""
LONGEST_PATH = 200
LARGEST = 1 << 42
"""Bytes of a file."""
SMALL = 1 << 24
"""Bytes of a file that has no SHA-256; the hub itself gives one to all beyond 10 MB."""


def is_plain(path: str) -> bool:
    """Whether ``path`` is a name below the folder it is joined to, on every system; no hidden ones."""
    parts = path.split("/")
    return (
        bool(PATH.fullmatch(path))
        and len(path) <= LONGEST_PATH
        and not any(part.startswith(".") or part.endswith(".") or DEVICE.fullmatch(part) for part in parts)
    )


def is_repo(name: str) -> bool:
    """Whether ``name`` is OWNER/NAME, as the hub has them."""
    return bool(REPO.fullmatch(name)) and not any(part.startswith(".") for part in name.split("/"))


@dataclass(frozen=True)
class Pulled:
    """A file of the hub. ``revision``: the commit. ``sha256`` is empty for small text files, which have none there.

    ``fetched``: whether it was downloaded for this model, and was not in the cache already. ``blob_id``: git's name
    for the bytes of a small file, SHA-1 over them and their length; empty where the hub does not say. Raises
    ValueError where a name could lead out of the cache, so that no hub and no damaged record can.
    """

    role: str
    repo: str
    revision: str
    path: str
    size: int
    sha256: str = ""
    fetched: bool = True
    blob_id: str = ""

    def __post_init__(self) -> None:
        texts = (self.role, self.repo, self.revision, self.path, self.sha256, self.blob_id)
        if not all(isinstance(text, str) for text in texts):
            raise ValueError(f"a file of a hub has texts for names, not {str(texts)[:200]!a}")
        for name, value, right in (
            ("repo", self.repo, is_repo(self.repo)),
            ("revision", self.revision, COMMIT.fullmatch(self.revision)),
            ("path", self.path, is_plain(self.path)),
            ("size", self.size, type(self.size) is int and 0 <= self.size <= LARGEST),
            ("sha256", self.sha256, not self.sha256 or SHA256.fullmatch(self.sha256)),
            ("blob_id", self.blob_id, not self.blob_id or COMMIT.fullmatch(self.blob_id)),
        ):
            if not right:
                raise ValueError(f"{name} is {str(value)[:80]!a}, which no file of a hub has")

    @property
    def digest(self) -> str:
        """What the cache names its bytes by: the SHA-256, of a small file git's name; empty where neither is known."""
        return self.sha256 or self.blob_id


class Records:
    """The records in ``folder``, one JSON file for each model."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> tuple[Pulled, ...]:
        """The files of model ``name``; none when it was never pulled, or its record cannot be read."""
        try:
            entries = json.loads(self._path(name).read_text(encoding="utf-8"))["files"]
            return tuple(Pulled(**entry) for entry in entries)
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return ()

    def was_whole(self, name: str) -> bool:
        """Whether all of ``name`` was here once."""
        try:
            return bool(json.loads(self._path(name).read_text(encoding="utf-8")).get("whole"))
        except (OSError, ValueError, AttributeError, RecursionError):
            return False

    def write(self, name: str, files: tuple[Pulled, ...], whole: bool = False) -> None:
        """Write the record of ``name``, whole or not at all. ``whole``: whether all of the model is here."""
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = self._path(name).with_suffix(f".{os.getpid()}")
        text = json.dumps({"whole": whole, "files": [asdict(file) for file in files]}, indent=1) + "\n"
        try:
            draft.write_text(text, encoding="utf-8")
            draft.replace(self._path(name))
        except OSError:
            draft.unlink(missing_ok=True)
            raise

    def remove(self, name: str) -> None:
        """Forget ``name``."""
        self._path(name).unlink(missing_ok=True)

    def names(self) -> tuple[str, ...]:
        """The models that have a record."""
        return tuple(sorted(path.stem for path in self._folder.glob("*.json")))

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"


def cancelled(name: str, records: Records) -> str:
    """What to say of a pull of the model ``name`` that was interrupted, now that it has ended."""
    left = "what was here before still is" if records.read(name) else "nothing of it is left"
    return f"the download of {name} was cancelled; {left}"
