"""Reports as codes and fields, and back. No bpy."""

from __future__ import annotations

import json

import pytest

from addon.problems import Problem, Report, UnknownReport, fields_of, from_fields
from addon.problems.serving import (
    FROM_SERVER,
    MemoryReleased,
    ModelKept,
    ModelMissing,
    OutOfMemory,
    ServerSaid,
    from_server,
)
from addon.problems.setup import FROM_SET_UP, NoRoom
from tests.plain.problems.examples import example, kinds

KINDS = sorted(kinds(), key=lambda kind: kind.code)


@pytest.mark.parametrize("kind", KINDS)
def test_every_report_survives_json(kind: type[Report]) -> None:
    report = example(kind)
    fields = json.loads(json.dumps(fields_of(report)))
    known: dict[str, type[Report]] = {one.code: one for one in KINDS}
    assert from_fields(report.code, fields, known) == report


def test_a_code_is_the_name_in_snake_case() -> None:
    assert OutOfMemory.code == "out_of_memory" and NoRoom.code == "no_room"


def test_a_cause_is_written_flat() -> None:
    kept = ModelKept("xl", "sd15", OutOfMemory("model xl", 8, 3, "cuda:0"))
    assert fields_of(kept) == {
        "wanted": "xl",
        "kept": "sd15",
        "cause_code": "out_of_memory",
        "cause_task": "model xl",
        "cause_needed": 8,
        "cause_free": 3,
        "cause_device": "cuda:0",
    }


def test_what_a_newer_server_adds_is_ignored_and_what_it_invents_keeps_its_words() -> None:
    assert from_server("model_missing", {"model": "x", "shelf": 3}) == ModelMissing("x")
    assert from_server("on_fire", {"degrees": 400}, "the server burns") == ServerSaid("on_fire", "the server burns")
    assert from_server("memory_released", {"model": "x", "seconds": 600}) == MemoryReleased("x", 600.0)


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        ("out_of_memory", {}),
        ("out_of_memory", {"task": 3}),
        ("out_of_memory", {"task": "x", "needed": "much"}),
        ("out_of_memory", {"task": "x", "needed": True}),
        ("model_kept", {"wanted": "a", "kept": "b"}),
        ("model_kept", {"wanted": "a", "kept": "b", "cause_code": "no_room"}),
        ("live_crashed", {"detail": "x"}),  # a server can't report what is the add-on's own
        ("not_set_up", {}),
        ("", {}),
    ],
)
def test_fields_that_do_not_fit_are_refused(code: str, fields: dict[str, str | int | float]) -> None:
    with pytest.raises(UnknownReport):
        from_fields(code, fields, FROM_SERVER)
    assert from_server(code, fields, "so it said") == ServerSaid(code, "so it said")


def test_a_set_up_reports_its_own_problems_only() -> None:
    assert from_fields("no_room", {"place": "/a", "needed": 2, "free": 1}, FROM_SET_UP) == NoRoom("/a", 2, 1)
    assert all(issubclass(kind, Problem) for kind in FROM_SET_UP.values())
