"""``python -m tests.plain.live.measure_link [SECONDS]``: pictures a second by the link's speed, planes small or not.

512 x 512 with depth, views that change at every heartbeat, an engine that takes no time: what the link and the making
small let through. The real app and the link are processes of their own. In turns: all planes as they are, all made
small, and as the client chooses after it has measured the link. Prints medians of the turns, and small to plain.
"""

from __future__ import annotations

import statistics
import sys
import time

import numpy as np

from addon.live import Address, LiveLoop, channel
from addon.problems import LiveState
from addon.transport.link_speed import Speed
from addon.wire import Frame, Request, Style
from tests.plain.live.links import link
from tests.plain.live.real_server import inverting
from tests.plain.live.servers import said
from tools.bench.frames import detailed

SIDE, TURNS = 512, 3
HEARTBEAT, WAY = 0.004, 0.0005
MEASURED = 1.5
"""Seconds after which the client knows its link, or as much of it as it learns while views change."""
LINKS = 50, 150, 300, 400, 500, 700, 1000, 2500, 10000
"""Megabits a second."""


class Plain(Speed):
    """Takes every link for a fast one, unasked."""

    slow = False

    def begin(self, now: float) -> None:
        self.is_slow = self.slow

    def tick(self, now: float, rests: bool) -> None:
        self.is_slow = self.slow


class Small(Plain):
    """Takes every link for a slow one, unasked."""

    slow = True


WAYS = {"plain": Plain, "small": Small, "chosen": Speed}


def scene() -> tuple[np.ndarray, np.ndarray]:
    """Picture and depth: uint8 SIDE x SIDE x 3, uint16 SIDE x SIDE.

    A draft has flat colours, a picture has detail; here there is detail both ways, which flatters planes as they are.
    """
    row, column = np.mgrid[0:SIDE, 0:SIDE]
    depth = (20000 + 50 * row + 15 * column).astype(np.uint16)
    depth[SIDE // 4 : SIDE // 2, SIDE // 4 : SIDE // 2] = 65535
    depth[: SIDE // 12] = 0
    return detailed(SIDE), depth


class Rate:
    """Pictures a second of a live loop, once what it measures of the link is measured."""

    def __init__(self, address: Address, speed: type[Speed]) -> None:
        channel.Speed = speed  # type: ignore[misc]
        self.loop = LiveLoop(address, settle=False)
        self.image, self.depth = scene()

    def measure(self, seconds: float) -> tuple[float, bool]:
        """Return the rate, and whether planes went small."""
        began, first, opened = None, 0, time.perf_counter()
        while began is None or time.perf_counter() - began < seconds:
            want = self.loop.poll(time.perf_counter())
            if want is not None:
                image = np.roll(self.image, want.id % SIDE, axis=1)
                self.loop.send(Request(Frame(want.id, image, self.depth), Style("a castle", width=SIDE, height=SIDE)))
            if self.loop.state == LiveState.FAILED or time.perf_counter() - opened > 60 + seconds:
                raise SystemExit(said(self.loop) or "no pictures came")
            self.loop.take_picture()
            if began is None and self.loop.statistics.pictures > 10 and time.perf_counter() - opened > MEASURED:
                began, first = time.perf_counter(), self.loop.statistics.pictures
            time.sleep(HEARTBEAT)
        rate = (self.loop.statistics.pictures - first) / (time.perf_counter() - began)
        assert self.loop._link is not None and self.loop._link.speed is not None
        small = self.loop._link.speed.is_slow
        self.loop.stop()
        return rate, small


def main() -> None:
    """Print the table."""
    Address.is_loopback = False  # type: ignore[assignment,method-assign]
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    print("| Mbit | plain | small | chosen | small to plain | went |\n|--:|--:|--:|--:|--:|---|")
    with inverting() as (address, _):
        for megabits in LINKS:
            rates: dict[str, list[float]] = {way: [] for way in WAYS}
            went: list[str] = []
            with link(address.split()[1], megabits, WAY) as port:
                there = Address(f"ws://127.0.0.1:{port}/live", "token")
                for _ in range(TURNS):
                    for way, speed in WAYS.items():
                        rate, is_slow = Rate(there, speed).measure(seconds)
                        rates[way].append(rate)
                        went += ["small" if is_slow else "plain"] if way == "chosen" else []
            plain, small, chosen = (statistics.median(rates[way]) for way in WAYS)
            ratio = statistics.median(a / b for a, b in zip(rates["small"], rates["plain"], strict=True))
            print(
                f"| {megabits} | {plain:.1f} | {small:.1f} | {chosen:.1f} | {ratio:.2f} | {', '.join(went)} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
