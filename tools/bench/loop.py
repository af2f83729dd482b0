"""The whole way of a frame, measured: a server of our own, and clients whose views never rest. No bpy.

The clients are the add-on's own live loop; capture and display are left out, as those are Blender's.
"""

from __future__ import annotations

import contextlib
import statistics
import time
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType

from prometheus_client.parser import text_string_to_metric_families

from addon.headless.run import wait_until_live
from addon.headless.server import TemporaryServer
from addon.live import LiveLoop
from addon.problems.words import sentence
from addon.wire import Request

from .arms import STAGES_TO_RECORD, Arm, Picture
from .measure import AGAIN

BEAT = 0.004
"""Seconds between two looks at what came: a quarter of Blender's, since each takes a processor from the engine."""
COMPILING = 400.0
"""Seconds after which compiling is given up."""
SILENCE = 120.0
"""Seconds without any picture after which a measurement is given up."""


class Loops:
    """A server with ``model`` and any number of clients. Close it, or use it as a context."""

    def __init__(self, model: str, device: str, *more: str) -> None:
        """``more``: further arguments of the server."""
        self._server = TemporaryServer(model, device, *more)
        self._last: Picture | None = None
        self._loops: dict[bool, list[LiveLoop]] = {True: [], False: []}
        try:
            self._address = self._server.address()
        except BaseException:
            self._server.stop()
            raise

    def run(
        self, requests: Callable[[int], Request], count: int, clients: int = 1, near: bool = True
    ) -> tuple[list[float], list[dict[str, float]]]:
        """Have ``count`` pictures made of views that change with every frame, for ``clients`` at once.

        Returns the milliseconds between pictures, whoever's they are, after ``AGAIN`` uncounted ones of each client,
        and the stages of the first client's, in milliseconds by name. ``near``: through shared memory where that goes.
        Raises RuntimeError when a frame fails or nothing comes.
        """
        loops = self._connected(clients, near)
        seen = [0] * clients
        began = 0.0
        at: list[float] = []
        stages: list[dict[str, float]] = []
        last = time.perf_counter()
        index = 0
        while len(at) < count:
            busy = False
            for number, loop in enumerate(loops):
                want = loop.poll(index)
                if want is not None:
                    made = requests(index)
                    frame = replace(made.frame, id=want.id, captured=time.perf_counter())
                    loop.send(replace(made, frame=frame, settle=want.settle))
                    index, busy = index + 1, True
                picture = loop.take_picture()
                if picture is not None:
                    self._last = picture.image
                    seen[number] += 1
                    busy = True
                    last = time.perf_counter()
                    if min(seen) > AGAIN:
                        if not began:
                            began = last
                        else:
                            at.append(last)
                        if number == 0:
                            stages.append(dict(loop.statistics.newest))
                if loop.last_failure is not None:
                    raise RuntimeError(sentence(loop.last_failure))
            if not busy:
                self._server.check()
                if time.perf_counter() - last > SILENCE:
                    raise RuntimeError(f"no picture for {SILENCE:.0f} s: {sentence(loops[0].report)}")
                time.sleep(BEAT)
        self._drain(loops)
        return [(b - a) * 1e3 for a, b in zip([began, *at], at[:count], strict=False)], stages

    def picture(self, request: Request, near: bool) -> Picture:
        """The picture of ``request``, uint8 H x W x 3, once it has come the whole way."""
        self.run(lambda index: request, 1, near=near)
        assert self._last is not None
        return self._last

    def settle(self, request: Request, near: bool) -> None:
        """Have the server record its stages, compile what it compiles, and record that, for ``request``.

        Raises RuntimeError when that does not end.
        """
        end = time.monotonic() + COMPILING
        while True:  # one stage is compiled after the other, each once frames have come
            self.run(lambda index: request, STAGES_TO_RECORD, near=near)
            if not self._compiles():
                return
            while self._compiles():
                time.sleep(0.5)
                self._server.check()
                if time.monotonic() > end:
                    raise RuntimeError(f"the server was still compiling after {COMPILING:.0f} s")

    def _compiles(self) -> bool:
        """Whether the server is compiling, as its metrics have it."""
        url = self._address.url.replace("ws://", "http://", 1).removesuffix("/live") + "/metrics"
        headers = {"Authorization": f"Bearer {self._address.read_token()}"}
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=SILENCE) as answer:
            families = text_string_to_metric_families(answer.read().decode())
        return any(one.value for family in families for one in family.samples if one.name == "draftglass_compiling")

    def close(self) -> None:
        for loop in (*self._loops[True], *self._loops[False]):
            with contextlib.suppress(Exception):
                loop.stop()
        self._server.stop()

    def __enter__(self) -> Loops:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _connected(self, clients: int, near: bool) -> list[LiveLoop]:
        loops = self._loops[near]
        while len(loops) < clients:
            # a busy machine may look like a slow link, and what is compared are pictures as they were made
            loop = LiveLoop(replace(self._address, shares_memory=near, may_shrink=False), settle=False)
            loops.append(loop)
            wait_until_live(loop, self._server.check, lambda percent: None)
        return loops[:clients]

    def _drain(self, loops: list[LiveLoop]) -> None:
        """Wait for what is under way, so that the next measurement begins with an idle engine."""
        end = time.perf_counter() + SILENCE
        while any(loop.under_way for loop in loops) and time.perf_counter() < end:
            for loop in loops:
                loop.poll(None)
                loop.take_picture()
            time.sleep(BEAT)


def loop_arm(loops: Loops, near: bool, depth: bool, compiled: bool = False) -> Arm:
    """The whole loop as an arm, over shared memory where ``near``; ``compiled``: of a server with ``--compile``."""
    seen: list[dict[str, float]] = []

    def timed(requests: list[Request]) -> list[float]:
        times, stages = loops.run(lambda index: requests[index % len(requests)], len(requests), near=near)
        seen.extend(stages)
        return times

    def medians() -> dict[str, float]:
        names = dict.fromkeys(name for stages in seen for name in stages)
        return {name: round(statistics.median(each[name] for each in seen if name in each), 3) for name in names}

    def before(request: Request) -> None:
        seen.clear()
        if compiled:
            loops.settle(request, near)

    return Arm(
        loop_name(near, depth, compiled),
        lambda request: loops.picture(request, near),
        depth,
        before=before,
        timed=timed,
        stages=medians,
    )


def loop_name(near: bool, depth: bool, compiled: bool = False) -> str:
    way = "shared memory" if near else "socket"
    return f"ours, whole loop over {way}{', compiled' if compiled else ''}{', depth' if depth else ''}"
