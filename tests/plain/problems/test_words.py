"""Every report has words, they show each field, and docs/troubleshooting.md has every problem's sentence. No bpy."""

from __future__ import annotations

import dataclasses
import functools
import re
from pathlib import Path

import pytest

from addon.problems import Notice, Problem, Report, fields_of
from addon.problems.connection import ConnectionLost, ConnectionRefused, NoAnswer, Retrying, WrongToken
from addon.problems.serving import (
    ModelKept,
    ModelMissing,
    ModelNotLoaded,
    OutOfMemory,
    PictureFailed,
    ProtocolVersion,
    ServerSaid,
)
from addon.problems.setup import NoRoom, NotWritable, PackagesConflict
from addon.problems.words import WORDS, actions, remedy, sentence
from tests.plain.problems.examples import VALUES, example, examples, kinds

ROOT = Path(__file__).resolve().parents[3]
GUIDE = ROOT / "docs" / "troubleshooting.md"
KINDS = sorted(kinds(), key=lambda kind: kind.code)
WHOLE = str(VALUES[str])
"""The whole sentence of some kinds is another program's, which no document can list."""


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_sentence_that_is_whole(kind: type[Report]) -> None:
    told = sentence(example(kind))
    assert re.fullmatch(r"[A-Z\[/a-z].*[.]", told), told
    assert not re.search(r"[?{}<>]|None|\.\.|\s{2}|: \.|\(\)", told), told
    if issubclass(kind, Problem):
        assert remedy(example(kind)).endswith((".", "?"))  # type: ignore[arg-type]
        assert isinstance(actions(example(kind)), tuple)  # type: ignore[arg-type]


def test_the_table_has_each_kind_once() -> None:
    assert set(WORDS) == set(KINDS)
    assert len({kind.code for kind in KINDS}) == len(KINDS) > 60


@pytest.mark.parametrize("kind", KINDS)
def test_every_text_field_is_shown_or_decides(kind: type[Report]) -> None:
    """Changing a field changes the sentence, unless another field's words are shown in its place."""
    report = example(kind)
    for field in dataclasses.fields(report):  # type: ignore[arg-type]
        if isinstance(getattr(report, field.name), str) and (kind, field.name) != (ServerSaid, "unknown"):
            other = dataclasses.replace(report, **{field.name: "another"})  # type: ignore[type-var]
            assert sentence(other) != sentence(report), field.name


@functools.cache
def guide_patterns() -> list[re.Pattern[str]]:
    """Each bold sentence of the guide, an ellipsis standing for any text, or for none at the end of a word."""
    found = re.findall(r"^\*\*(.+?)\*\*", GUIDE.read_text("utf-8"), re.MULTILINE)
    assert len(found) > 50
    return [re.compile(".*".join(map(re.escape, one.split("…")))) for one in found]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if issubclass(kind, Problem)])
def test_the_guide_has_every_sentence_of_our_own(kind: type[Report]) -> None:
    for report in examples(kind):
        told = sentence(report)
        if told in (f"{WHOLE}.", sentence(example(NoRoom)), "The server reports /some/where it is."):
            continue  # the whole sentence is another program's, or another problem's
        assert sum(bool(pattern.fullmatch(told)) for pattern in guide_patterns()) == 1, told


def test_the_guide_has_no_sentence_that_nobody_says() -> None:
    told = [sentence(report) for kind in KINDS for report in examples(kind)]
    for pattern in guide_patterns():
        assert any(pattern.fullmatch(one) for one in told), pattern.pattern


def test_the_sentences_name_what_happened() -> None:
    assert sentence(PackagesConflict("torch 2 needs numpy<2")) == (
        "The packages conflict with each other: torch 2 needs numpy<2."
    )
    assert sentence(NoRoom("/home/me", 7_500_000_000, 640_000_000)) == (
        "The setup needs 7.5 GB in /home/me, but only 640 MB are free."
    )
    assert sentence(ProtocolVersion(2, 3)) == (
        "The client speaks version 2 of the protocol and the server version 3: update the client."
    )
    assert "in /run/token (HTTP 401)" in sentence(WrongToken("h:1", 401, "/run/token"))
    assert sentence(ConnectionLost("h:1")) == "The connection to the server at h:1 was lost."
    assert sentence(ConnectionLost("h:1", "reset")) == "The connection to the server at h:1 was lost (reset)."
    assert sentence(NoAnswer("h:1", 3)) == "The server at h:1 has not answered for 3 s."


def test_a_missing_model_is_no_shortage_of_memory_whatever_it_is_called() -> None:
    missing = ModelNotLoaded(ModelMissing("memory-palace"))
    assert sentence(missing) == "There is no model 'memory-palace' on the server."
    assert remedy(missing) != remedy(OutOfMemory("the model"))


def test_memory_that_ran_out_is_told_with_its_bytes() -> None:
    short = OutOfMemory("the model XL", needed=8 << 30, free=3 << 30, device="cuda:0")
    assert short.missing == 5 << 30
    assert sentence(short) == (
        "The model XL needs about 8.0 GB of memory, but the GPU cuda:0 has 3.0 GB free: use an SD 1.5 model (about "
        "2.5 GB), close other programs or run the server with --device cpu."
    )
    assert sentence(OutOfMemory("a picture of 64 x 64")) == (
        "There is too little memory for a picture of 64 x 64: use a smaller size, close other programs or run the "
        "server with --device cpu."
    )


def test_a_report_within_another_keeps_one_full_stop() -> None:
    kept = ModelKept("xl", "sd15", ModelMissing("xl"))
    assert sentence(kept) == "xl could not be loaded, so sd15 goes on: There is no model 'xl' on the server."
    retrying = Retrying(ConnectionRefused("h:1"), 3, frame_lost=True)
    assert sentence(retrying).endswith(
        "check the port. A frame was under way; the newest view will be sent again. Trying again in 3 s."
    )
    assert sentence(Retrying(ConnectionRefused("h:1"), 0)).endswith("check the port. Trying again now.")


@pytest.mark.parametrize("hostile", ["it\nbroke", "it\r\n\0broke", "it\x1b broke\n", "it\u2028broke", " it  broke. "])
def test_control_characters_do_not_reach_the_user(hostile: str) -> None:
    assert sentence(NotWritable("/a", hostile)) == "Nothing can be written to /a: it broke."
    assert sentence(PictureFailed(ServerSaid("odd", hostile))) == "It broke."


def test_notices_are_not_problems() -> None:
    assert not [kind for kind in KINDS if issubclass(kind, Notice) and issubclass(kind, Problem)]
    assert fields_of(NoRoom("/a", 2, 1)) == {"place": "/a", "needed": 2, "free": 1}
