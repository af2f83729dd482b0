"""What is measured of a link: fast or slow, over throttled ones and on a clock that only counts."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

import pytest

from addon.live import Address, LiveLoop
from addon.transport.link_speed import FAST, LATER, MANY, PIECE, SURE, TRIES, Speed
from addon.wire import Message, Probe
from tests.plain.live.links import link as throttled
from tests.plain.live.real_server import inverting


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    """Its port."""
    with inverting() as (address, _):
        yield address.split()[1]


@pytest.fixture(autouse=True)
def as_if_remote(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sockets of the tests are this machine's; the client takes them for another's."""
    monkeypatch.setattr(Address, "is_loopback", False)


@pytest.mark.alone
@pytest.mark.parametrize("beat", [0.004, 0.05])
@pytest.mark.parametrize(("megabits", "way"), [(50, 0.0), (150, 0.03), (300, 0.0), (300, 0.03)])
def test_a_slow_link_is_found_slow_however_late_it_is_read(
    server: int, megabits: float, way: float, beat: float
) -> None:
    """Less than half of what counts as fast: on a machine where processes wait for each other, a server that reads late
    makes a link seem half as fast again, or a tenth. What is measured on one where none waits is simulated below."""
    with throttled(server, megabits, way) as port:
        speed = measured(port, beat, TRIES)
    assert speed.is_slow and speed.rate is not None
    assert 0.1 * megabits < speed.rate * 8e-6 < 2 * megabits


