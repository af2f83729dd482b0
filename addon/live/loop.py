"""The live loop: what to send when, and what came back. No bpy, no torch, no threads, nothing that waits: polled."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import replace

from ..problems import LiveState, Problem, Report
from ..problems.connection import NoAnswer, NotDraftglass
from ..problems.errors import NoConnection
from ..transport.address import Address
from ..transport.connection import PATIENCE
from ..transport.retry import LONGEST_PAUSE, SOUND_AFTER, Retry
from ..wire import Dropped, Failure, Message, ModelProgress, Models, Picture, Progress, Request, Status, Welcome
from ..wire.models import ModelMessage
from .budget import Budget
from .channel import Channel
from .model_wishes import ModelWishes
from .pace import Pace, Want
from .reports import Reports, problem_of
from .statistics import Statistics, Times

MOST_CREDITS = 4
"""Frames under way at most, whatever a server asks for: each takes memory until it is answered."""
_STATES = {"loading": LiveState.LOADING, "ready": LiveState.LIVE, "failed": LiveState.FAILED}


class LiveLoop:
    """Keeps a connection to a server and decides which frames to send over it.

    Call :meth:`poll` once a heartbeat, best every ``pause`` seconds, always from the same thread. Nothing here
    waits; a poll costs microseconds when idle and some milliseconds when a frame goes or a picture comes.

    ``address`` may be replaced at any time; the next attempt to connect uses it, and reads its token file anew.
    ``absent`` may be set while it is known that no server is there: none is looked for, and the next is at once.
    ``client`` names the add-on and its version. ``rest``: seconds of stillness before the settle frame;
    ``settle`` may be switched at any time. ``clock``: monotonic seconds. ``budget``: of the time that captures take.
    """

    def __init__(
        self,
        address: Address,
        client: str = "draftglass",
        clock: Callable[[], float] = time.perf_counter,
        rest: float = 0.3,
        settle: bool = True,
        budget: Budget | None = None,
    ) -> None:
        self.address = address
        self.settle, self.absent = settle, False
        self.statistics, self.state = Statistics(), LiveState.CONNECTING
        self.progress: Progress | None = None
        """How far the engine is with the frame under way."""
        self.newest: int | None = None
        """The id of the newest picture of this connection, on which a later one may build."""
        self.server = ""
        """Name and version of the server, once it has said so."""
        self.model = self.control = ""
        """The model in use, and the file by which its pictures follow depth, "" where they do not."""
        self._client = client
        self._wishes = ModelWishes()
        self._clock = clock
        self._pace = Pace(rest, budget)
        self._link: Channel | None = None
        self._welcome: Welcome | None = None
        self._reports = Reports()
        self._retry = Retry(clock())
        self._times: dict[int, Times] = {}
        self._picture: Picture | None = None

    def poll(self, key: Hashable, can_capture: bool = True) -> Want | None:
        """One heartbeat. ``key``: equal exactly while the picture would be the same; None when there is no view.

        Returns the frame to capture now and to give to :meth:`send`, or None, as always while it is not so that the
        caller ``can_capture``. A Want not sent before the next poll is void.
        """
        if self.state is LiveState.STOPPED:
            return None
        begun = self._clock()
        self.statistics.tick(begun)
        try:
            self._exchange(begun)
        except NoConnection as error:
            self._lose(error)
        now = self._clock()
        takes = self.state is LiveState.LIVE and self._link is not None and not self._link.measures
        want = self._pace.ask(now, key, self.settle, can_capture and takes)
        self.statistics.add("poll", (self._clock() - begun) * 1e3)
        return want

    def send(self, request: Request, took: Mapping[str, float] | None = None) -> None:
        """Send the Request captured for the Want just given; what the system does not take goes with later polls.

        ``took``: the caller's own stages of it, in milliseconds.
        After stop() nothing happens. Raises ValueError when no frame or another one is wanted.
        """
        if self.state is LiveState.STOPPED:
            return
        captured = self._clock()
        asked = self._pace.sent(captured, request.frame.id, request.settle)
        assert self._link is not None, "without one no frame is wanted"
        self._times[request.frame.id] = Times(asked, captured)
        for stage, milliseconds in (took or {}).items():
            self.statistics.add(stage, milliseconds)
        self._link.send_request(request)
        self.statistics.frames_sent += 1
        self.statistics.settle_sent += request.settle
        if not self._link.connection.pending:  # the system has the last byte of each
            self.statistics.left(self._times.values(), self._clock())

    def tell(self, message: ModelMessage) -> None:
        """Send a wish about models, at once or when connected; ``Upload`` and ``ListModels`` to each new server too."""
        self._wishes.tell(message, self._link.send if self._link is not None and self._welcome is not None else None)

    @property
    def models(self) -> Models | None:
        """The models that the server has or can get, once it has been asked by ``tell(ListModels())``."""
        return self._wishes.models

    @property
    def model_progress(self) -> Mapping[str, ModelProgress]:
        """The newest about each model that is or was being downloaded or checked, by its name."""
        return self._wishes.progress

    @property
    def model_failure(self) -> Problem | None:
        """Why the newest wish about models was refused."""
        return self._wishes.failure

    def take_picture(self) -> Picture | None:
        """Return the newest picture if it has not been taken yet. Never one older than one taken before."""
        picture, self._picture = self._picture, None
        return picture

    def shown(self) -> None:
        """Note that the picture taken last is on show; the server is told within a moment how long its way took."""
        if self._link is not None:
            self._link.shown()

    def stop(self) -> None:
        """End at once: the socket is closed, frames under way are forgotten. The loop cannot be started again."""
        self._drop_link()
        self._picture, self.state = None, LiveState.STOPPED

    @property
    def report(self) -> Report:
        """What there is to tell now: a problem, or what is going on."""
        is_near = self._link is not None and self._link.is_near
        silent_for = self.unanswered if self._reports.hangs(self.state, self.unanswered, is_near) else 0.0
        return self._reports.now(self.state, self.address.place, self._retry.seconds(self._clock()), silent_for)

    @property
    def problem(self) -> Problem | None:
        """What fails now; None while nothing does."""
        if self._reports.trouble is not None and self.state is not LiveState.STOPPED:
            return self._reports.trouble
        report = self.report
        return report if isinstance(report, Problem) else None

    @property
    def last_failure(self) -> Problem | None:
        """Why the newest frame that failed did so, also after later ones succeeded."""
        return self._reports.last_failure

    @property
    def unanswered(self) -> float:
        """Seconds since the server was asked for a sign of life and gave none; 0 while it owes nothing."""
        return self._link.unanswered if self._link is not None else 0.0

    @property
    def percent(self) -> float:
        """How much of its model the server has loaded, 0 to 100."""
        return self._reports.status.percent if self._reports.status is not None else 0.0

    @property
    def under_way(self) -> Collection[int]:
        """The ids of the frames sent and not yet answered."""
        return self._pace.ids

    @property
    def pause(self) -> float:
        """Seconds until the next poll is worth while: short while frames are under way."""
        if self.state is LiveState.STOPPED:
            return LONGEST_PAUSE
        if self._link is None:
            return 0.1 if self.absent else min(0.1, max(0.01, self._retry.seconds(self._clock())))
        is_busy = self._pace.under_way or self._link.connection.pending or self.state is LiveState.CONNECTING
        return 0.004 if is_busy else 0.016

    def _exchange(self, now: float) -> None:
        """Socket I/O and what came by it. Raises NoConnection."""
        if self._link is None:
            if self.absent:
                self._retry, self._reports.trouble, self.state = Retry(now), None, LiveState.CONNECTING
            if self.absent or not self._retry.is_due(now):
                return
            self._retry.began()
            self.statistics.attempts += 1
            self._link = Channel(self.address, self._client, self._clock, self.statistics, self._retry.host)
        for message in self._link.poll(self._pace.under_way > 0):
            self._receive(message)
        if not self._link.connection.pending:  # the system has the last byte of each
            self.statistics.left(self._times.values(), self._clock())
        if self._reports.status is None and self._link.connection.age > PATIENCE:
            raise NoConnection(NoAnswer(self._link.place, round(self._link.connection.age)))
        if self._link.connection.age > SOUND_AFTER:
            self._retry.sound()

    def _lose(self, error: NoConnection) -> None:
        """The connection is gone or could not be made: say so, and try again after a pause that grows."""
        reached = self._link is not None and self._link.connection.open
        if self._reports.refusal is not None:
            error = NoConnection(self._reports.refusal)
        self._reports.trouble, self._reports.frame_lost = error.problem, self._pace.under_way > 0
        self.statistics.lost += self._welcome is not None
        self._drop_link()
        self.state = error.state
        self._retry.failed(self._clock(), reached, error.state is LiveState.FAILED)

    def _drop_link(self) -> None:
        if self._link is not None:
            self._link.close()
        self._link = self._welcome = self.progress = self.newest = None
        self._reports.ended()
        self._times.clear()
        self._pace.forget()

    def _receive(self, message: Message) -> None:
        assert self._link is not None
        if self._welcome is not None and self._wishes.take(message):
            return
        if isinstance(message, Failure) and message.id is None:
            self._reports.refusal = problem_of(message)
            if self._pace.newest is not None:  # it could not even read which frame it was: the last one sent
                self._take_failure(replace(message, id=self._pace.newest))
        elif self._welcome is None:
            if not isinstance(message, Welcome):
                what = f"its first message is {type(message).__name__}, not Welcome"
                raise NoConnection(NotDraftglass(self._link.place, what))
            self._welcome, self.server = message, message.server
            self._pace.credits = min(message.credits, MOST_CREDITS)
            self.statistics.connected()
            self._wishes.connected(self._link.send)
        elif isinstance(message, Status):
            self._take_status(message)
        elif isinstance(message, Picture):
            self._take(message)
        elif isinstance(message, Progress):
            self.progress = message
        elif isinstance(message, Dropped):
            self._times.pop(message.id, None)
            known = self._pace.dropped(self._clock(), message.id)
            self.statistics.dropped += known
            self.statistics.ignored += not known
        elif isinstance(message, Failure):
            self._take_failure(message)
        else:
            what = f"it sent a {type(message).__name__}, which is a client's"
            raise NoConnection(NotDraftglass(self._link.place, what))

    def _take_status(self, status: Status) -> None:
        was, before, self.model, self.control = self.state, self.model, status.model, status.control
        self._reports.take_status(status)
        self.state = _STATES[status.state]
        if (
            self.state is LiveState.LIVE
            and (was in (LiveState.LOADING, LiveState.FAILED) or before != status.model)
            and not self._pace.under_way
        ):
            self._reports.failure = None
            self._pace.retry()  # the model is another one than that of the last picture

    def _take(self, picture: Picture) -> None:
        now = self._clock()
        engine, queue = picture.timings.get("engine"), picture.timings.get("queue", 0.0)
        if not self._pace.answered(now, picture.id, None if engine is None else engine / 1e3, queue / 1e3):
            self.statistics.ignored += 1
            return
        self._retry.sound()
        self.statistics.answered(self._times.pop(picture.id), now, picture)
        self.progress = None
        self._reports.failure = self._reports.refusal = None
        if picture.id < (self.newest or 0):
            self.statistics.ignored += 1
            return
        self.newest, self._picture = picture.id, picture
        self.statistics.picture(now)

    def _take_failure(self, failure: Failure) -> None:
        assert failure.id is not None and self._link is not None
        self._link.answered(failure.id)
        self.statistics.failures += 1
        self._reports.last_failure = problem_of(failure)
        self._times.pop(failure.id, None)
        self.progress = None
        if self._pace.failed(self._clock(), failure.id):
            self._reports.failure = self._reports.last_failure
