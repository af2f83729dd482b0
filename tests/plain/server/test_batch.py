"""Pictures of several clients computed in one go: who shares, what each gets, and what a failure costs."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from addon.problems.serving import LoraMissing, OutOfMemory
from addon.wire import Failure, Lora, Picture, Progress, Request
from server.config import Config
from server.engine import EngineError, StableDiffusionLcm
from server.serving.mailbox import Mailboxes, Turn
from server.serving.worker import EngineOutput, alike
from tests.plain.engine.families import psnr
from tests.plain.server.engines import Held, OnStep
from tests.plain.server.rig import make_request, serving, wait_for


class Grouped(Held):
    """Notes which frames it is given in one go; with ``refuse`` such a call runs out of memory."""

    def __init__(self, engine: StableDiffusionLcm, refuse: bool = False) -> None:
        super().__init__(engine)
        self.groups: list[list[int]] = []
        self._refuse = refuse

    def render_batch(self, requests: Sequence[Request], on_step: OnStep = None) -> Sequence[EngineOutput]:
        self.groups.append([request.frame.id for request in requests])
        if self._refuse:
            raise EngineError(OutOfMemory("two pictures"))
        return super().render_batch(requests, on_step)


def test_a_mailbox_gives_out_more_of_a_kind_in_turn() -> None:
    boxes: Mailboxes[str, int] = Mailboxes()
    for client, letter in (("a", 1), ("b", 2), ("c", 3), ("d", 5), ("e", 7)):
        boxes.put(client, letter)
    assert boxes.take() == Turn("a", 1)
    assert boxes.take_more(lambda letter: letter % 2 == 1, 2) == [Turn("c", 3), Turn("d", 5)]
    assert boxes.take_more(lambda letter: letter > 9, 2) == []
    assert [boxes.take(), boxes.take()] == [Turn("b", 2), Turn("e", 7)]


def test_what_is_alike() -> None:
    one = make_request(1, prompt="a", seed=1, negative_prompt="x")
    assert alike(one, make_request(2, prompt="b", seed=2))
    for other in ({"steps": 2}, {"strength": 0.5}, {"guidance": 2.0}, {"side": 128}):
        assert not alike(one, make_request(1, **other))  # type: ignore[arg-type]


def test_clients_with_alike_requests_share_the_engine(engine: StableDiffusionLcm) -> None:
    held = Grouped(engine)
    with (
        serving(held.load, batch=3) as (address, worker),
        address.client() as first,
        address.client() as second,
        address.client() as third,
        address.client() as other,
        address.client() as last,
    ):
        first.send(make_request(0))
        wait_for(lambda: held.started)
        wanted = {10: (first, 1), 11: (second, 2), 12: (third, 3), 14: (last, 5)}
        for count, (number, (client, seed)) in enumerate(wanted.items()):
            client.send(make_request(number, seed=seed, prompt=f"castle {seed}"))
            wait_for(lambda count=count: len(worker.mailboxes) == count + 1)  # type: ignore[misc]
        other.send(make_request(13, steps=2))
        wait_for(lambda: len(worker.mailboxes) == 5)
        held.go(3)
        assert first.answer().id == 0
        for number, (client, seed) in wanted.items():
            picture = client.until(Picture)
            assert picture.id == number
            expected = engine.render(make_request(number, seed=seed, prompt=f"castle {seed}")).image
            assert psnr(picture.image, expected) > 40
        assert other.until(Picture).id == 13
        assert held.groups == [[10, 11, 12]], "at most three, and none of another kind"
        assert sorted(held.started) == [0, 13, 14]
        text = address.get("/metrics")[1]
        assert "draftglass_pictures_total 6.0" in text


def test_each_client_hears_of_the_steps(engine: StableDiffusionLcm) -> None:
    held = Grouped(engine)
    with serving(held.load, batch=2) as (address, worker), address.client() as one, address.client() as two:
        one.send(make_request(0))
        wait_for(lambda: held.started)
        for client, number in ((one, 1), (two, 2)):
            request = make_request(number, steps=2)
            client.send(Request(request.frame, request.style, settle=True))
        wait_for(lambda: len(worker.mailboxes) == 2)
        held.go()
        assert two.until(Progress).id == 2
        assert two.until(Picture).id == 2
        assert held.groups == [[1, 2]] or held.groups == [[2, 1]]


def test_what_fails_together_is_made_one_by_one(engine: StableDiffusionLcm) -> None:
    held = Grouped(engine, refuse=True)
    with serving(held.load, batch=2) as (address, worker), address.client() as one, address.client() as two:
        one.send(make_request(0))
        wait_for(lambda: held.started)
        one.send(make_request(1))
        two.send(make_request(2))
        wait_for(lambda: len(worker.mailboxes) == 2)
        held.go(3)
        assert two.until(Picture).id == 2
        assert [one.answer().id, one.answer().id] == [0, 1]
        assert len(held.groups) == 1
        assert "draftglass_failures_total{" not in address.get("/metrics")[1]


def test_a_request_that_cannot_be_met_is_answered_to_each(engine: StableDiffusionLcm) -> None:
    held = Grouped(engine)
    with serving(held.load, batch=2) as (address, worker), address.client() as one, address.client() as two:
        one.send(make_request(0))
        wait_for(lambda: held.started)
        for client, number in ((one, 1), (two, 2)):
            client.send(make_request(number, loras=(Lora("nowhere"),)))
        wait_for(lambda: len(worker.mailboxes) == 2)
        held.go()
        answers = {answer.id: answer for answer in (one.answer(), one.answer(), two.answer())}
        assert isinstance(answers[0], Picture)
        for failure in (answers[1], answers[2]):
            assert isinstance(failure, Failure)
            assert failure.code == LoraMissing.code and failure.fields["lora"] == "nowhere"


@pytest.mark.parametrize("batch", [0, 9, -1])
def test_a_batch_that_makes_no_sense(batch: int) -> None:
    with pytest.raises(ValueError, match=f"batch is {batch}, but must be from 1 to 8"):
        Config(batch=batch)
