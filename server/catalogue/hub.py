"""What the hub has, and fetching it. No torch.

HF_HOME, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE mean what they mean for every tool of the hub, and what another tool
has downloaded is not downloaded again. Nothing that a hub says is trusted beyond what it is asked: our pin decides the
commit, names are checked before they become paths, and bytes are checked against their announced size and checksum.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from huggingface_hub import constants
from huggingface_hub.errors import OfflineModeIsEnabled
from huggingface_hub.file_download import _create_symlink  # what the cache is laid out by, links or none

from . import download
from .cache import HubError, blob_path, choose, delete, held, is_sound, local_path, partial_path, pointer_path
from .download import Answered, WrongSize
from .presets import Part
from .records import SMALL, Pulled

ListFiles = Callable[[Part], list[Pulled]]
LONGEST_LIST = 4 << 20
"""Bytes; a repository of ten thousand files has a list of 3 MB."""


def list_files(part: Part) -> list[Pulled]:
    """The files that ``part`` takes from its repository, with sizes and checksums. Raises HubError."""
    where = f"{part.repo} at {part.revision[:12]}"
    try:
        url = f"{constants.ENDPOINT}/api/models/{part.repo}/revision/{part.revision}?blobs=true"
        answer = json.loads(download.read(url, LONGEST_LIST, f"the list of {where}"))
    except HubError:
        raise
    except (ValueError, RecursionError):
        raise HubError(f"{constants.ENDPOINT} answers for {where} with something else than its list of files") from None
    except Exception as error:
        raise HubError(_sentence(error, where)) from error
    listed = _listed(part, answer, where)
    if not any(name.endswith(".safetensors") for name in listed):
        raise HubError(
            f"{where} has no safetensors among {', '.join(part.files)}: "
            "its files have been changed, or the preset is wrong"
        )
    return list(listed.values())


def _listed(part: Part, answer: Any, where: str) -> dict[str, Pulled]:
    """Path -> file, of those in the hub's ``answer`` that ``part`` takes. Raises HubError where it cannot be true."""
    siblings = answer.get("siblings") if isinstance(answer, dict) else None
    if not isinstance(siblings, list) or not all(isinstance(each, dict) for each in siblings):
        raise HubError(f"{constants.ENDPOINT} answers for {where} with something else than its list of files")
    if (commit := answer.get("sha")) is not None and commit != part.revision:
        raise HubError(
            f"{constants.ENDPOINT} was asked for {where} and lists commit {str(commit)[:40]!a}: "
            "pull from another hub, or from huggingface.co itself"
        )
    names = [name for each in siblings if isinstance(name := each.get("rfilename"), str)]
    wanted, found = choose(names, part.files), {}
    for each in siblings:
        if not isinstance(name := each.get("rfilename"), str) or name not in wanted:
            continue
        try:
            if name in found:
                raise ValueError("it is there twice")
            found[name] = _file(part, name, each)
        except ValueError as error:
            shown = f"{name[:80]!a}"
            raise HubError(f"{constants.ENDPOINT} lists {shown} in {where}, which is refused: {error}") from None
    return found


def _file(part: Part, name: str, entry: dict[str, Any]) -> Pulled:
    """The file of one ``entry`` of a list. Raises ValueError."""
    lfs, size = entry.get("lfs"), entry.get("size")
    if lfs is not None and not isinstance(lfs, dict):
        raise ValueError("its checksum is malformed")
    sha256, blob_id = (lfs.get("sha256", ""), "") if lfs else ("", entry.get("blobId") or "")
    if lfs and lfs.get("size", size) != size:
        raise ValueError("it has two sizes")
    file = Pulled(part.role, part.repo, part.revision, name, size, sha256, blob_id=blob_id)  # type: ignore[arg-type]
    if not file.digest:
        raise ValueError("it comes without a checksum")
    if not file.sha256 and file.size > SMALL:
        raise ValueError(f"it has {file.size} bytes and no SHA-256")
    if part.sha256 and (name in part.sha256 or name.endswith(".safetensors")):
        if (right := part.sha256.get(name, "")) != file.sha256:
            raise ValueError(f"its SHA-256 is {file.sha256[:12] or 'missing'}, and not {right[:12] or 'one we know'}")
    return file


