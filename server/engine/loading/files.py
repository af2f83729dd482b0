"""Reads the headers and configs of a model's files, and says what is wrong with them. Standard library only: no torch.

Only safetensors are ever opened: a pickle can run any program when it is read.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from addon.untrusted.regular import read_regular
from addon.untrusted.values import has_more_values
from addon.wire.checks import show

from ..errors import EngineError

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
SCALES = (".scale_weight", ".weight_scale", ".weight_scale_inv")
"""Ends of the names under which tools write by what a weight in fp8 is to be multiplied."""
LONGEST_HEADER, MOST_VALUES = 8 * 1024 * 1024, 400_000
"""Of a safetensors file, in bytes, and the numbers and names in it: ten times those of SDXL with all its metadata."""
LONGEST_CONFIG = 1024 * 1024
LONGEST_TEXT = 16 * 1024 * 1024
"""Bytes of what else lies beside weights: a tokenizer's vocabulary has two million."""
BITS = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}
"""Of one number, by safetensors' name of its kind."""
MOST_SIDES = 16
MOST_LAYERS = 1000
"""In a config, of one kind: ten times those of any model here."""
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
        value = json.loads(_text(path, LONGEST_CONFIG).decode("utf-8"))
    except FileNotFoundError:
        raise EngineError(f"{what} is missing: there is no {path}; copy the whole model folder again") from None
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise EngineError(f"{what} at {path} cannot be read ({reason}); copy the model again") from None
    if not isinstance(value, dict):
        raise EngineError(f"{what} at {path} holds a {type(value).__name__}, but must hold a JSON object")
    return value


def check_texts(folder: Path) -> None:
    """Raise EngineError where a text in ``folder``, which the libraries read whole, is no file or far too long."""
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in (".json", ".txt", ".model") and not path.is_dir():
            try:
                text = _text(path, LONGEST_CONFIG if path.name == "config.json" else LONGEST_TEXT)
                if path.name == "config.json":
                    _check_counts(json.loads(text.decode("utf-8")))
            except (OSError, ValueError, RecursionError) as error:
                reason = getattr(error, "strerror", None) or error
                raise EngineError(f"{path} cannot be read ({reason}); copy the model again") from None


def _check_counts(value: Any, name: str = "") -> None:
    """Raise ValueError where a config asks for so many layers that to build them would take hours and all memory."""
    if isinstance(value, dict):
        for key, one in value.items():
            _check_counts(one, key)
    elif isinstance(value, list):
        if len(value) > MOST_LAYERS:
            raise ValueError(f"{name} has {len(value)} entries")
        for one in value:
            _check_counts(one, name)
    elif isinstance(value, (int, float)) and "layers" in name and value > MOST_LAYERS:
        raise ValueError(f"{name} is {show(value)}, but {MOST_LAYERS} at most can be")


def _text(path: Path, most: int) -> bytes:
    data = read_regular(path, most)
    if path.suffix.lower() == ".json" and has_more_values(data, MOST_VALUES):
        raise ValueError(f"it has more than {MOST_VALUES} values")
    return data


def find_weights(folder: Path, part: str) -> Weights:
    """The safetensors of ``part`` in ``folder``, checked for their length. Raises EngineError."""
    if not folder.is_dir():
        raise EngineError(f"the model has no {part}: {folder} is missing; copy the whole diffusers folder again")
    check_texts(folder)
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


def read_metadata(path: Path) -> dict[str, str]:
    """What the tool that wrote the safetensors file ``path`` says of it; the file was checked before."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    found = header.get("__metadata__")
    return {name: value for name, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else {}


def check_whole(told: Mapping[str, Any], what: str) -> None:
    """Raise EngineError where weights were missing, which the libraries fill with random numbers. ``told``: theirs."""
    missing = sorted(name for name in told.get("missing_keys", ()) if not name.endswith("position_ids"))
    if missing:
        raise EngineError(
            f"{what} lacks {len(missing)} of its weights, such as {missing[0]}: the file is of another part or "
            "damaged; copy the whole folder again"
        )
    scaled = sorted(name for name in told.get("unexpected_keys", ()) if name.endswith(SCALES))
    if scaled:
        raise EngineError(
            f"{what} is in scaled fp8 (it has {scaled[0]}), which diffusers' layout leaves no room for: take it in "
            "another precision, or in one file"
        )


def _shapes(file: BinaryIO, size: int, path: Path) -> Shapes:
    begins = file.read(64)
    length = int.from_bytes(begins[:8], "little")
    if LONGEST_HEADER < length <= size and begins[8:9] == b"{":
        raise EngineError(f"{path} has a header of {length} bytes, but {LONGEST_HEADER} at most are read")
    if size < 10 or length > min(LONGEST_HEADER, size):
        lower = begins.lower()
        what = next((words for first, words in OTHER_FILES.items() if lower.startswith(first)), "cut off or damaged")
        raise EngineError(f"{path} is no whole safetensors file: it has {size} bytes and is {what}; copy it again")
    file.seek(8)
    text = file.read(length)
    if has_more_values(text, MOST_VALUES):
        raise EngineError(f"{path} has a header of more than {MOST_VALUES} values, which no model needs: it is damaged")
    try:
        header = json.loads(text.decode("utf-8"))
        header.pop("__metadata__", None)
        shapes = {name: tuple(entry["shape"]) for name, entry in header.items()}
        end = max((_check_entry(entry) for entry in header.values()), default=0)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        raise EngineError(f"{path} is no safetensors file: its header cannot be read; copy it again") from None
    if size != 8 + length + end:
        raise EngineError(
            f"{path} is cut off or damaged: it has {size} bytes, but its header promises {8 + length + end}; "
            "copy it again"
        )
    return shapes


def _check_entry(entry: Mapping[str, Any]) -> int:
    """Where the tensor ends that a header's ``entry`` is of. Raises ValueError unless it has the bytes of its shape."""
    shape, (first, last) = entry["shape"], entry["data_offsets"]
    if len(shape) > MOST_SIDES or not all(type(number) is int and 0 <= number < 2**63 for number in (*shape, first)):
        raise ValueError
    if type(last) is not int or not first <= last < 2**63:
        raise ValueError
    bits = BITS.get(entry["dtype"], 0)
    if bits and math.prod(shape) * bits != (last - first) * 8:
        raise ValueError
    if math.prod(shape) > (last - first) * 8:  # a kind that is not known here: none has less than a bit
        raise ValueError
    return last


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
