"""The table of failures: each is used, its button exists, and the document has its sentence. Reads sources. No bpy."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from addon.problems import errors
from addon.problems.buttons import BUTTONS
from addon.problems.failures import FAILURES, problem

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
TABLE = ROOT / "addon" / "live" / "failures.py"


def strings_of_the_add_on() -> set[str]:
    """Every string in the add-on's code but the table's own."""
    found = set()
    for path in (ROOT / "addon").rglob("*.py"):
        if path != TABLE:
            tree = ast.parse(path.read_text("utf-8"))
            found |= {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    return found


@pytest.mark.parametrize("code", [code for code in FAILURES if FAILURES[code].pattern != "…"])
def test_the_document_has_the_sentence(code: str) -> None:
    assert f"**{FAILURES[code].pattern}**" in DOCUMENT


def test_the_document_has_no_sentence_that_is_no_more() -> None:
    known = {failure.pattern for failure in FAILURES.values()}
    assert [
        sentence for sentence in re.findall(r"^\*\*(.+?)\*\*", DOCUMENT, re.MULTILINE) if sentence not in known
    ] == []


def test_every_failure_is_met_somewhere() -> None:
    assert set(FAILURES) - strings_of_the_add_on() == set()


def test_every_button_is_offered_and_calls_an_operator_that_there_is() -> None:
    offered = {name for failure in FAILURES.values() for name in failure.buttons}
    assert offered == set(BUTTONS)
    assert {button.operator for button in BUTTONS.values()} <= strings_of_the_add_on()


@pytest.mark.parametrize("code", FAILURES)
def test_sentences_are_sentences(code: str) -> None:
    failure = FAILURES[code]
    fields = {name: f"<{name}>" for name in re.findall(r"\{(\w+)\}", failure.sentence)}
    sentence = problem(code, **fields).sentence
    assert all(value in sentence for value in fields.values()) and "{" not in sentence
    if failure.pattern != "…":
        assert sentence.endswith(".")
        assert sentence[0] == "<" or sentence[0].isupper() or sentence.startswith("pip ")
    assert failure.remedy.endswith((".", "?"))


def test_what_is_filled_in_stays_one_line_and_one_full_stop() -> None:
    assert problem("no_network", named="a\n  b.\x1b").sentence.endswith("the network failed: a b.")
    assert "?" in problem("no_network").sentence


def test_a_loops_failure_has_its_code() -> None:
    assert errors.of_loop(errors.STOPPED, "x", "lost", "internal") is None
    for arguments, code in (
        ((errors.WAITING, "gone", "lost", ""), "lost"),
        ((errors.FAILED, errors.NO_REASON, "", ""), "no_reason"),
        ((errors.FAILED, "the model is missing", "", ""), "model_failed"),
        ((errors.FAILED, "there is too little memory for it", "", ""), "gpu_memory"),
        ((errors.LIVE, "there is too little", "", "out_of_memory"), "gpu_memory"),
        ((errors.LIVE, "no such LoRA", "", "bad_request"), "picture_failed"),
    ):
        found = errors.of_loop(*arguments)
        assert found is not None and found.code == code
        assert found.buttons and found.remedy
    assert errors.of_loop(errors.LIVE, "Live.", "", "") is None
