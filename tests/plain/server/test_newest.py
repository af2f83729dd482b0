"""Tests of newest wins, of fairness between clients, and of clients that leave or don't read."""

from __future__ import annotations

import asyncio
import socket
import threading
import time

import numpy as np
import pytest

from addon.wire import Dropped, Failure, Picture, Progress, Status
from server.engine import StableDiffusionLcm
from server.net import client_session
from server.net.outbox import ROOM, Outbox
from server.serving.mailbox import Mailboxes, Turn
from server.serving.worker import Letter
from tests.plain.server.engines import Held, Lent
from tests.plain.server.rig import RawClient, make_request, serving, wait_for


def small_picture(number: int) -> Picture:
    return Picture(number, np.zeros((8, 8, 3), np.uint8))


def test_an_outbox_keeps_the_newest_picture_and_answers_for_the_others() -> None:
    async def scenario() -> list[object]:
        outbox = Outbox()
        outbox.put(Progress(1, 0, 2))
        outbox.put(Progress(1, 1, 2))
        assert outbox.put(small_picture(1)) is None
        assert outbox.put(small_picture(2)) is None, "a client has two credits: it is owed both"
        displaced = outbox.put(small_picture(3))
        assert displaced is not None
        assert displaced.id == 1
        outbox.put(Status("loading", 1))
        outbox.put(Status("loading", 2))
        outbox.put(Progress(4, 0, 2))
        return [await outbox.take() for _ in range(5)]

    answer, status, *pictures, progress = asyncio.run(scenario())
    assert answer == Dropped(1)
    assert status == Status("loading", 2)
    assert [picture.id for picture in pictures if isinstance(picture, Picture)] == [2, 3]
    assert progress == Progress(4, 0, 2)


def test_an_outbox_has_room_until_its_answers_are_many() -> None:
    async def scenario() -> None:
        outbox = Outbox()
        for number in range(ROOM):
            await outbox.room()
            outbox.put(Failure("internal", id=number))
        waiting = asyncio.ensure_future(outbox.room())
        await asyncio.sleep(0)
        assert not waiting.done()
        await outbox.take()
        await waiting

    asyncio.run(scenario())


class Watched(Mailboxes[object, Letter]):
    """Mailboxes that write down, under their own lock, what was the newest whenever one was chosen to be next."""

    def __init__(self) -> None:
        super().__init__()
        self.newest = -1
        self.taken: list[tuple[int, int]] = []

    def put(self, client: object, letter: Letter) -> list[Letter]:
        with self._changed:
            self.newest = letter.request.frame.id
            return super().put(client, letter)

    def _turn(self, client: object, letters: list[Letter]) -> Turn[object, Letter]:
        turn = super()._turn(client, letters)
        self.taken.append((turn.letter.request.frame.id, self.newest))
        return turn


@pytest.mark.alone
def test_the_newest_wins_with_a_slow_engine_and_30_views_a_second(engine: StableDiffusionLcm) -> None:
    frames = 60
    watched = Watched()
    with serving(Lent(engine, seconds=0.5).load, watched) as (address, _), address.client() as client:

        def send() -> None:
            for number in range(frames):
                client.send(make_request(number, draft=256))
                time.sleep(1 / 30)

        sender = threading.Thread(target=send)
        sender.start()
        answers: dict[int | None, object] = {}
        shown = []
        while len(answers) < frames:
            answer = client.answer()
            assert answer.id not in answers
            answers[answer.id] = answer
            if isinstance(answer, Picture):
                shown.append(answer.id)
        sender.join(60)
    assert all(taken == newest for taken, newest in watched.taken)
    assert shown == [taken for taken, _ in watched.taken] == sorted(shown)
    assert shown[-1] == frames - 1
    assert len(shown) < frames / 3
    assert all(isinstance(answers[number], Dropped) for number in range(frames) if number not in shown)


def test_a_flood_has_one_frame_under_way_and_one_waiting(engine: StableDiffusionLcm) -> None:
    held = Held(engine)
    with serving(held.load) as (address, worker), address.client() as client:
        client.send(make_request(0))
        wait_for(lambda: held.started)
        for number in range(1, 50):
            client.send(make_request(number))
        assert [client.answer() for _ in range(48)] == [Dropped(number) for number in range(1, 49)]
        assert len(worker.mailboxes) == 1
        held.go(2)
        assert [client.answer().id, client.answer().id] == [0, 49]
        assert held.started == [0, 49]


