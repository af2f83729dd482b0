"""What the server keeps of each client's pictures: over the socket, until it leaves or is idle."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from addon.wire import Picture, Request, Style
from server.serving.histories import IDLE_SECONDS, Histories
from server.serving.worker import alike
from tests.plain.server.rig import Address, Client, make_request, wait_for


def steady(number: int, after: int | None = None, **style: Any) -> Request:
    """A request of a flat wall that the camera looks at, of 64 x 64 pixels."""
    request = make_request(0, steady=1.0, **style)
    wall = np.full((64, 64), 65535, np.uint16)
    projection = ((2.0, 0, 0, 0), (0, 2.0, 0, 0), (0, 0, -1.002, -0.2002), (0, 0, -1.0, 0))
    frame = replace(request.frame, id=number, inverse_depth=wall, near=4.0, projection=projection)
    return replace(request, frame=frame, after=after)


def ask(client: Client, request: Request) -> Picture:
    client.send(request)
    answer = client.answer()
    assert isinstance(answer, Picture)
    return answer


def kept(address: Address) -> float:
    """The server's own count of bytes."""
    lines = address.get("/metrics")[1].splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("draftglass_history_bytes")))


def test_a_picture_builds_on_the_newest_of_its_own_connection(address: Address) -> None:
    with address.client() as one, address.client() as other:
        first = ask(one, steady(1))
        assert first.after is None
        again = ask(one, steady(2, after=1))
        assert again.after == 1 and np.array_equal(again.image, first.image)
        assert ask(one, steady(3, after=1)).after == 2, "what was made since counts, too"
        assert ask(other, steady(4, after=1)).after is None
        assert ask(one, steady(5, after=99)).after is None
        assert ask(one, steady(6, after=5, seed=9)).after is None


def test_at_zero_a_picture_has_the_bits_of_one_that_builds_on_nothing(address: Address) -> None:
    request = steady(2, after=1)
    off = replace(request, style=replace(request.style, steady=0.0))
    with address.client() as one, address.client() as other:
        ask(one, steady(1))
        made = ask(one, off)
        assert made.after is None
        assert np.array_equal(made.image, ask(other, replace(off, after=None)).image)


def test_a_client_that_leaves_gives_its_pictures_back(address: Address) -> None:
    with address.client() as client:
        ask(client, steady(1))
        wait_for(lambda: kept(address) > 0)
    wait_for(lambda: kept(address) == 0)


def test_a_style_that_is_not_steady_any_more_gives_them_back(address: Address) -> None:
    with address.client() as client:
        ask(client, steady(1))
        wait_for(lambda: kept(address) > 0)
        assert ask(client, replace(steady(2, after=1), style=Style(strength=0.7, steps=1))).after is None
        wait_for(lambda: kept(address) == 0)


def test_what_builds_on_a_memory_is_not_made_together_with_others() -> None:
    plain = make_request(1)
    assert alike(plain, make_request(2))
    assert not alike(steady(1), steady(2))
    painted = replace(plain, frame=replace(plain.frame, strength=np.zeros((64, 64), np.uint8)))
    assert not alike(painted, painted)


@dataclass(eq=False)
class Someone:
    gone: bool = False


class Kept:
    nbytes = 100


def test_idle_and_gone_clients_are_forgotten() -> None:
    now = [0.0]
    histories: Histories[Someone] = Histories(lambda: now[0])
    assert histories.due_in is None
    first, second = Someone(), Someone()
    one = histories.of(first, steady(1), Kept)
    now[0] = 100.0
    histories.of(second, steady(1), Kept)
    assert histories.of(first, steady(2), Kept) is one and histories.nbytes == 200
    assert histories.due_in == IDLE_SECONDS
    now[0] += IDLE_SECONDS - 1
    histories.tidy()
    assert histories.of(second, steady(3), Kept) is not None and histories.nbytes == 200
    second.gone = True
    now[0] += 1
    histories.tidy()
    assert histories.nbytes == 0
