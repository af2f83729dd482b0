"""From the viewport to a request: captured, compared with the last one, kept until it is answered. Imports bpy."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Hashable
from dataclasses import replace

from ...live import Want
from ...live.requests import build_request, planes_read
from ...live.shown import Origin
from ...problems import Problem
from ...problems.viewport import BadSettings, CaptureFailed, EngineNotCaptured, ViewTooNarrow
from ...wire import ProtocolError, Request, Style
from ..properties import style_of
from . import changes
from .draft import Draft
from .framing import projection_of, size_of
from .offscreen import Capturer, OnlyInViewport, TooNarrow, ensure_gpu
from .origin import origin_of
from .view import View
from .viewports import Viewport

Styles = tuple[Style, Style]
"""How a view is painted while it changes, and at rest."""


CANNOT_CAPTURE = (ProtocolError, TooNarrow, OnlyInViewport, RuntimeError, SystemError, ValueError, ArithmeticError)
"""What capturing a view and building its request may raise."""


def why_not_captured(error: Exception) -> Problem:
    """One of ``CANNOT_CAPTURE`` as a person is told of it."""
    if isinstance(error, ProtocolError):
        return BadSettings(str(error))
    if isinstance(error, TooNarrow):
        return ViewTooNarrow(*error.size)
    if isinstance(error, OnlyInViewport):
        return EngineNotCaptured(error.engine)
    return CaptureFailed(str(error))


class Drafts:
    """What one live session draws and sends."""

    def __init__(self, remember: Callable[[View, Draft, float], Draft | None] = lambda *_: None) -> None:
        """``remember``: gives the draft of a view over what is stuck to the scene, see ``live.memory``, or None."""
        self._remember = remember
        self.trouble: Problem | None = None
        """Why the view as it is now gives no frame."""
        self.behind = False
        """Whether the view has changed since the last frame sent."""
        self.took: dict[str, float] = {}
        """Milliseconds that the last capture took: ``draw``, Blender's own drawing, and ``read``."""
        self.drawn = float("-inf")
        """When the view was captured last, by ``time.perf_counter()``."""
        self.asked: dict[int, tuple[Request, Origin]] = {}
        """What the frames under way are made from."""
        self._styles: Styles | None = None  # of the view as it was seen last
        # One for each size that a picture may have, while the view changes and at rest: setting one up costs much.
        self._capturers = {False: Capturer(), True: Capturer()}
        self._no_style = False  # whether the settings make no request, and trouble says why
        self._sent: tuple[Draft, Styles, Hashable] | None = None  # the last frame sent, and its key
        self._same: tuple[Hashable, Hashable] | None = None  # a key whose capture equals that of an older key

    def see(self, viewport: Viewport) -> Hashable | None:
        """What the picture depends on; None where the settings make no request, which ``trouble`` says then."""
        try:
            self._styles, view = _styles(viewport), changes.view_key(viewport)
        except (ProtocolError, ValueError) as error:  # a text that Blender has cut within a letter is one, too
            self.trouble, self._no_style = BadSettings(str(error)), True
            return None
        if self._no_style:
            self.trouble, self._no_style = None, False
        key: Hashable = (view, self._styles)
        if self._same is not None and self._same[0] == key:
            key = self._same[1]
        self.behind = self._sent is not None and key != self._sent[2]
        if self._sent is not None and not self.behind:
            self.trouble = None  # what could not be sent is not to be seen any more
        return key

    def request(self, want: Want, viewport: Viewport, key: Hashable, after: int | None) -> Request | None:
        """Capture the view that was just seen, as the request to be sent; ``after``: the picture that it builds on.

        None where there is nothing to send: it looks as it did in the last frame sent and is taken for that one, or
        could not be captured, which ``trouble`` says then.
        """
        try:
            return self._request(want, viewport, key, after)
        except CANNOT_CAPTURE as error:
            self.trouble = why_not_captured(error)
        return None

    def _request(self, want: Want, viewport: Viewport, key: Hashable, after: int | None) -> Request | None:
        styles = self._styles
        assert styles is not None, "see() has looked"
        style = styles[want.settle]
        ensure_gpu()
        # What was changed in this very turn, as by another add-on's timer, is taken in first: a draw off the screen
        # crashes over what was deleted. Costs microseconds and calls no handlers where there is nothing.
        viewport.view_layer.update()
        self.drawn = time.perf_counter()
        capturer = self._capturers[(style.width, style.height) != (styles[0].width, styles[0].height)]
        planes = planes_read(style)
        ids, normals = "ids" in planes, "normals" in planes
        depth = ids or normals or "inverse_depth" in planes
        view = _view(viewport, want.settle)
        draft = capturer.draw(view, style.width, style.height, depth, ids, normals)
        self.took = {"draw": draft.draw_ms, "read": draft.read_ms}
        if not want.must_send and self._sent is not None and styles == self._sent[1] and draft.is_like(self._sent[0]):
            self._same, self.behind, self.trouble = (key, self._sent[2]), False, None
            return None
        settle_steps = style.steps if want.settle else None
        captured = time.perf_counter()
        over = self._remember(view, draft, style.steady) if style.steady > 0 else None
        if over is not None:  # no need for the pictures before it
            style, after = replace(style, steady=0.0), None
        sent = over or draft
        request = build_request(want.id, sent, style, settle_steps=settle_steps, captured=captured, after=after)
        self.asked[want.id] = request, origin_of(viewport)
        if want.settle and self._sent is not None and self._sent[2] == key:
            draft = self._sent[0]  # the same view at the size that the next one is compared at
        self._sent, self._same, self.trouble = (draft, styles, key), None, None
        return request

    @property
    def newest(self) -> Request | None:
        """The newest request whose picture is still to come."""
        return self.asked[max(self.asked)][0] if self.asked else None

    def forget_all_but(self, numbers: Collection[int]) -> None:
        """Let go of frames that were answered, refused or dropped: each holds its planes."""
        self.asked = {number: kept for number, kept in self.asked.items() if number in numbers}

    def free(self) -> None:
        """Give back the GPU memory and the spaces drawn from; the next draw takes them again."""
        for capturer in self._capturers.values():
            capturer.free()


def _styles(viewport: Viewport) -> Styles:
    settings = viewport.scene.draftglass
    live, rest = (style_of(settings, size_of(viewport, at_rest)) for at_rest in (False, True))
    return live, replace(rest, steps=max(live.steps, settings.settle_steps))


def _view(viewport: Viewport, at_rest: bool) -> View:
    matrix, projection = viewport.view.view_matrix.copy(), projection_of(viewport, at_rest)
    return View(viewport.scene, viewport.view_layer, viewport.space, viewport.region, matrix, projection)
