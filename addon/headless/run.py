"""The run itself: shots through the live loop, each until it has its picture. No bpy, no sockets of its own."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..live import LiveLoop, Want, build_request
from ..problems import LiveState
from ..problems.words import sentence
from ..wire import Control, Picture, Style
from .arguments import Options
from .errors import HeadlessError
from .plan import Shot

HEARTBEAT = 0.001
"""Seconds between two polls of the loop, as far as the system's sleep can hold it."""
WAYS = ("wire", "reply", "display")
"""Stages that the loop measures."""
RECONNECT_SECONDS = 20.0
"""How long a lost connection may take to come back before the run is given up."""
PACING = (
    "just in time, as in Blender: at most two frames under way, the second captured when the engine is about to "
    "finish the first; one view after the other, each shown once, so a view that the server dropped is captured anew"
)


class TimedDraft(Protocol):
    """What a capture gives, with the time that it took: ``addon.blender.capture.draft.Draft``."""

    image: NDArray[np.uint8]
    inverse_depth: NDArray[np.uint16] | None
    near: float
    view: tuple[tuple[float, ...], ...]
    projection: tuple[tuple[float, ...], ...]
    draw_ms: float
    read_ms: float
    ids: NDArray[np.uint16] | None
    normals: NDArray[np.uint8] | None
    objects: NDArray[np.void]


@dataclass(eq=False)
class ShotResult:
    """A shot with its draft and its picture, uint8 H x W x 3 each, and the milliseconds of its way by stage.

    ``behind``: the next view was just being drawn, so the picture may have waited for Blender's own drawing of that.
    ``planes``: the whole draft, where its planes are to be written.
    """

    shot: Shot
    draft: NDArray[np.uint8]
    picture: NDArray[np.uint8]
    times: dict[str, float]
    behind: bool = False
    planes: TimedDraft | None = None


@dataclass
class Outcome:
    """What a run gave. ``seconds``: from the first capture to the last picture shown."""

    shown: list[ShotResult] = field(default_factory=list)
    seconds: float = 0.0
    sent: int = 0
    dropped: int = 0
    model: str = ""
    control: str = ""
    """The file by which the pictures follow depth, "" where they do not."""
    server: str = ""
    bytes_sent: int = 0
    bytes_received: int = 0
    reconnections: int = 0
    keep: Callable[[ShotResult], None] | None = None
    """Told of each picture as it comes."""


@dataclass
class _UnderWay:
    shot: Shot
    draft: TimedDraft
    asked: float
    captured: float


