"""One picture for one draft, by the same loop as every other run. No bpy."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...live import LiveLoop
from ..arguments import Options
from ..plan import Shot
from ..run import Outcome, Run


class Painter:
    """Paints the drafts of ``options``' prompt through ``loop``, which is live. ``outcome`` gets all that is made."""

    def __init__(
        self,
        loop: LiveLoop,
        options: Options,
        show: Callable[[NDArray[np.uint8]], None],
        check: Callable[[], None],
        outcome: Outcome,
    ) -> None:
        self._loop, self._options, self._show, self._check = loop, options, show, check
        self._outcome = outcome

    def paint(self, number: int, draft: Any) -> NDArray[np.uint8]:
        """The picture (uint8, H x W x 3) of view ``number``. Raises HeadlessError."""
        began = time.perf_counter()
        before = self._outcome.seconds
        shot = Shot(number, self._options.prompts[0], 0)
        run = Run(self._loop, [shot], self._options, lambda _: draft, self._show, self._outcome)
        run.finish(self._check, lambda _: None)
        self._outcome.seconds = before + time.perf_counter() - began
        made = next(one for one in self._outcome.shown if one.shot is shot)
        drawn = draft.draw_ms + draft.read_ms  # before the run: the same stages as in every other report
        made.times["capture"] += drawn
        made.times["whole"] += drawn
        made.times["overhead"] += drawn
        return made.picture
