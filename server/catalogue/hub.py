"""What the hub has, and fetching it, through huggingface_hub. No torch.

HF_HOME, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE mean what they mean for every tool of the hub, and what another tool
has downloaded is not downloaded again.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, constants, hf_hub_download, hf_hub_url
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]
from tqdm import tqdm

from .cache import HubError, blob_path, checksum, choose, delete, held, is_sound, local_path, partial_path
from .presets import Part
from .records import Pulled

# The library's own 10 MiB at a time would let progress and cancel wait long on a slow line.
constants.DOWNLOAD_CHUNK_SIZE = 1 << 20

ListFiles = Callable[[Part], list[Pulled]]


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
            blob_id="" if sibling.lfs is not None else sibling.blob_id or "",
        )
        for sibling in siblings
        if sibling.rfilename in wanted
    ]


def fetch(file: Pulled, on_bytes: Callable[[int], None], on_check: Callable[[int], None]) -> bool:
    """Have ``file`` in the cache, and say whether it was downloaded for that. Raises HubError.

    ``on_bytes`` gets the bytes that come, a few at a time, and 0 now and then while another program downloads the same
    file. A file is in the cache whole and checked, or not at all. What came of it before this process, or one before
    it, was ended in whatever way is kept beside it, and only the rest is asked for; but a KeyboardInterrupt takes it
    away. ``on_check`` is called while it is checked.
    """

    class Bar(tqdm):  # type: ignore[misc]
        """Tells ``on_bytes``; shows nothing itself."""

        def __init__(self, *args: Any, **options: Any) -> None:
            options.pop("name", None)
            super().__init__(*args, **{**options, "disable": True})

        def update(self, n: float | None = 1) -> bool | None:
            on_bytes(int(n or 0))
            return None

    came = local_path(file) is None and not file.sha256
    try:
        if file.sha256:
            came = _fetch_blob(file, on_bytes, on_check, Bar)
        # has nothing left to download but small files; it puts the name into the cache
        path = Path(hf_hub_download(file.repo, file.path, revision=file.revision, tqdm_class=Bar))
        if file.sha256 and not path.is_symlink():  # a copy, where there are no links
            blob_path(file).unlink(missing_ok=True)
        _check_small(file, path)
        return came
    except KeyboardInterrupt:
        if came or (file.sha256 and not blob_path(file).exists()):
            delete(file)
        raise
    except HubError:
        raise
    except Exception as error:
        raise HubError(_sentence(error, f"{file.repo}/{file.path}")) from error


def _check_small(file: Pulled, path: Path) -> None:
    if path.stat().st_size != file.size:
        delete(file)
        raise HubError(f"{file.repo}: {file.path} came with another size than announced: pull again")
    if not file.sha256 and not is_sound(file, path, lambda count: None):
        delete(file)
        raise HubError(f"{file.repo}: {file.path} came damaged: its checksum is not the publisher's; pull again")


def _fetch_blob(file: Pulled, on_bytes: Callable[[int], None], on_check: Callable[[int], None], bar: Any) -> bool:
    """Put the bytes of ``file`` where hf_hub_download looks for them, after those that an earlier try has left.

    Returns whether they were not there. hf_hub_download itself begins each file anew: since huggingface_hub 1.18 it
    drops what came before it was ended.
    """
    blob, partial = blob_path(file), partial_path(file)
    lock = Path(constants.HF_HUB_CACHE, ".locks", blob.parents[1].name, f"{blob.name}.lock")  # the library's own
    for folder in (blob.parent, lock.parent):
        folder.mkdir(parents=True, exist_ok=True)
    with held(lock, lambda: on_bytes(0)):
        if blob.exists():
            return False
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
        return True


def _sentence(error: Exception, what: str) -> str:
    host = constants.ENDPOINT
    if isinstance(error, OfflineModeIsEnabled) or constants.is_offline_mode():
        return f"{what} is not on this machine, and downloads are off (HF_HUB_OFFLINE): switch them on and pull again"
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
