"""Pictures for what waits for none: a connection of its own to live's server, polled. Imports no bpy."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...live import Address, LiveLoop, build_request
from ...problems import LiveState, Problem
from ...problems.errors import ProblemError
from ...version import VERSION
from ...wire import Style
from ..capture.draft import Draft

Steps = Generator[Draft | None, NDArray[np.uint8] | None, None]
"""Yields drafts, and None between pieces of work of its own; is sent the pictures, and None."""


class NoPictureMade(ProblemError):
    """The server can't be reached, or made no picture."""


class Renderer:
    """Drives ``steps`` with pictures from the server at ``address``, in the style of ``style``."""

    def __init__(self, steps: Steps, address: Address, style: Style) -> None:
        self._steps, self._style = steps, style
        self._loop = LiveLoop(address, client=f"draftglass-stick {VERSION}", settle=False)
        self._draft: Draft | None = None
        self._number = 0
        self._begun = False

    def beat(self) -> bool:
        """Go on by one piece of work, if there is one to be done now; whether there may be more.

        Raises NoPictureMade, and what ``steps`` raises.
        """
        if self._draft is None:
            return self._step(None)
        picture = self._poll(self._draft)
        return True if picture is None else self._step(picture)

    @property
    def pause(self) -> float:
        """Seconds until the next beat is worth while."""
        return self._loop.pause if self._draft is not None else 0.0

    def close(self) -> None:
        """End at once."""
        self._steps.close()
        self._loop.stop()

    def _step(self, picture: NDArray[np.uint8] | None) -> bool:
        try:
            self._draft = self._steps.send(picture) if self._begun else next(self._steps)
        except StopIteration:
            return False
        self._begun = True
        self._number += self._draft is not None
        return True

    def _poll(self, draft: Draft) -> NDArray[np.uint8] | None:
        loop = self._loop
        failures, dropped = loop.statistics.failures, loop.statistics.dropped
        want = loop.poll(self._number, can_capture=not loop.under_way)
        if want is not None:
            height, width = draft.image.shape[:2]
            style = replace(self._style, width=width, height=height, steady=0.0)
            loop.send(build_request(want.id, draft, style))
        problem: Problem | None = loop.last_failure if loop.statistics.failures > failures else None
        if problem is None and loop.state in (LiveState.FAILED, LiveState.WAITING):
            problem = loop.problem
        if problem is not None:
            raise NoPictureMade(problem)
        if loop.statistics.dropped > dropped:
            self._number += 1  # another key, so that it is sent again
        picture = loop.take_picture()
        return None if picture is None else picture.image
