"""Which windows and screens are shown, from heartbeat to heartbeat. Imports bpy."""

from __future__ import annotations

import bpy


class Windows:
    """What has changed since the last look; windows and screens are kept by address."""

    def __init__(self) -> None:
        self._windows: tuple[int, ...] = ()
        self._screens: tuple[int, ...] = ()
        self._closed = False

    def changed(self) -> bool:
        """Whether a window came or went: then nothing may be drawn before the next heartbeat.

        A closed window takes its GPU context with it, and until another one is drawn there may be none at all. All
        areas are asked to draw themselves, so that there is one.
        """
        windows = _shown()
        before, self._windows = self._windows, tuple(window.as_pointer() for window in windows)
        if not before or before == self._windows:
            return False
        self._closed = True
        for window in windows:
            for area in window.screen.areas:
                area.tag_redraw()
        return True

    def take_closed(self) -> bool:
        """Whether what was made in a GPU context must be made anew, as its window may be gone; once true, then not."""
        closed, self._closed = self._closed, False
        return closed

    def switched(self) -> bool:
        """Whether other screens are shown than at the last call."""
        before, self._screens = self._screens, tuple(window.screen.as_pointer() for window in _shown())
        return before != self._screens


def _shown() -> list[bpy.types.Window]:
    manager = bpy.context.window_manager
    return [] if manager is None else list(manager.windows)