def test_a_client_that_keeps_to_its_credits_loses_nothing(engine: StableDiffusionLcm) -> None:
    with serving(Lent(engine).load) as (address, _), address.client() as client:
        answers = []
        for number in range(40):
            client.send(make_request(number))
            if number:
                answers.append(client.answer())
        answers.append(client.answer())
    assert [(type(answer), answer.id) for answer in answers] == [(Picture, number) for number in range(40)]


def test_of_two_requests_at_once_to_an_idle_server_both_are_drawn(engine: StableDiffusionLcm) -> None:
    with serving(Lent(engine).load) as (address, _), address.client() as client:
        for turn in range(10):
            for number in (2 * turn, 2 * turn + 1):
                client.send(make_request(number))
            answers = [client.answer(), client.answer()]
            assert [(type(answer), answer.id) for answer in answers] == [(Picture, 2 * turn), (Picture, 2 * turn + 1)]


def test_clients_take_turns_however_much_one_of_them_sends(engine: StableDiffusionLcm) -> None:
    held = Held(engine)
    with serving(held.load) as (address, worker), address.client() as greedy, address.client() as modest:
        greedy.send(make_request(0))
        wait_for(lambda: held.started)
        for turn in range(1, 6):
            for extra in range(5):
                greedy.send(make_request(10 * turn + extra))
            modest.send(make_request(1000 + turn))
            # everything has arrived: the flood but for its newest is answered, and both wait
            assert [greedy.until(Dropped).id for _ in range(4)] == [10 * turn + extra for extra in range(4)]
            wait_for(lambda: len(worker.mailboxes) == 2)
            held.go(2)
            wait_for(lambda turn=turn: len(held.started) == 1 + 2 * turn)  # type: ignore[misc]
            assert set(held.started[-2:]) == {10 * turn + 4, 1000 + turn}
        held.go()


def test_a_client_that_leaves_in_mid_frame_frees_its_place(engine: StableDiffusionLcm) -> None:
    held = Held(engine)
    with serving(held.load) as (address, worker), address.client() as staying:
        with address.client() as leaving:
            leaving.send(make_request(1, steps=4))
            wait_for(lambda: held.started)
            leaving.send(make_request(2))
            wait_for(lambda: len(worker.mailboxes) == 1)
            staying.send(make_request(3))
            wait_for(lambda: len(worker.mailboxes) == 2)
            assert "draftglass_clients 2.0" in address.get("/metrics")[1]
        # the engine still holds its frame, but nothing of it waits or counts any more
        wait_for(lambda: "draftglass_clients 1.0" in address.get("/metrics")[1])
        assert len(worker.mailboxes) == 1
        held.go(2)
        assert staying.answer().id == 3
        assert held.started == [1, 3]
        text = address.get("/metrics")[1]
        assert "draftglass_abandoned_total 1.0" in text
        assert "draftglass_pictures_total 1.0" in text


def test_a_connection_cut_off_counts_as_left(engine: StableDiffusionLcm) -> None:
    held = Held(engine)
    with serving(held.load) as (address, worker):
        with address.client() as client:
            client.send(make_request(1))
            wait_for(lambda: held.started)
            client.send(make_request(2))
            wait_for(lambda: len(worker.mailboxes) == 1)
            client.connection.socket.close()  # no closing handshake, as when the process is killed
            wait_for(lambda: len(worker.mailboxes) == 0)
        held.go()


def test_a_client_that_never_reads_is_not_read_from_and_then_left(
    engine: StableDiffusionLcm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_session, "STALL_SECONDS", 1.0)
    with serving(Lent(engine).load) as (address, _), address.client() as other:
        with RawClient(address, receive_buffer=4096) as deaf:
            frame = deaf.frame(b"no message at all")
            deaf.socket.settimeout(0.5)
            with pytest.raises(TimeoutError):  # without bounds the server would read and answer for ever
                while True:
                    deaf.socket.sendall(frame * 100)
            other.send(make_request(1))
            assert isinstance(other.answer(), Picture)
            wait_for(lambda: "draftglass_clients 1.0" in address.get("/metrics")[1])
            wait_for(lambda: is_cut(deaf.socket))
        other.send(make_request(2))
        assert isinstance(other.answer(), Picture)


def is_cut(client: socket.socket) -> bool:
    """Whether the connection is gone although its client, which still reads nothing, did not end it."""
    try:
        client.send(b"x")
    except TimeoutError:
        return False
    except OSError:
        return True
    return False
