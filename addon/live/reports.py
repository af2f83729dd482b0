"""What server and connection have reported, the newest of each kind, and what of it to tell now. No bpy, no I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..problems import LiveState, Notice, Problem, Report
from ..problems.connection import Connecting, Live, LoadingModel, NoAnswer, Retrying, Stopped
from ..problems.serving import (
    LoadingStep,
    ModelNotLoaded,
    NoReason,
    OtherModelLoading,
    OutOfMemory,
    PictureFailed,
    ServerSaid,
    from_server,
)
from ..wire import Failure, Status

ANSWER_WITHIN, FAR_WITHIN, LOADING_WITHIN = 3.0, 10.0, 20.0
"""Seconds that a server on this machine, on another one, or with another model to load may owe an answer to a ping."""


@dataclass
class Reports:
    """``refusal``: what the server said as it hung up. ``trouble``: why there is no connection.

    ``failure``: why the newest frame has no picture; ``last_failure``: the same, kept after later ones succeeded.
    ``frame_lost``: whether a frame was under way when the connection ended.
    """

    trouble: Problem | None = None
    frame_lost: bool = False
    refusal: Problem | None = None
    failure: Problem | None = None
    last_failure: Problem | None = None
    status: Status | None = None
    _beside: Report | None = None  # what the status says beside its state

    def take_status(self, status: Status) -> None:
        """The server has told its state, so there is a connection."""
        self.status, self.trouble = status, None
        self._beside = from_server(status.code, status.fields, status.sentence) if status.code else None

    def ended(self) -> None:
        """The connection is gone, and with it what was reported over it."""
        self.status = self._beside = self.refusal = self.failure = None

    def hangs(self, state: LiveState, unanswered: float, is_near: bool) -> bool:
        """Whether a server that has not answered a ping for so many seconds hangs, as far as can be told.

        Pings are answered beside the engine, however slow that is; only while another model is loaded may nothing go
        for a while, as libraries are. ``is_near``: on this machine.
        """
        usual = ANSWER_WITHIN if is_near else FAR_WITHIN
        loads = isinstance(self._beside, OtherModelLoading)
        return state is LiveState.LIVE and unanswered > (max(usual, LOADING_WITHIN) if loads else usual)

    def now(self, state: LiveState, place: str, retry_in: float, silent_for: float) -> Report:
        """What there is to tell: a problem, or what is going on. ``silent_for``: seconds that it hangs, or 0."""
        if state is LiveState.STOPPED:
            return Stopped()
        if self.trouble is not None:
            return Retrying(self.trouble, max(0, math.ceil(retry_in)), self.frame_lost)
        if self.status is None:
            return Connecting(place)
        if state is LiveState.FAILED:
            cause = self._beside if isinstance(self._beside, Problem) else NoReason()
            return cause if isinstance(cause, OutOfMemory | NoReason) else ModelNotLoaded(cause)
        if state is LiveState.LOADING:
            step = self._beside.step if isinstance(self._beside, LoadingStep) else ""
            return LoadingModel(round(self.status.percent), step)
        if silent_for:
            return NoAnswer(place, round(silent_for))
        if self.failure is not None:
            return self.failure if isinstance(self.failure, OutOfMemory) else PictureFailed(self.failure)
        return self._beside if isinstance(self._beside, Notice) else Live(self.status.model)


def problem_of(failure: Failure) -> Problem:
    """Why the server says that something failed."""
    report = from_server(failure.code, failure.fields, failure.sentence)
    return report if isinstance(report, Problem) else ServerSaid(failure.code, failure.sentence)
