"""A limit on the process's memory, a real one: refused in a sentence before the system ends anything."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from addon.live import Address, LiveLoop
from addon.problems import LiveState
from server.engine import EngineError, ModelSpec, StableDiffusionLcm
from server.engine.errors import ran_out_of_memory
from tests.plain.engine.conftest import make_request
from tests.plain.engine.families import engine, place
from tests.plain.live.servers import Viewer, said

resource = pytest.importorskip("resource")  # not on Windows
ROOT = Path(__file__).resolve().parents[3]
LIMIT = r"memory, but the limit on the server's memory leaves \d+(\.\d)? [MG]B: use .* or raise that limit"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="no other system limits the address space")


@contextlib.contextmanager
def address_space(more: int) -> Iterator[None]:
    """``more`` bytes of address space beyond what this process has."""
    limits = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def test_a_picture_larger_than_the_limit_is_refused_and_the_next_is_made() -> None:
    model = engine("SD1.5")
    with address_space(200 << 20):
        with pytest.raises(EngineError, match=f"A picture of 2048 x 2048 needs about .* {LIMIT}"):
            model.render(make_request(width=2048, height=2048))
        assert model.render(make_request()).image.std() > 5


def test_a_model_is_refused_before_it_is_loaded() -> None:
    with address_space(200 << 20), pytest.raises(EngineError, match=f"The model .* needs about .* {LIMIT}"):
        StableDiffusionLcm.load(ModelSpec(place("SD1.5", "model")), "cpu")


def test_a_server_with_no_room_for_pytorch_says_so(tmp_path: Path) -> None:
    program = f"""
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_AS, ({600 << 20}, {600 << 20}))
sys.argv = ["server", "--port", "0", "--token-file", {str(tmp_path / "token")!r}]
runpy.run_module("server", run_name="__main__")
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        told = json.loads(server.stdout.readline())
        viewer = Viewer(LiveLoop(Address(told["url"], token_file=tmp_path / "token")))
        viewer.until(lambda: viewer.loop.state is LiveState.FAILED)
        assert "PyTorch needs about" in said(viewer.loop) and "raise that limit" in said(viewer.loop)
        assert server.poll() is None, "it stays up to say so"
        viewer.loop.stop()
        server.terminate()


@pytest.mark.parametrize(
    ("error", "ran_out"),
    [
        (MemoryError(), True),
        (OSError(12, "Cannot allocate memory"), True),
        (ImportError("libx.so: failed to map segment from shared object: Cannot allocate memory"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("can't start new thread"), True),
        (RuntimeError("shapes cannot be multiplied"), False),
        (OSError(2, "No such file or directory"), False),
    ],
    ids=repr,
)
def test_what_libraries_say_of_too_little_memory(error: Exception, ran_out: bool) -> None:
    try:
        raise ValueError("the file is damaged") from error  # as libraries hide it
    except ValueError as hidden:
        assert ran_out_of_memory(hidden) is ran_out
