"""Files from the hub through huggingface_hub and its cache: get, check, delete. No torch.

HF_HOME, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE mean what they mean for every tool of the hub, and what another tool
has downloaded is not downloaded again.
"""

from __future__ import annotations

import fnmatch
import hashlib
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from huggingface_hub import HfApi, constants, hf_hub_download, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import http_get, repo_folder_name
from huggingface_hub.utils import WeakFileLock, build_hf_headers  # type: ignore[attr-defined]
from tqdm import tqdm

from .presets import Part
from .records import Pulled

# The library's own 10 MiB at a time would let progress and cancel wait long on a slow line.
constants.DOWNLOAD_CHUNK_SIZE = 1 << 20

SUFFIXES = (".safetensors", ".json", ".txt")
CHUNK = 1 << 22
LOCK_SECONDS = 3.0
"""How long to wait for another program that downloads the same file."""
ListFiles = Callable[[Part], list[Pulled]]


class HubError(Exception):
    """A pull, check or removal failed; the message is one sentence for a person."""


def list_files(part: Part) -> list[Pulled]:
    """The files that ``part`` takes from its repository, with sizes and checksums. Raises HubError."""
    try:
        info = HfApi().model_info(part.repo, revision=part.revision, files_metadata=True)
    except Exception as error:
        raise HubError(_sentence(error, f"{part.repo} at {part.revision[:12]}")) from error
    siblings = info.siblings or []
    wanted = choose([sibling.rfilename for sibling in siblings], part.files)
    if not any(name.endswith(".safetensors") for name in wanted):
        raise HubError(
            f"{part.repo} at {part.revision[:12]} has no safetensors among {', '.join(part.files)}: "
            "its files have been changed, or the preset is wrong"
        )
    return [
        Pulled(
            part.role,
            part.repo,
            info.sha or part.revision,
            sibling.rfilename,
            sibling.size or 0,
            sibling.lfs.sha256 if sibling.lfs is not None else "",
        )
        for sibling in siblings
        if sibling.rfilename in wanted
    ]


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
    found = try_to_load_from_cache(file.repo, file.path, revision=file.revision)
    path = Path(found) if isinstance(found, str) else None
    return path if path is not None and path.is_file() and path.stat().st_size == file.size else None


def fetch(file: Pulled, on_bytes: Callable[[int], None], on_check: Callable[[int], None]) -> Path:
    """Download ``file`` into the cache; ``on_bytes`` gets the bytes that came, a few at a time. Raises HubError.

    A file is in the cache whole and checked, or not at all. What came of it before this process, or one before it, was
    ended in whatever way is kept beside it, and only the rest is asked for. ``on_check`` is called while it is checked.
    """

    class Bar(tqdm):  # type: ignore[misc]
        """Tells ``on_bytes``; shows nothing itself."""

        def __init__(self, *args: Any, **options: Any) -> None:
            options.pop("name", None)
            super().__init__(*args, **{**options, "disable": True})

        def update(self, n: float | None = 1) -> bool | None:
            on_bytes(int(n or 0))
            return None

    try:
        if file.sha256:
            _fetch_blob(file, on_bytes, on_check, Bar)
        # has nothing left to download but small files; it puts the name into the cache
        path = Path(hf_hub_download(file.repo, file.path, revision=file.revision, tqdm_class=Bar))
        if file.sha256 and not path.is_symlink():  # a copy, where there are no links
            _blob(file).unlink(missing_ok=True)
        return path
    except HubError:
        raise
    except Exception as error:
        raise HubError(_sentence(error, f"{file.repo}/{file.path}")) from error


def _fetch_blob(file: Pulled, on_bytes: Callable[[int], None], on_check: Callable[[int], None], bar: Any) -> None:
    """Put the bytes of ``file`` where hf_hub_download looks for them, after those that an earlier try has left.

    hf_hub_download itself begins each file anew: since huggingface_hub 1.18 it drops what came before it was ended.
    """
    blob, partial = _blob(file), partial_path(file)
    lock = Path(constants.HF_HUB_CACHE, ".locks", blob.parents[1].name, f"{blob.name}.lock")  # the library's own
    for folder in (blob.parent, lock.parent):
        folder.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(lock, timeout=LOCK_SECONDS):
        if blob.exists():
            return
        with partial.open("ab") as opened:
            if opened.tell() > file.size:
                opened.truncate(0)
            on_bytes(have := opened.tell())
            url = hf_hub_url(file.repo, file.path, revision=file.revision)
            http_get(url, opened, resume_size=have, headers=build_hf_headers(), expected_size=file.size, tqdm_class=bar)
        if checksum(partial, on_check) != file.sha256:
            partial.unlink()
            raise HubError(f"{file.repo}: {file.path} came damaged: its checksum is not the publisher's; pull again")
        partial.replace(blob)


def partial_path(file: Pulled) -> Path:
    """Where what came of ``file`` lies until it is whole."""
    return _blob(file).with_suffix(".draftglass.incomplete")


def _blob(file: Pulled) -> Path:
    """Where the cache has the bytes of ``file``, by their checksum."""
    return Path(constants.HF_HUB_CACHE, repo_folder_name(repo_id=file.repo, repo_type="model"), "blobs", file.sha256)


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


def delete(file: Pulled) -> int:
    """Delete ``file`` from the cache, in part or whole, and return the bytes set free.

    What another revision has too stays.
    """
    found = try_to_load_from_cache(file.repo, file.path, revision=file.revision)
    pointer = Path(found) if isinstance(found, str) else None
    blob = _blob(file) if file.sha256 else None
    if pointer is not None:
        blob = pointer.resolve()
        pointer.unlink(missing_ok=True)
        if blob == pointer:  # where there are no links
            return file.size
    if file.sha256:
        partial_path(file).unlink(missing_ok=True)
    if blob is None or not blob.exists():
        return 0
    same = (blob.parents[1] / "snapshots").rglob(PurePosixPath(file.path).name)
    if any(other.is_symlink() and other.resolve() == blob for other in same):
        return 0
    size = blob.stat().st_size
    blob.unlink()
    return size


def _sentence(error: Exception, what: str) -> str:
    host = constants.ENDPOINT
    if isinstance(error, OfflineModeIsEnabled) or constants.is_offline_mode():
        return f"{what} is not on this machine, and downloads are off (HF_HUB_OFFLINE): switch them on and pull again"
    if isinstance(error, TimeoutError):  # of the lock; those of the network are httpx's own
        return f"another program is downloading {what}: wait until it has ended, then pull again"
    if isinstance(error, GatedRepoError):
        return f"{what} asks for an agreement first: accept it on {host}, then log in with `hf auth login`"
    if isinstance(error, RevisionNotFoundError | EntryNotFoundError):
        return f"{what} is not on {host} any more: update Draftglass"
    if isinstance(error, RepositoryNotFoundError):
        return f"{what} is not on {host}, or not for everybody: log in with `hf auth login` if you may see it"
    if isinstance(error, HfHubHTTPError):
        return f"{host} answered {error.response.status_code} for {what}: try again later"
    if isinstance(error, OSError) and "Consistency check" in str(error):
        return f"{what} came with another size than announced: pull again"
    if type(error).__module__.partition(".")[0] in ("httpx", "httpx2", "httpcore"):
        return f"{host} cannot be reached for {what}: check the network, then pull again; what is here is kept"
    if isinstance(error, OSError):
        return f"{what} could not be stored: {error}"
    return f"{what} could not be downloaded: {' '.join(str(error).split())[:300] or type(error).__name__}"
