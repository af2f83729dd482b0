"""The hub's cache on this machine: what is in it, complete or not; checking, deleting, locking. No torch.

What another tool of the hub has downloaded lies there too, and is not downloaded again.
"""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath

from huggingface_hub import constants
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]

from .presets import Part
from .records import COMMIT, SHA256, Pulled, is_plain

SUFFIXES = (".safetensors", ".json", ".txt")
CHUNK = 1 << 22
LOCK_SECONDS = 0.5
"""How long to try at a time to get a lock that another program holds."""


class HubError(Exception):
    """A pull, check or removal failed; the message is one sentence for a person."""


def choose(names: Iterable[str], patterns: Iterable[str]) -> set[str]:
    """Those of ``names`` that match a pattern and may be opened; of weights in fp16 and fp32, fp16 alone."""
    patterns = tuple(patterns)
    chosen = {
        name
        for name in names
        if name.endswith(SUFFIXES) and any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
    }
    halves = {str(PurePosixPath(name).parent) for name in chosen if ".fp16." in name and name.endswith(".safetensors")}
    return {
        name
        for name in chosen
        if not (
            name.endswith((".safetensors", ".safetensors.index.json"))
            and str(PurePosixPath(name).parent) in halves
            and ".fp16" not in name
        )
    }


def local_path(file: Pulled) -> Path | None:
    """Where ``file`` lies in the cache, or None when it is not there, or not whole."""
    path = pointer_path(file)
    return path if path.is_file() and path.stat().st_size == file.size else None


def _root(repo: str) -> Path:
    return Path(constants.HF_HUB_CACHE, repo_folder_name(repo_id=repo, repo_type="model"))


def pointer_path(file: Pulled) -> Path:
    """Where the cache has ``file`` by name: a link to its bytes, or where there are no links, they themselves."""
    return _root(file.repo) / "snapshots" / file.revision / file.path


def in_cache(part: Part) -> list[Pulled]:
    """The files of ``part`` in the cache, whoever has fetched them; none where something lacks."""
    snapshot = _root(part.repo) / "snapshots" / part.revision
    names = [path.relative_to(snapshot).as_posix() for path in snapshot.rglob("*") if path.is_file()]
    wanted = sorted(choose(filter(is_plain, names), part.files))
    files = [_cached(part, snapshot, name) for name in wanted] if _is_whole(part, snapshot, wanted) else []
    ours = all(part.sha256.get(file.path, file.sha256) == file.sha256 for file in files if file.sha256)
    return files if ours else []  # under another checksum it is another file


def _is_whole(part: Part, snapshot: Path, names: list[str]) -> bool:
    """Whether ``names`` are all that ``part`` needs, as far as that can be told without asking the hub."""
    for pattern in part.files:
        found = [name for name in names if fnmatch.fnmatchcase(name, pattern)]
        kinds = {PurePosixPath(name).suffix for name in found}
        weighty = pattern.endswith(".safetensors") or pattern.startswith(("unet/", "text_encoder", "vae/"))
        if not found or (weighty and ".safetensors" not in kinds):
            return False
    for name in names:
        if name.endswith(".safetensors.index.json"):
            try:
                shards = set(json.loads((snapshot / name).read_text(encoding="utf-8"))["weight_map"].values())
                if not all((snapshot / name).with_name(shard).is_file() for shard in shards):
                    return False
            except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
                return False  # damaged
    return True


def _cached(part: Part, snapshot: Path, name: str) -> Pulled:
    path = snapshot / name
    digest = path.resolve().name if path.is_symlink() else ""  # the cache names bytes by the hub's checksum
    sha256, blob_id = (digest if form.fullmatch(digest) else "" for form in (SHA256, COMMIT))
    size = path.stat().st_size
    return Pulled(part.role, part.repo, part.revision, name, size, sha256, fetched=False, blob_id=blob_id)


def records_folder() -> Path:
    """Where what was pulled is written down, for whichever folder a user's own models are in."""
    return Path(constants.HF_HOME, "draftglass")


@contextlib.contextmanager
def alone(name: str, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Keep other programs from pulling, checking or removing the model ``name`` meanwhile.

    While another one does so, ``waiting`` is called now and then; without it, raises HubError.
    """
    lock = records_folder() / f"{name}.lock"
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HubError(
            f"{lock.parent} cannot be made: {error.strerror or error}; set HF_HOME to a folder that can"
        ) from None
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(held(lock, waiting))
        except TimeoutError:
            raise HubError(f"another program is at work on {name}: wait until it has ended") from None
        yield


@contextlib.contextmanager
def held(lock: Path, waiting: Callable[[], None] | None) -> Iterator[None]:
    """Hold ``lock``; while another program does, call ``waiting``, or without one raise TimeoutError."""
    with contextlib.ExitStack() as stack:
        while True:
            try:
                stack.enter_context(WeakFileLock(lock, timeout=LOCK_SECONDS))
                break
            except TimeoutError:
                if waiting is None:
                    raise
                waiting()
        yield


def partial_path(file: Pulled) -> Path:
    """Where what came of ``file`` lies until it is whole."""
    return blob_path(file).with_suffix(".draftglass.incomplete")


def blob_path(file: Pulled) -> Path:
    """Where the cache has the bytes of ``file``, by their checksum."""
    return _root(file.repo) / "blobs" / file.digest


def free_bytes() -> int:
    """How much the disk of the cache has free."""
    place = Path(constants.HF_HUB_CACHE).absolute()
    return shutil.disk_usage(next(folder for folder in (place, *place.parents) if folder.exists())).free


def checksum(path: Path, on_bytes: Callable[[int], None]) -> str:
    """The SHA-256 of ``path`` in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as opened:
        while chunk := opened.read(CHUNK):
            digest.update(chunk)
            on_bytes(len(chunk))
    return digest.hexdigest()


def is_sound(file: Pulled, path: Path, on_bytes: Callable[[int], None]) -> bool:
    """Whether the bytes of ``path`` are those that the publisher gives a checksum of."""
    if file.sha256:
        return checksum(path, on_bytes) == file.sha256
    if not file.blob_id:
        return True
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest() == file.blob_id


def delete(file: Pulled) -> int:
    """Delete ``file`` from the cache, in part or whole, and return the bytes set free.

    What another revision has too stays, and so does what a link leads to outside the cache.
    """
    pointer, blobs = pointer_path(file), (_root(file.repo) / "blobs").resolve()
    blob = blob_path(file) if file.digest else None
    if pointer.is_symlink():
        blob = pointer.resolve()
        pointer.unlink(missing_ok=True)
    elif pointer.is_file():  # where there are no links
        size = pointer.stat().st_size
        pointer.unlink()
        return size
    if file.digest:
        partial_path(file).unlink(missing_ok=True)
    if blob is None or not blob.is_file() or blob.resolve().parent != blobs:
        return 0
    same = (_root(file.repo) / "snapshots").rglob(PurePosixPath(file.path).name)
    if any(other.is_symlink() and other.resolve() == blob.resolve() for other in same):
        return 0
    size = blob.stat().st_size
    blob.unlink()
    return size
