"""Reads the headers and configs of a model's files, and says what is wrong with them. Standard library only: no torch.

Only safetensors are ever opened: a pickle can run any program when it is read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import EngineError

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
LONGEST_HEADER = 100_000_000
"""The longest header that the safetensors library itself accepts, in bytes."""
CHUNK = 1 << 24
OTHER_FILES = {
    b"<": "a web page, as a download that needs an account or a licence leaves it",
    b"{": "JSON, perhaps a server's answer in place of the file",
    b"version https://git-lfs": "a git-lfs pointer, which `git lfs pull` turns into the file itself",
    b"gguf": "a GGUF file, which is another format",
    b"pk": "a pickle under another name, or damaged",
    b"\x80": "a pickle under another name, or damaged",
}
"""What a file is that is no safetensors one, by its first bytes in lower case."""


Shapes = dict[str, tuple[int, ...]]
"""The shape of each tensor in a file, by its name."""


@dataclass(frozen=True)
class Weights:
    """The weight files of one part, and the ``variant`` of their names (``fp16``) that diffusers must be told."""

    files: tuple[Path, ...]
    variant: str | None = None

    @property
    def size(self) -> int:
        return sum(path.stat().st_size for path in self.files)


def read_json(path: Path, what: str) -> dict[str, Any]:
    """The JSON object in ``path``; ``what`` names it in the error's sentence."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EngineError(f"{what} is missing: there is no {path}; copy the whole model folder again") from None
    except (OSError, ValueError, RecursionError) as error:
        raise EngineError(f"{what} at {path} cannot be read ({error}); copy the model again") from None
    if not isinstance(value, dict):
        raise EngineError(f"{what} at {path} holds a {type(value).__name__}, but must hold a JSON object")
    return value


def find_weights(folder: Path, part: str) -> Weights:
    """The safetensors of ``part`` in ``folder``, checked for their length. Raises EngineError."""
    if not folder.is_dir():
        raise EngineError(f"the model has no {part}: {folder} is missing; copy the whole diffusers folder again")
    found = sorted(folder.glob("*.safetensors"))
    if not found:
        pickles = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in PICKLES)
        if pickles:
            raise EngineError(
                f"the weights of {part} in {folder} are there as a pickle only ({pickles[0]}), which could run any "
                "program when read and is never opened: convert them to .safetensors, or get the model in that form"
            )
        raise EngineError(f"the weights of {part} are missing: there is no .safetensors file in {folder}")
    # model.safetensors or its shards before model.fp16.safetensors, where both are there
    plain = [path for path in found if path.name.count(".") == 1]
    chosen = plain or [path for path in found if _variant(path) == _variant(found[0])]
    for path in chosen:
        check_safetensors(path)
    return Weights(tuple(chosen), None if plain else _variant(chosen[0]))


def _variant(path: Path) -> str:
    """ "fp16" of model.fp16.safetensors and of its shards, model.fp16-00001-of-00002.safetensors."""
    return path.name.split(".")[1].partition("-")[0]


def check_safetensors(path: Path) -> Shapes:
    """The shapes of the tensors in ``path``. Raises EngineError unless it is a safetensors file with all its bytes."""
    if path.suffix.lower() in PICKLES:
        raise EngineError(
            f"{path} is a pickle, which could run any program when read and is never opened: convert it to "
            ".safetensors, or get it in that form"
        )
    if path.is_dir():
        raise EngineError(f"{path} is a folder: give the path of a .safetensors file in it")
    if path.suffix.lower() != ".safetensors" and path.exists():
        raise EngineError(f"{path} is no .safetensors file, and nothing else is ever opened: get it in that form")
    if path.exists() and not path.is_file():  # opening a pipe would wait for ever
        raise EngineError(f"{path} is no file: give the path of a .safetensors file")
    try:
        with path.open("rb") as file:
            return _shapes(file, path.stat().st_size, path)
    except FileNotFoundError:
        raise EngineError(f"{path} does not exist: give the path of a .safetensors file") from None
    except OSError as error:
        raise EngineError(f"{path} cannot be read: {error.strerror or error}") from None


def check_whole(told: Mapping[str, Any], what: str) -> None:
    """Raise EngineError where weights were missing, which the libraries fill with random numbers. ``told``: theirs."""
    missing = sorted(name for name in told.get("missing_keys", ()) if not name.endswith("position_ids"))
    if missing:
        raise EngineError(
            f"{what} lacks {len(missing)} of its weights, such as {missing[0]}: the file is of another part or "
            "damaged; copy the whole folder again"
        )


def _shapes(file: BinaryIO, size: int, path: Path) -> Shapes:
    begins = file.read(64)
    length = int.from_bytes(begins[:8], "little")
    if size < 10 or length > min(LONGEST_HEADER, size):
        lower = begins.lower()
        what = next((words for first, words in OTHER_FILES.items() if lower.startswith(first)), "cut off or damaged")
        raise EngineError(f"{path} is no whole safetensors file: it has {size} bytes and is {what}; copy it again")
    file.seek(8)
    try:
        header = json.loads(file.read(length).decode("utf-8"))
        header.pop("__metadata__", None)
        spans = [tuple(entry["data_offsets"]) for entry in header.values()]
        shapes = {name: tuple(entry["shape"]) for name, entry in header.items()}
        sides = [side for shape in shapes.values() for side in shape]
        if not all(type(number) is int for number in (*sides, *chain.from_iterable(spans))):
            raise ValueError
        end = max((last for _, last in spans), default=0)
        if not all(0 <= first <= last for first, last in spans) or min(sides, default=0) < 0:
            raise ValueError
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        raise EngineError(f"{path} is no safetensors file: its header cannot be read; copy it again") from None
    if size != 8 + length + end:
        raise EngineError(
            f"{path} is cut off or damaged: it has {size} bytes, but its header promises {8 + length + end}; "
            "copy it again"
        )
    return shapes


def read_through(weights: Weights, report: Callable[[float], None]) -> None:
    """Read the files once, so that what follows finds them in memory; ``report`` gets the part read, 0..1.

    Loading itself is one call into a library that says nothing for minutes on a slow disk; this is where it waits.
    """
    done, total = 0, max(1, weights.size)
    for path in weights.files:
        with path.open("rb", buffering=0) as file:
            while chunk := file.read(CHUNK):
                done += len(chunk)
                report(done / total)