@pytest.mark.alone
@pytest.mark.parametrize("beat", [0.004, 0.05])
@pytest.mark.parametrize(("megabits", "way"), [(2000, 0.0), (2000, 0.03), (10000, 0.015), (None, 0.0)])
def test_a_fast_link_is_found_fast_however_late_it_is_read(
    server: int, megabits: float | None, way: float, beat: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half is asked for of what counts as fast: busy processors leave as much, and a late heartbeat, if it counted for
    the link, would leave less."""
    monkeypatch.setattr("addon.transport.link_speed.FAST", FAST / 2)
    with contextlib.nullcontext(server) if megabits is None else throttled(server, megabits, way) as port:
        for _ in range(
            4
        ):  # the relay and the server share two cores with other programs, which make them slow at times
            speed = measured(port, beat, TRIES)
            if not speed.is_slow:
                break
    assert not speed.is_slow and speed.rate is not None and speed.rate >= FAST / 2


def measured(port: int, beat: float, tries: int) -> Speed:
    """What a client finds that looks every ``beat`` seconds, until it is sure or has tried so often."""
    loop = LiveLoop(Address(f"ws://127.0.0.1:{port}/live", "token"), settle=False)
    end, speed = time.perf_counter() + 40, None
    while speed is None or speed.rate is None or (speed.busy and len(speed._rates) < tries):
        assert time.perf_counter() < end
        loop.poll(None)
        speed = loop._link.speed if loop._link is not None else None
        time.sleep(beat)
    loop.stop()
    return speed


def simulated(
    there: float,
    back: float,
    way: float,
    beat: float,
    late: Callable[[int], float] = lambda tries: 0.0,
    speed: Speed | None = None,
) -> Speed:
    """A link of so many bytes a second, ``way`` seconds long, seen every ``beat`` seconds.

    ``late``: seconds after it was asked for which the server reads nothing, by how often it was asked before.
    """
    sent: list[Message] = []
    speed = speed or Speed(sent.append)
    speed._send = sent.append
    now, tries = 10.0, 0
    speed.begin(now)
    while speed.busy:
        speed.tick(now, True)
        if sent:
            stall = late(tries)
            read = [max(now + stall, now + way + (k + 1) * PIECE.nbytes / there) for k in range(len(sent))]
            tries += 1
            sent.clear()
            came, answers = 0.0, []
            for arrived in read:
                came = max(came, arrived + way) + PIECE.nbytes / back
                answers.append((came, Probe(PIECE, arrived + 5e6)))
            while answers:
                before, now = now, now + beat
                while answers and answers[0][0] <= now:
                    speed.came(answers.pop(0)[1], now, before)
        else:
            now += beat
    return speed


@pytest.mark.parametrize("beat", [0.001, 0.004, 0.016, 0.05])
@pytest.mark.parametrize("way", [0.0, 0.03])
@pytest.mark.parametrize(("rate", "is_slow"), [(1e6, True), (62e6, True), (118e6, False), (1.2e9, False)])
def test_heartbeats_and_length_change_nothing(rate: float, is_slow: bool, way: float, beat: float) -> None:
    speed = simulated(rate, rate, way, beat)
    assert speed.is_slow is is_slow and speed.rate == pytest.approx(rate, rel=0.01)


def test_a_link_that_is_slow_only_on_the_way_back_is_slow() -> None:
    assert simulated(1e9, 12e6, 0.01, 0.004).is_slow
    assert not simulated(1e9, 118e6, 0.01, 0.004).is_slow


def test_in_doubt_it_stays_as_it_was_until_all_was_tried() -> None:
    """A tunnel from this machine at 60 MB/s is plain for some seconds: it may be a fast one to a busy server."""
    found: list[tuple[float, bool]] = []

    def note(tries: int) -> float:
        found.append((tries, speed.is_slow))
        return 0.0

    for given in (False, True):
        speed = Speed(lambda message: None, given)
        speed = simulated(60e6, 60e6, 0.0, 0.004, note, speed)
        assert speed.is_slow and all(is_slow is given for _, is_slow in found)
        found.clear()
    speed = Speed(lambda message: None, False)
    simulated(20e6, 20e6, 0.0, 0.004, note, speed)
    assert [is_slow for tries, is_slow in found if tries > SURE] == [True] * (TRIES - SURE + len(LATER)), "no doubt"


def test_frames_wait_for_it_only_a_moment_and_it_for_a_rest_later() -> None:
    speed = Speed(lambda message: None)
    assert not speed.holds(1.0), "not begun"
    speed.begin(1.0)
    assert speed.holds(1.2) and not speed.holds(1.4)
    speed.came(Probe(PIECE, 5.0), 1.001, 1.0)
    sent: list[Message] = []
    speed._send = sent.append
    now = 1.1
    while len(speed._rates) < TRIES:
        assert speed.holds(1.2)
        now += 0.01
        speed.tick(now, False)
        for index in range(len(sent)):
            speed.came(Probe(PIECE, 5.0 + index * 0.001), now + 0.001, now)
        sent.clear()
    assert not speed.holds(1.2) and speed.busy
    speed.tick(now + LATER[0] + 0.1, False)
    assert not sent, "frames are under way"
    speed.tick(now + LATER[0] + 0.2, True)
    assert sent


def test_a_server_that_reads_late_once_makes_no_link_fast() -> None:
    assert simulated(50e6, 50e6, 0.0, 0.05, lambda tries: 0.04 if tries == 2 else 0.0).is_slow


def test_a_server_that_does_not_say_when_it_read_leaves_only_the_whole() -> None:
    speed = Speed(lambda message: None)
    speed.begin(1.0)
    speed.came(Probe(PIECE), 1.001, 1.0)
    for now in (2.0, 3.0):
        speed.tick(now, True)
        for _ in range(MANY):
            speed.came(Probe(PIECE), now + 0.1, now)
    assert speed.rate is not None and speed.rate < 10e6


def test_a_slow_link_is_asked_no_more_than_it_must() -> None:
    assert len(simulated(1e6, 1e6, 0.0, 0.004)._rates) == 1
    assert len(simulated(6e6, 6e6, 0.0, 0.004)._rates) == SURE
    assert len(simulated(1e9, 1e9, 0.0, 0.004)._rates) == 2


def test_a_probe_that_nobody_sent_says_nothing() -> None:
    speed = Speed(lambda message: None)
    for _ in range(MANY):
        speed.came(Probe(PIECE, 1.0), 1.0, 0.9)
    assert speed.rate is None and speed.is_slow
