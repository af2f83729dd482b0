"""Tests of what waits for the engine: who is next, and what is displaced."""

from __future__ import annotations

import threading

from server.serving.mailbox import Mailboxes, Turn


def test_clients_take_turns_and_those_that_write_more_than_their_credits_lose_the_older_ones() -> None:
    boxes: Mailboxes[str, int] = Mailboxes(credits=2)
    assert [boxes.put("a", 1), boxes.put("b", 2), boxes.put("a", 3)] == [[], [], []]
    assert boxes.put("a", 4) == [1, 3]
    assert len(boxes) == 2
    assert boxes.take() == Turn("a", 4)
    assert boxes.put("a", 5) == []
    assert boxes.put("a", 6) == [5], "one is drawn, so one may wait"
    boxes.answered(["a"])
    assert boxes.take() == Turn("b", 2)
    boxes.answered(["b"])
    assert boxes.take() == Turn("a", 6)


def test_while_others_are_drawn_the_newest_makes_the_older_ones_void() -> None:
    boxes: Mailboxes[str, int] = Mailboxes(credits=2)
    boxes.put("other", 0)
    assert boxes.take() == Turn("other", 0)
    assert [boxes.put("a", 1), boxes.put("a", 2)] == [[], []], "none goes before something newer is drawn"
    boxes.answered(["other"])
    assert boxes.take() == Turn("a", 2, older=(1,))


def test_the_first_of_two_is_drawn_when_the_engine_is_free_however_late_it_is_taken() -> None:
    boxes: Mailboxes[str, int] = Mailboxes(credits=2)
    boxes.answered([])  # free
    assert [boxes.put("a", 1), boxes.put("a", 2)] == [[], []]
    assert boxes.take() == Turn("a", 1)
    boxes.answered(["a"])  # and before the engine comes round to taking the next, the client has seen the answer
    assert boxes.put("a", 3) == []
    assert boxes.take() == Turn("a", 2)
    boxes.answered(["a"])
    assert boxes.take() == Turn("a", 3)


def test_what_was_chosen_is_chosen_anew_after_something_else_that_takes_long() -> None:
    boxes: Mailboxes[str, int] = Mailboxes(credits=2)
    boxes.answered([])
    boxes.put("a", 1)
    boxes.wake()  # another model is to be loaded
    assert boxes.take() is None
    assert boxes.put("a", 2) == []
    assert boxes.take() == Turn("a", 2, older=(1,))


def test_a_mailbox_forgets_who_leaves_and_wakes_who_waits() -> None:
    boxes: Mailboxes[str, int] = Mailboxes()
    boxes.answered([])
    boxes.put("a", 1)
    boxes.put("b", 2)
    boxes.leave("a")
    boxes.leave("nobody")
    boxes.answered(["a"])
    assert boxes.take() == Turn("b", 2), "its turn comes although another was chosen before"
    taken: list[object] = []
    thread = threading.Thread(target=lambda: taken.append(boxes.take()))
    thread.start()
    boxes.close()
    thread.join(60)
    assert taken == [None]
    boxes.put("a", 2)
    assert boxes.take() is None
