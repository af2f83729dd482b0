"""One checkpoint and one engine for all tests of the server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from server.engine import StableDiffusionLcm
from tests.plain.checkpoints import make_sd15
from tests.plain.server.engines import Lent
from tests.plain.server.rig import Address, serving


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sd15(tmp_path_factory.mktemp("model") / "small", lora="diffusers")


@pytest.fixture(scope="session")
def engine(checkpoint: Path) -> Iterator[StableDiffusionLcm]:
    engine = StableDiffusionLcm.load(checkpoint, "cpu")
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def address(engine: StableDiffusionLcm) -> Iterator[Address]:
    """A server with the real engine, for the tests of one file."""
    with serving(Lent(engine).load, allow_origins=("https://studio.example",), allow_hosts=("studio.local",)) as (
        address,
        _,
    ):
        yield address
