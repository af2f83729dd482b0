"""Numbers, progress and marks over the picture, in the Image Editor and over the viewport's overlay. Imports bpy."""

from __future__ import annotations

import time
from typing import Any

import bpy

from ...live.hud_words import BAD, BUSY, CALM, OLD, Facts, Lag, Status, numbers, status
from ...live.shown import ShownPicture
from ...problems import LiveState
from ..capture.viewports import image_editors, redraw_panels
from ..live import switch as live
from . import overlay
from .drawing import AMBER, box, frame, text, width_of
from .live_image import is_ours

SIZE, MARGIN, GAP = 11.0, 10.0, 5.0
"""Of the text, the box's place and its lines, in units of Blender's interface."""
COLOURS = {
    CALM: (0.8, 0.8, 0.8, 1.0),
    BUSY: (0.55, 0.8, 1.0, 1.0),
    OLD: AMBER,
    BAD: (1.0, 0.4, 0.35, 1.0),
}
BACKGROUND = (0.0, 0.0, 0.0, 0.8)
NUMBERS_SECONDS = 0.3
"""Between two looks at the numbers: the medians of all stages cost more than all the rest here."""
MOVING_SECONDS = 0.25
"""Between two redraws for the words alone while the view changes: each is taken from the viewport."""

_handler: Any = None
_lag = Lag()
_arrived = False
_settled = False
_facts = Facts()
_said: tuple[Status, int] = (status(_facts), 0)
_looked = _redrawn = 0.0


def attach() -> None:
    """Listen to live."""
    live.on_picture.append(_on_picture)
    live.on_beat.append(_on_beat)
    overlay.above.append(_draw_numbers)


def detach() -> None:
    """Draw and listen no more."""
    _close()
    heard = (live.on_picture, _on_picture), (live.on_beat, _on_beat), (overlay.above, _draw_numbers)
    for callbacks, callback in heard:
        if callback in callbacks:
            callbacks.remove(callback)


def facts() -> Facts:
    """What was known at the last heartbeat."""
    return _facts


def _on_picture(shown: ShownPicture) -> None:
    global _arrived, _settled
    _arrived, _settled = True, shown.settled


def _on_beat() -> None:
    global _said, _handler, _redrawn
    if not live.is_running():
        _close()
        return
    if _handler is None:
        _handler = bpy.types.SpaceImageEditor.draw_handler_add(_draw, (), "WINDOW", "POST_PIXEL")
    _look()
    session = live.session()
    now = status(_facts), session.pictures_shown if session is not None else 0
    if now == _said:
        return
    picture, began = now[1] != _said[1], time.perf_counter()  # with a picture the editor is drawn anyway
    if not picture and session is not None and session.moving and began - _redrawn < MOVING_SECONDS:
        return
    if now[0].part != _said[0].part:
        redraw_panels()  # which show it too
    _said, _redrawn = now, began
    _redraw()


def _look() -> None:
    """Gather what there is to be said."""
    global _facts, _arrived, _looked
    session, loop, now = live.session(), live.loop(), time.perf_counter()
    if session is None or loop is None:
        _facts = Facts(live.state(), live.sentence())
        return
    request, progress = session.under_way, loop.progress
    settling = request is not None and request.settle
    behind = session.behind or (request is not None and not settling)
    old = _lag.see(now, live.state() is LiveState.LIVE and behind, _arrived)
    steps = request.style.steps if request is not None else 0
    known = request is not None and progress is not None and progress.id == request.frame.id
    fresh = _arrived or now - _looked >= NUMBERS_SECONDS
    if fresh:
        _looked = now
    _facts = Facts(
        state=live.state(),
        sentence=live.sentence(),
        model=loop.model,
        fps=loop.statistics.fps if _arrived else _facts.fps,
        dropped=loop.statistics.dropped,
        stages=loop.statistics.stages() if fresh and _arrived else _facts.stages,
        step=progress.step if known and progress is not None else 0,
        steps=steps,
        settling=settling,
        settled=_settled,
        old=old,
        stuck=session.stuck,
    )
    overlay.old, _arrived = old, False


def _redraw() -> None:
    for _window, area in image_editors():
        image = area.spaces.active.image
        if is_ours(image):
            area.tag_redraw()
    found = overlay.followed()
    settings = overlay.settings_of(found[0]) if found is not None else None
    if settings is not None and settings.show:
        overlay.redraw()


def _close() -> None:
    global _handler, _facts, _settled, _looked
    if _handler is not None:
        _redraw()
        bpy.types.SpaceImageEditor.draw_handler_remove(_handler, "WINDOW")
    _handler, _facts, _settled, _looked = None, Facts(), False, 0.0


def _draw() -> None:
    context = bpy.context
    image = getattr(context.space_data, "image", None)
    if not is_ours(image):
        return
    if _facts.old:  # in the viewport the overlay marks itself
        to_region = context.region.view2d.view_to_region
        (left, bottom), (right, top) = to_region(0.0, 0.0, clip=False), to_region(1.0, 1.0, clip=False)
        frame(left, bottom, right, top, AMBER)
    _draw_numbers(context)


def _draw_numbers(context: bpy.types.Context) -> None:
    settings = overlay.settings_of(context.window)
    said = status(_facts)
    if settings is not None and settings.hud:
        _draw_box(context, said, numbers(_facts))
    elif said.tone == BAD:  # a picture that nothing will come after is not left without a word
        _draw_box(context, said, [])


def _draw_box(context: bpy.types.Context, said: Status, told: list[str]) -> None:
    scale = context.preferences.system.ui_scale
    size, margin, gap = SIZE * scale, MARGIN * scale, GAP * scale
    free = overlay.free_span(context)
    left = free[0] + margin
    room = free[1] - left - margin
    lines = [(_shortened(words, size, room - 2 * gap), tone) for words, tone in _lines(said, told)]
    width = max(width_of(words, size) for words, _ in lines) + 2 * gap
    bar = gap if said.part is not None else 0.0
    height = len(lines) * (size + gap) + gap + bar
    box(left, margin, left + width, margin + height, BACKGROUND)
    for number, (words, tone) in enumerate(reversed(lines)):
        text(words, left + gap, margin + gap + bar + number * (size + gap), size, COLOURS[tone])
    if said.part is not None:
        box(left, margin, left + width, margin + bar * 0.6, (1, 1, 1, 0.2))
        box(left, margin, left + width * said.part, margin + bar * 0.6, COLOURS[said.tone])


def _lines(said: Status, told: list[str]) -> list[tuple[str, str]]:
    return [*((words, CALM) for words in told), (said.words, said.tone)]


def _shortened(words: str, size: float, room: float) -> str:
    """As much of ``words`` as there is room for."""
    if width_of(words, size) <= room:
        return words
    while words and width_of(words + "...", size) > room:
        words = words[:-1]
    return words + "..."
