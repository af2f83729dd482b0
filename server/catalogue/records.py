"""What was pulled, written down where the hub keeps its own. Standard library only.

A record names every file of a model with its size and checksum, so that whether the model is here, and whole, can be
told without asking the hub.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Pulled:
    """A file of the hub. ``revision``: the commit. ``sha256`` is empty for small text files, which have none there.

    ``fetched``: whether it was downloaded for this model, and was not in the cache already. ``blob_id``: git's name
    for the bytes of a small file, SHA-1 over them and their length; empty where the hub does not say.
    """

    role: str
    repo: str
    revision: str
    path: str
    size: int
    sha256: str = ""
    fetched: bool = True
    blob_id: str = ""


class Records:
    """The records in ``folder``, one JSON file for each model."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> tuple[Pulled, ...]:
        """The files of model ``name``; none when it was never pulled, or its record cannot be read."""
        try:
            entries = json.loads(self._path(name).read_text(encoding="utf-8"))["files"]
            return tuple(Pulled(**entry) for entry in entries)
        except (OSError, ValueError, KeyError, TypeError):
            return ()

    def was_whole(self, name: str) -> bool:
        """Whether all of ``name`` was here once."""
        try:
            return bool(json.loads(self._path(name).read_text(encoding="utf-8")).get("whole"))
        except (OSError, ValueError, AttributeError):
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