def wait_until_live(
    loop: LiveLoop,
    own: Callable[[], None],
    progress: Callable[[float], None],
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Poll ``loop`` until its server's model is ready. Raises HeadlessError when that will not come by itself.

    ``own`` raises when a server of our own has ended. ``progress`` is told the percentage loaded.
    """
    while loop.state is not LiveState.LIVE:
        loop.poll(None)
        own()
        hosts = len(loop.address.hosts())  # localhost has two addresses, tried in turn
        tried = hosts == 1 or loop.statistics.attempts > hosts
        if loop.state is LiveState.FAILED or (loop.state is LiveState.WAITING and tried):
            raise HeadlessError(_why_not(loop))
        if loop.state is LiveState.LOADING:
            progress(loop.percent)
        sleep(loop.pause)


class Run:
    """Feeds ``shots`` to ``loop`` one after the other; ``capture`` draws one, ``show`` displays a picture."""

    def __init__(
        self,
        loop: LiveLoop,
        shots: Sequence[Shot],
        options: Options,
        capture: Callable[[Shot], TimedDraft],
        show: Callable[[NDArray[np.uint8]], None],
        outcome: Outcome,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """``loop`` is live, its settle frames switched off; ``clock`` is the loop's own.

        ``outcome`` is filled as the run goes on, so that it has what was made even where that breaks off.
        """
        self._loop, self._options, self._capture, self._show, self._clock = loop, options, capture, show, clock
        self._waiting = deque(shots)
        self._under_way: dict[int, _UnderWay] = {}
        self._lost = loop.statistics.lost
        self._failures = loop.statistics.failures
        self._forgotten = 0
        self._has_drawn = False
        self._began: float | None = None
        self._away: float | None = None
        self.outcome = outcome

    def finish(
        self, own: Callable[[], None], progress: Callable[[int], None], sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Go on until every shot has its picture. Raises HeadlessError. ``progress``: told how many have."""
        while self._waiting or self._under_way:
            if not self.beat():
                sleep(HEARTBEAT)
            own()
            progress(len(self.outcome.shown))
        statistics, outcome = self._loop.statistics, self.outcome
        outcome.sent, outcome.dropped = statistics.frames_sent, statistics.dropped
        outcome.bytes_sent, outcome.bytes_received = statistics.bytes_sent, statistics.bytes_received
        outcome.model, outcome.control, outcome.server = self._loop.model, self._loop.control, self._loop.server
        outcome.shown.sort(key=lambda shown: shown.shot.index)

    def beat(self) -> bool:
        """One heartbeat. Returns whether anything was done."""
        # Each shot is a view of its own, one that is drawn anew too: the key changes as soon as one is on its way.
        # Steady, each builds on the one before it, so that the same film comes out every time: one after the other.
        alone = self._options.steady > 0 and bool(self._under_way)
        key = self._loop.statistics.frames_sent if self._waiting else None
        want = self._loop.poll(key, can_capture=not alone)
        asked = self._clock()
        self._check(asked)
        picture = self._loop.take_picture()
        if picture is not None:
            self._take(picture)
        if want is not None:
            self._send(want, asked if picture is None else self._clock())
        self._has_drawn = want is not None
        self._take_back()
        return want is not None or picture is not None

    def _send(self, want: Want, asked: float) -> None:
        shot = self._waiting.popleft()
        if self._began is None:
            self._began = asked
        draft = self._capture(shot)
        options = self._options
        controls = (Control("depth", options.depth_weight),) if options.depth_weight > 0 else ()
        style = Style(
            shot.prompt,
            strength=options.strength,
            steps=options.steps,
            seed=options.seed,
            width=options.size,
            height=options.size,
            controls=controls,
            steady=options.steady,
            sampler=options.sampler,
            eta=options.eta,
        )
        after = None if shot.cut else self._loop.newest
        request = build_request(want.id, draft, style, captured=self._clock(), after=after)
        captured = self._clock()
        self._loop.send(request)
        self._under_way[want.id] = _UnderWay(shot, draft, asked, captured)

    def _take(self, picture: Picture) -> None:
        frame = self._under_way.pop(picture.id, None)
        if frame is None:
            return
        self._show(picture.image)
        self._loop.shown()
        now = self._clock()
        ours = {
            "draw": frame.draft.draw_ms,
            "read": frame.draft.read_ms,
            "capture": (frame.captured - frame.asked) * 1e3,
            "queue": picture.timings.get("queue", 0.0),
            "engine": picture.timings.get("engine", 0.0),
            "whole": (now - frame.asked) * 1e3,
        }
        ours["overhead"] = ours["whole"] - ours["draw"] - ours["queue"] - ours["engine"]
        ways = {name: self._loop.statistics.newest[name] for name in WAYS if name in self._loop.statistics.newest}
        times = {**picture.timings, **ways, **ours}
        planes = frame.draft if self._options.planes else None
        shown = ShotResult(frame.shot, frame.draft.image, np.array(picture.image), times, self._has_drawn, planes)
        self.outcome.shown.append(shown)
        if self.outcome.keep is not None:
            self.outcome.keep(shown)
        assert self._began is not None
        self.outcome.seconds = now - self._began
        # The server answers in order: what was sent before and has no picture by now was dropped.
        self._again([number for number in self._under_way if number < picture.id])

    def _take_back(self) -> None:
        """Put the shots back whose frames nobody will answer any more."""
        statistics = self._loop.statistics
        answered = statistics.pictures + statistics.dropped + statistics.failures
        if statistics.lost != self._lost:
            self._lost = statistics.lost
            self._forgotten = statistics.frames_sent - answered
            self.outcome.reconnections += 1
        if answered + self._forgotten >= statistics.frames_sent:
            self._again(list(self._under_way))

    def _again(self, numbers: list[int]) -> None:
        for number in sorted(numbers, reverse=True):
            self._waiting.appendleft(self._under_way.pop(number).shot)

    def _check(self, now: float) -> None:
        if self._loop.statistics.failures != self._failures and self._loop.last_failure is not None:
            raise HeadlessError(sentence(self._loop.last_failure))
        if self._loop.state is LiveState.FAILED:
            raise HeadlessError(_why_not(self._loop))
        self._away = None if self._loop.state is LiveState.LIVE else self._away or now
        if self._away is not None and now - self._away > RECONNECT_SECONDS:
            raise HeadlessError(_why_not(self._loop))


def _why_not(loop: LiveLoop) -> str:
    """Why there are no pictures, without the live loop's promise to try again, which a headless run does not keep."""
    return sentence(loop.problem or loop.report)
