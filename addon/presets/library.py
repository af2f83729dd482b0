"""The styles there are: those that come with the extension, and the user's own folder of files. Stdlib only; no bpy."""

from __future__ import annotations

import os
import re
import tempfile
import unicodedata
from dataclasses import dataclass, replace
from pathlib import Path

from ..untrusted.regular import read_regular
from .errors import PresetError
from .preset import MAX_BYTES, Preset, read, write

SHIPPED = Path(__file__).with_name("styles")
SUFFIX = ".json"
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}


@dataclass(frozen=True)
class Listed:
    """A style of the library. ``own``: the user's, to be renamed and deleted; ``path``: its file."""

    preset: Preset
    path: Path
    own: bool

    @property
    def key(self) -> str:
        """Unlike any other's, and the same as long as its file is."""
        return f"{'own' if self.own else 'shipped'}/{self.path.stem}"


class Library:
    """Reads the folders anew at each :meth:`refresh`. ``own`` need not be there before something is saved.

    ``problems``: a sentence for each file that is no style that can be used; such files are left alone.
    """

    def __init__(self, own: Path, shipped: Path = SHIPPED) -> None:
        self.own = own
        self.shipped = shipped
        self.styles: tuple[Listed, ...] = ()
        self.problems: tuple[str, ...] = ()
        self.refresh()

    def refresh(self) -> None:
        """Look at the folders again."""
        found: list[Listed] = []
        problems: list[str] = []
        for folder, own in ((self.own, True), (self.shipped, False)):
            listed = []
            for path in sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else ():
                try:
                    listed.append(Listed(read(_bytes(path), path.name), path, own))
                except PresetError as error:
                    problems.append(str(error))
            found += sorted(listed, key=lambda one: one.preset.name.casefold()) if own else listed
        self.styles, self.problems = tuple(found), tuple(problems)

    def get(self, key: str) -> Listed:
        """The style of that key. Raises PresetError."""
        for listed in self.styles:
            if listed.key == key:
                return listed
        raise PresetError(f"there is no style {key!r}")

    def named(self, name: str) -> Listed:
        """The style of that name, whatever its case; the user's own before one that came along. Raises PresetError."""
        wanted = " ".join(name.split()).casefold()
        for listed in self.styles:
            if listed.preset.name.casefold() == wanted:
                return listed
        known = ", ".join(sorted({listed.preset.name for listed in self.styles})) or "none"
        raise PresetError(f"there is no style {name!r}; there are: {known}")

    def save(self, preset: Preset, over: bool = False) -> Listed:
        """Store ``preset`` among the user's own; ``over`` replaces one of that name. Raises PresetError."""
        there = self._own_named(preset.name)
        if there is not None and not over:
            raise PresetError(f"there is a style {preset.name!r} already: take another name, or replace it")
        path = there.path if there is not None else self._free_path(preset.name)
        self._write(path, preset)
        return self._after(path)

    def rename(self, key: str, name: str) -> Listed:
        """Give one of the user's own another name; its file follows. Raises PresetError."""
        listed = self._own(key, "renamed")
        renamed = replace(listed.preset, name=name)
        there = self._own_named(renamed.name)
        if there is not None and there.key != key:
            raise PresetError(f"there is a style {renamed.name!r} already: take another name")
        path = listed.path if slug(renamed.name) == listed.path.stem else self._free_path(renamed.name)
        self._write(path, renamed)
        if path != listed.path:
            self._unlink(listed.path)
        return self._after(path)

    def delete(self, key: str) -> None:
        """Delete one of the user's own, with its file. Raises PresetError."""
        self._unlink(self._own(key, "deleted").path)
        self.refresh()

    def import_file(self, path: Path) -> Listed:
        """Take a style that somebody shared among the user's own, under a name that is free. Raises PresetError."""
        preset = read(_bytes(path), path.name)
        name, number = preset.name, 2
        while self._own_named(name) is not None:
            name, number = f"{preset.name[:50]} {number}", number + 1
        return self.save(replace(preset, name=name))

    def export(self, key: str, path: Path) -> None:
        """Write a style to ``path``, to be shared. Raises PresetError."""
        self._write(path, self.get(key).preset)

    def _own(self, key: str, what: str) -> Listed:
        listed = self.get(key)
        if not listed.own:
            raise PresetError(
                f"{listed.preset.name!r} came with Draftglass and can't be {what}: save it anew to change it"
            )
        return listed

    def _own_named(self, name: str) -> Listed | None:
        wanted = name.casefold()
        return next((one for one in self.styles if one.own and one.preset.name.casefold() == wanted), None)

    def _free_path(self, name: str) -> Path:
        stem, number = slug(name), 2
        path = self.own / f"{stem}{SUFFIX}"
        while path.exists():
            path, number = self.own / f"{stem}_{number}{SUFFIX}", number + 1
        return path

    def _write(self, path: Path, preset: Preset) -> None:
        """All of it or nothing: a file that is half written is never under its name."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, half = tempfile.mkstemp(dir=path.parent, prefix=".style_")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(write(preset))
                os.replace(half, path)
            except OSError:
                os.unlink(half)
                raise
        except OSError as error:
            raise PresetError(f"the style can't be written to {path}: {error.strerror or error}") from None

    def _unlink(self, path: Path) -> None:
        try:
            path.unlink()
        except OSError as error:
            raise PresetError(f"{path} can't be deleted: {error.strerror or error}") from None

    def _after(self, path: Path) -> Listed:
        self.refresh()
        return next(listed for listed in self.styles if listed.path == path)


def slug(name: str) -> str:
    """``name`` as a file's: letters and digits of any script, joined by underscores."""
    words = re.findall(r"\w+", unicodedata.normalize("NFC", name).replace("_", " ").casefold())
    stem = "_".join(words)[:40].strip("_") or "style"
    return f"{stem}_" if stem in _RESERVED else stem


def _bytes(path: Path) -> bytes:
    try:
        return read_regular(path, MAX_BYTES)
    except OSError as error:
        raise PresetError(f"{path} can't be read: {error.strerror or error}") from None
