"""Get, check and remove a preset. Plain calls that report as they go; no torch, no sockets, no threads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from . import hub
from .hub import HubError
from .presets import GB, Preset
from .records import Pulled, Records

Report = Callable[[int, int, str], None]
"""Gets the bytes done, the bytes in all, and words."""


@dataclass(frozen=True)
class Outcome:
    """How a task ended well: a sentence, and the bytes that it fetched or gave free."""

    sentence: str
    size: int = 0


def pull(preset: Preset, records: Records, report: Report, list_files: hub.ListFiles = hub.list_files) -> Outcome:
    """Download what is missing of ``preset`` and check it. Raises HubError.

    What came before a failure, or before this process was killed, is kept, and is not fetched again. Where the pull is
    interrupted (KeyboardInterrupt), what it has fetched goes too: a model is there as a whole or not at all.
    """
    if not preset.parts:
        return Outcome(f"{preset.name} comes with Draftglass: there is nothing to download")
    report(0, 0, f"asking the hub about {preset.title}")
    files = _listed(preset, records, list_files)
    before = {(file.repo, file.path) for file in records.read(preset.name) if file.fetched}
    here = {(file.repo, file.path) for file in files if hub.local_path(file) is not None}
    # written first, so that what comes counts as fetched for this model however this ends
    files = [replace(f, fetched=(f.repo, f.path) in before or (f.repo, f.path) not in here) for f in files]
    missing = [file for file in files if (file.repo, file.path) not in here]
    _check_space(preset, missing)
    records.write(preset.name, tuple(files))
    total, done = sum(file.size for file in files), 0
    try:
        for file in files:
            words = f"{file.repo}: {file.path}"
            if file in missing:
                came = _Counter(done, file.size, total, words, report)
                if hub.fetch(file, came, came.checked).stat().st_size != file.size:
                    hub.delete(file)
                    raise HubError(f"{words} came with another size than announced: pull again")
            done += file.size
            report(done, total, words)
    except KeyboardInterrupt:
        for file in missing:
            hub.delete(file)
        if not any(file.fetched for file in files if file not in missing):
            records.remove(preset.name)
        raise
    size = sum(file.size for file in missing)
    return Outcome(f"{preset.title} is ready" + ("" if missing else "; everything was here already"), size)


def _check_space(preset: Preset, missing: list[Pulled]) -> None:
    left = sum(file.size for file in missing)
    left -= sum(path.stat().st_size for file in missing if file.sha256 and (path := hub.partial_path(file)).exists())
    if missing and left > (free := hub.free_bytes()):
        raise HubError(
            f"{preset.name} needs {left / GB:.1f} GB more, but the disk of the hub's cache has {free / GB:.1f} GB "
            "free: make room, or set HF_HOME to a folder on another disk"
        )


def verify(preset: Preset, records: Records, report: Report) -> Outcome:
    """Compare the files of ``preset`` with their checksums; those that differ are deleted. Raises HubError then."""
    if not preset.parts:
        return Outcome(f"{preset.name} comes with Draftglass: there is nothing to check")
    files = records.read(preset.name)
    if not files:
        raise HubError(f"{preset.name} is not on this machine: pull it first")
    total, done = sum(file.size for file in files), 0
    bad: list[str] = []
    for file in files:
        words = f"{file.repo}: {file.path}"
        path = hub.local_path(file)
        came = _Counter(done, file.size, total, words, report)
        if path is None:
            bad.append(f"{file.path} is missing")
        elif file.sha256 and hub.checksum(path, came) != file.sha256:
            hub.delete(file)
            bad.append(f"{file.path} was damaged")
        done += file.size
        report(done, total, words)
    if bad:
        raise HubError(f"{preset.name} is not whole: {', '.join(bad)}; pull it again")
    return Outcome(f"{preset.title} is whole: {len(files)} files as their publishers made them", total)


def remove(preset: Preset, records: Records) -> Outcome:
    """Delete what was fetched for ``preset`` and no other model needs. Raises HubError where there is nothing."""
    files = records.read(preset.name)
    if not preset.parts:
        raise HubError(f"{preset.name} comes with Draftglass and cannot be removed")
    if not files:
        raise HubError(f"{preset.name} is not on this machine: there is nothing to remove")
    needed = {(f.repo, f.path) for name in records.names() if name != preset.name for f in records.read(name)}
    size = sum(hub.delete(file) for file in files if file.fetched and (file.repo, file.path) not in needed)
    records.remove(preset.name)
    return Outcome(f"{preset.title} is removed", size)


def is_here(preset: Preset, records: Records) -> bool:
    """Whether every file of ``preset`` lies in the cache, whole."""
    files = records.read(preset.name)
    return not preset.parts or (bool(files) and all(hub.local_path(file) is not None for file in files))


def _listed(preset: Preset, records: Records, list_files: hub.ListFiles) -> list[Pulled]:
    """The files of ``preset``, from the hub; offline from the record, when all of them are here."""
    try:
        return [file for part in preset.parts for file in list_files(part)]
    except HubError:
        known = records.read(preset.name)
        missing = [file for file in known if hub.local_path(file) is None]
        if known and not missing:
            return list(known)
        if missing:
            names = ", ".join(file.path for file in missing[:3]) + (" and others" if len(missing) > 3 else "")
            raise HubError(
                f"{preset.name} lacks {len(missing)} of {len(known)} files ({names}), and the hub cannot be reached "
                "or downloads are off: go online and pull again"
            ) from None
        raise


class _Counter:
    """Reports the bytes of one file; never more than it has, however often a connection began again."""

    def __init__(self, done: int, size: int, total: int, words: str, report: Report) -> None:
        self._done, self._size, self._total, self._words, self._report = done, size, total, words, report
        self._came = 0

    def __call__(self, count: int) -> None:
        self._came = min(max(self._came + count, 0), self._size)
        self._report(self._done + self._came, self._total, self._words)

    def checked(self, _: int) -> None:
        self._report(self._done + self._size, self._total, f"checking {self._words}")
