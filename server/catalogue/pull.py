"""Get, check and remove a preset. Plain calls that report as they go; no torch, no sockets, no threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from . import cache, hub
from .cache import HubError
from .presets import GB, ModelPreset
from .records import Pulled, Records

Report = Callable[[int, int, str], None]
"""Gets the bytes done, the bytes in all, and words."""


@dataclass(frozen=True)
class Outcome:
    """How a task ended well: a sentence, and the bytes that it fetched or gave free."""

    sentence: str
    size: int = 0


def pull(preset: ModelPreset, records: Records, report: Report, list_files: hub.ListFiles = hub.list_files) -> Outcome:
    """Download what is missing of ``preset`` and check it. Raises HubError.

    What came before a failure, or before this process was killed, is kept, and is not fetched again. Where the pull is
    interrupted (KeyboardInterrupt), what was fetched for it goes too: a model is there as a whole or not at all. Of
    one that was whole before, and lacked something, the rest stays. While another program pulls it, this waits.
    """
    if not preset.parts:
        return Outcome(f"{preset.name} comes with Draftglass: there is nothing to download")
    with cache.alone(preset.name, lambda: report(0, 0, f"another program is at work on {preset.name}: waiting for it")):
        known, whole = records.read(preset.name), records.was_whole(preset.name)
        before = {_key(file) for file in known if file.fetched}
        fetched: list[Pulled] = []
        try:
            report(0, 0, f"asking the hub about {preset.title}")
            files = _listed(preset, records, list_files)
            missing = [file for file in files if not _is_here(file, known, report)]
            lacks = {_key(file) for file in missing}
            _check_space(preset, missing)
            # written first, so that what comes counts as fetched for this model however this ends
            claimed = tuple(replace(file, fetched=_key(file) in before | lacks) for file in files)
            records.write(preset.name, claimed, whole)
            _fetch(files, missing, fetched, report)
        except KeyboardInterrupt:
            _release(fetched if whole else [*fetched, *(file for file in known if file.fetched)], preset.name, records)
            if whole:
                records.write(preset.name, known, whole)
            else:
                records.remove(preset.name)
            raise
        with _writing():
            # what another program has fetched meanwhile is not this model's to delete; what another model has left is
            left = {_key(file) for file in records.read(preset.name) if file.fetched} - lacks
            ours = before | left | {_key(file) for file in fetched}
            same = {(file.repo, file.digest) for file in known if file.fetched and file.digest}  # in another revision
            owned = (replace(f, fetched=_key(f) in ours or (f.repo, f.digest) in same) for f in files)
            records.write(preset.name, tuple(owned), whole=True)
        now = {_key(file) for file in files}
        # of a preset that names a newer revision now
        _release((file for file in known if file.fetched and _key(file) not in now), preset.name, records)
    words = f"{preset.title} is ready" + ("" if missing else "; everything was here already")
    return Outcome(words, sum(file.size for file in missing))


def _is_here(file: Pulled, known: tuple[Pulled, ...], report: Report) -> bool:
    """Whether ``file`` is in the cache; what is not ``known`` from an earlier pull is checked, and deleted if damaged.

    Another program may have fetched it, and believed whatever hub it asked.
    """
    path = cache.local_path(file)
    if path is None or any(_key(file) == _key(one) and file.digest == one.digest for one in known):
        return path is not None
    if cache.is_sound(file, path, lambda _: report(0, 0, f"checking {file.repo}: {file.path}")):
        return True
    cache.delete(file)
    return False


def _fetch(files: list[Pulled], missing: list[Pulled], fetched: list[Pulled], report: Report) -> None:
    """Fetch what is ``missing`` of ``files``, and note in ``fetched`` what came. Raises HubError."""
    total, done = sum(file.size for file in files), 0
    for file in files:
        words = f"{file.repo}: {file.path}"
        if file in missing:
            came = _Counter(done, file.size, total, words, report)
            if hub.fetch(file, came, came.checked):
                fetched.append(file)
        done += file.size
        report(done, total, words)
    if lost := next((file for file in files if cache.local_path(file) is None), None):
        raise HubError(f"{lost.repo}: {lost.path} was taken away meanwhile: pull again")


def _release(files: Iterable[Pulled], name: str, records: Records) -> int:
    """Delete ``files`` of the model ``name`` and return the bytes set free; what another needs is its own from now."""
    given: dict[Key, Pulled] = {_key(file): file for file in files}
    with _writing():
        for other in records.names():
            theirs = records.read(other) if other != name else ()
            if kept := {_key(file) for file in theirs} & given.keys():
                owned = tuple(replace(file, fetched=file.fetched or _key(file) in kept) for file in theirs)
                records.write(other, owned, records.was_whole(other))
                given = {key: file for key, file in given.items() if key not in kept}
    return sum(cache.delete(file) for file in given.values())


def _writing() -> AbstractContextManager[None]:
    """Held while a record is read and written anew: it may be of a model that another program is at work on."""
    return cache.alone("records", lambda: None)


def _check_space(preset: ModelPreset, missing: list[Pulled]) -> None:
    left = sum(file.size for file in missing)
    left -= sum(path.stat().st_size for file in missing if file.sha256 and (path := cache.partial_path(file)).exists())
    if missing and left > (free := cache.free_bytes()):
        raise HubError(
            f"{preset.name} needs {left / GB:.1f} GB more, but the disk of the hub's cache has {free / GB:.1f} GB "
            "free: make room, or set HF_HOME to a folder on another disk"
        )


def verify(preset: ModelPreset, records: Records, report: Report) -> Outcome:
    """Compare the files of ``preset`` with their checksums; those that differ are deleted. Raises HubError then."""
    if not preset.parts:
        return Outcome(f"{preset.name} comes with Draftglass: there is nothing to check")
    files = files_of(preset, records)
    if not files:
        raise HubError(f"{preset.name} is not on this machine: pull it first")
    total, done = sum(file.size for file in files), 0
    bad: list[str] = []
    with cache.alone(preset.name):
        for file in files:
            words = f"{file.repo}: {file.path}"
            path = cache.local_path(file)
            came = _Counter(done, file.size, total, words, report)
            if path is None:
                bad.append(f"{file.path} is missing or has another size")
            elif not cache.is_sound(file, path, came):
                cache.delete(file)
                bad.append(f"{file.path} was damaged")
            done += file.size
            report(done, total, words)
    if bad:
        raise HubError(f"{preset.name} is not whole: {', '.join(bad)}; pull it again")
    return Outcome(f"{preset.title} is whole: {len(files)} files as their publishers made them", total)


def remove(preset: ModelPreset, records: Records) -> Outcome:
    """Delete what was fetched for ``preset`` and no other model needs. Raises HubError where there is nothing."""
    if not preset.parts:
        raise HubError(f"{preset.name} comes with Draftglass and cannot be removed")
    files = records.read(preset.name)
    if not files and files_of(preset, records):
        raise HubError(f"{preset.name} was fetched by another program and is not removed here: use `hf cache rm`")
    if not files:
        raise HubError(f"{preset.name} is not on this machine: there is nothing to remove")
    with cache.alone(preset.name):
        size = _release((file for file in files if file.fetched), preset.name, records)
        records.remove(preset.name)
    return Outcome(f"{preset.title} is removed", size)


def files_of(preset: ModelPreset, records: Records) -> tuple[Pulled, ...]:
    """The files of ``preset``, as they were pulled, or as another program has left all of them in the cache."""
    if known := records.read(preset.name):
        return known
    parts = [cache.in_cache(part) for part in preset.parts]
    return tuple(file for part in parts for file in part) if all(parts) else ()


def is_here(preset: ModelPreset, records: Records) -> bool:
    """Whether every file of ``preset`` lies in the cache, whole."""
    files = files_of(preset, records) if preset.parts else ()
    return not preset.parts or (bool(files) and all(cache.local_path(file) is not None for file in files))


def _listed(preset: ModelPreset, records: Records, list_files: hub.ListFiles) -> list[Pulled]:
    """The files of ``preset``, from the hub; offline from the record, when all of them are here."""
    try:
        return [file for part in preset.parts for file in list_files(part)]
    except HubError:
        known = files_of(preset, records)
        missing = [file for file in known if cache.local_path(file) is None]
        if known and not missing:
            return list(known)
        if missing:
            names = ", ".join(file.path for file in missing[:3]) + (" and others" if len(missing) > 3 else "")
            raise HubError(
                f"{preset.name} lacks {len(missing)} of {len(known)} files ({names}), and the hub cannot be reached "
                "or downloads are off: go online and pull again"
            ) from None
        raise


Key = tuple[str, str, str]


def _key(file: Pulled) -> Key:
    return file.repo, file.revision, file.path


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
