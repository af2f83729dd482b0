"""A short run of the attacks: a share of all kinds, over real connections."""

from __future__ import annotations

import time

import pytest

from tests.attack.__main__ import main


def test_a_short_attack_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    seed = int(time.time()) // 86400  # other kinds each day
    status = main(["--minutes", "0.02", "--share", "0.12", "--seed", str(seed)])
    shown = capsys.readouterr()
    assert status == 0, f"seed {seed}: {shown.err}"
    assert "| server | none, for comparison |" in shown.out and "| client |" in shown.out
