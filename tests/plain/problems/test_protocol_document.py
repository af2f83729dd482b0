"""docs/protocol.md lists every code that a server may send, with its fields. No bpy."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from addon.problems import Problem, Report
from addon.problems.serving import FROM_SERVER

DOCUMENT = (Path(__file__).resolve().parents[3] / "docs" / "protocol.md").read_text("utf-8")
ROWS = dict(
    re.findall(r"^\| `(\w+)` \| ([^|]*) \|", DOCUMENT[DOCUMENT.index("## Failures and closes") :], re.MULTILINE)
)


@pytest.mark.parametrize("kind", FROM_SERVER.values())
def test_the_document_has_the_code_with_its_fields(kind: type[Report]) -> None:
    told = ROWS[kind.code]
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        assert "the cause" in told if field.type in (Problem, "Problem") else f"`{field.name}`" in told


def test_the_document_has_no_other_code() -> None:
    assert set(ROWS) - {"code"} == set(FROM_SERVER)
