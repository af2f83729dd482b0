"""A workshop for the tests of the setup, empty for each. No bpy."""

from __future__ import annotations

import os

import pytest

from tests.plain.setup.workshop import Workshop


@pytest.fixture(scope="module")
def used_workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A file's workshop, as the test before left it."""
    return Workshop(tmp_path_factory.mktemp("workshop"))


@pytest.fixture
def workshop(used_workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """Nothing of this machine's own configuration of pip reaches the setup."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    used_workshop.begin()
    return used_workshop