def fetch(file: Pulled, on_bytes: Callable[[int], None], on_check: Callable[[int], None]) -> bool:
    """Have ``file`` in the cache, and say whether it was downloaded for that. Raises HubError.

    ``on_bytes`` gets the bytes that come, a few at a time, and 0 now and then while another program downloads the same
    file. A file is in the cache whole and checked, or not at all. What came of it before this process, or one before
    it, was ended in whatever way is kept beside it, and only the rest is asked for; but a KeyboardInterrupt takes it
    away. ``on_check`` is called while it is checked.
    """
    came = local_path(file) is None
    try:
        blob, pointer = blob_path(file), pointer_path(file)
        lock = Path(constants.HF_HUB_CACHE, ".locks", blob.parents[1].name, f"{blob.name}.lock")  # the library's own
        for folder in (blob.parent, lock.parent, pointer.parent):
            folder.mkdir(parents=True, exist_ok=True)
        with held(lock, lambda: on_bytes(0)):
            came = _fetch_bytes(file, on_bytes, on_check)
            if local_path(file) is None:
                _create_symlink(str(blob), str(pointer), new_blob=True)
        return came
    except KeyboardInterrupt:
        if came or not blob_path(file).exists():
            delete(file)
        raise
    except HubError:
        raise
    except Exception as error:
        raise HubError(_sentence(error, f"{file.repo}/{file.path}")) from error


def _fetch_bytes(file: Pulled, on_bytes: Callable[[int], None], on_check: Callable[[int], None]) -> bool:
    """Put the bytes of ``file`` where the cache has them, after those that an earlier try has left.

    Returns whether they were not there. What another program has left under their name is checked, too: the library
    itself believes the hub's word for it.
    """
    blob, partial = blob_path(file), partial_path(file)
    if blob.is_file():
        if blob.stat().st_size == file.size and is_sound(file, blob, on_check):
            return False
        blob.unlink()
    url = f"{constants.ENDPOINT}/{file.repo}/resolve/{file.revision}/{file.path}"  # plain names need no quoting
    try:
        with partial.open("ab") as opened:
            if opened.tell() > file.size:
                opened.truncate(0)
                opened.seek(0)
            if have := opened.tell():
                on_bytes(have)
            download.append(url, opened, file.size, on_bytes, f"{file.repo}/{file.path}")
    except BaseException as error:
        if isinstance(error, WrongSize) or not partial.stat().st_size:
            partial.unlink()
        raise
    if not is_sound(file, partial, on_check):
        partial.unlink()
        raise HubError(f"{file.repo}: {file.path} came damaged: its checksum is not the publisher's; pull again")
    partial.replace(blob)
    return True


def _sentence(error: Exception, what: str) -> str:
    host = constants.ENDPOINT
    if isinstance(error, OfflineModeIsEnabled) or constants.is_offline_mode():
        return f"{what} is not on this machine, and downloads are off (HF_HUB_OFFLINE): switch them on and pull again"
    if isinstance(error, Answered):
        return _refusal(error, host, what)
    if type(error).__module__.partition(".")[0] in ("httpx2", "httpcore2"):
        return f"{host} cannot be reached for {what}: check the network, then pull again; what is here is kept"
    if isinstance(error, OSError):
        return f"{what} could not be stored: {error}"
    return f"{what} could not be downloaded: {' '.join(str(error).split())[:300] or type(error).__name__}"


def _refusal(error: Answered, host: str, what: str) -> str:
    if error.code == "GatedRepo":
        return f"{what} asks for an agreement first: accept it on {host}, then log in with `hf auth login`"
    if error.code in ("RevisionNotFound", "EntryNotFound"):
        return f"{what} is not on {host} any more: update Draftglass"
    if error.code == "RepoNotFound" or error.status == 401:
        return f"{what} is not on {host}, or not for everybody: log in with `hf auth login` if you may see it"
    return f"{host} answered {error.status} for {what}: try again later"
