"""The whole way of a frame, measured: a server of our own, and clients whose views never rest. No torch, no bpy.

The clients are the add-on's own live loop; capture and display are left out, as those are Blender's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from types import TracebackType

from addon.headless.run import wait_until_live
from addon.headless.server import OwnServer
from addon.live import Address, LiveLoop
from addon.wire import Request

BEAT = 0.004
"""Seconds between two looks at what came: a quarter of Blender's, since each takes a processor from the engine."""
SILENCE = 120.0
"""Seconds without any picture after which a measurement is given up."""


class FarAddress(Address):
    """The address of a server that is treated as another machine's: no memory is shared with it."""

    @property
    def is_loopback(self) -> bool:
        return False


class Loops:
    """A server with ``model`` and any number of clients. Close it, or use it as a context."""

    def __init__(self, model: str, device: str, *more: str) -> None:
        """``more``: further arguments of the server."""
        self._server = OwnServer(model, device, *more)
        self._loops: dict[bool, list[LiveLoop]] = {True: [], False: []}
        try:
            self._address = self._server.address()
        except BaseException:
            self._server.stop()
            raise

    def run(
        self, requests: Callable[[int], Request], count: int, clients: int = 1, near: bool = True
    ) -> tuple[list[float], dict[str, tuple[float, float]]]:
        """Have ``count`` pictures made of views that change with every frame, for ``clients`` at once.

        Returns the milliseconds between pictures, whoever's they are, after two uncounted ones of each client, and
        the median and 95th percentile of the first client's stages. ``near``: through shared memory where that goes.
        """
        loops = self._connected(clients, near)
        seen = [0] * clients
        began = 0.0
        at: list[float] = []
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
                if loop.take_picture() is not None:
                    seen[number] += 1
                    busy = True
                    last = time.perf_counter()
                    if min(seen) > 2:
                        if not began:
                            began = last
                        else:
                            at.append(last)
                if loop.last_failure:
                    raise RuntimeError(loop.last_failure)
            if not busy:
                self._server.check()
                if time.perf_counter() - last > SILENCE:
                    raise RuntimeError(f"no picture for {SILENCE:.0f} s: {loops[0].sentence}")
                time.sleep(BEAT)
        self._drain(loops)
        return [(b - a) * 1e3 for a, b in zip([began, *at], at, strict=False)], loops[0].statistics.stages()

    def close(self) -> None:
        for loop in (*self._loops[True], *self._loops[False]):
            with suppress(Exception):
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
            kind = Address if near else FarAddress
            loop = LiveLoop(kind(self._address.url, token_file=self._address.token_file), settle=False)
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
