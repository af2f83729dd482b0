"""A workshop for each test of the setup. No bpy."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.plain.setup.workshop import Workshop


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """Nothing of this machine's own configuration of pip reaches the setup."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return Workshop(tmp_path)
