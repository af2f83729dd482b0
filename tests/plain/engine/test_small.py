"""The engine's small parts: cache, choice of device, stopwatch, image conversions, the cheap import."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from server.engine.cache import Recent
from server.engine.devices import Stopwatch, best_dtype, choose, cpu_has_bf16, cpu_threads
from server.engine.images import Transfer, from_model, to_model


def test_the_package_imports_without_torch() -> None:
    code = (
        "import sys; from server.engine import EngineError, default_model; "
        "assert 'torch' not in sys.modules and 'diffusers' not in sys.modules; print(default_model().parts[-3:])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "('server', 'models', 'embedded')"


def test_recent_forgets_what_was_not_used_for_longest() -> None:
    made: list[str] = []
    kept: Recent[str] = Recent(2)

    def get(key: str) -> str:
        return kept.get(key, lambda: made.append(key) or key.upper())  # type: ignore[func-returns-value]

    assert [get(key) for key in "abacab"] == list("ABACAB")
    assert made == list("abcb")
    assert len(kept) == 2
    with pytest.raises(ValueError, match="size of a cache is 0"):
        Recent(0)


def test_recent_keeps_nothing_after_a_failure() -> None:
    kept: Recent[float] = Recent(2)
    with pytest.raises(ZeroDivisionError):
        kept.get("x", lambda: 1 / 0)
    assert kept.get("x", lambda: 3.0) == 3.0


def test_cpu_precision_follows_what_the_cpu_has() -> None:
    expected = torch.bfloat16 if cpu_has_bf16() else torch.float32
    assert choose("cpu").dtype == best_dtype(torch.device("cpu")) == expected
    assert choose("cpu", torch.float32).dtype == torch.float32


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 2), (3, 2), (4, 3), (16, 15)])
def test_a_core_stays_free_for_blender(monkeypatch: pytest.MonkeyPatch, cores: int, threads: int) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)), raising=False)
    monkeypatch.setattr("server.engine.devices._default_threads", cores)
    assert cpu_threads() == threads


def test_threads_are_the_users_where_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert cpu_threads() == torch.get_num_threads()


def test_stopwatch_adds_up_stages() -> None:
    watch = Stopwatch(torch.device("cpu"))
    for _ in range(2):
        with watch.stage("unet"):
            time.sleep(0.01)
    times = watch.read(("unet", "decode"))
    assert times["unet"] >= 20
    assert times["decode"] == 0
    assert times["engine"] >= times["unet"]


def test_images_survive_the_way_to_the_model_and_back() -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    transfer = Transfer(torch.device("cpu"))
    planes = to_model(transfer.upload_image(image), 32, 48, torch.float32)
    assert planes.shape == (1, 3, 32, 48)
    assert planes.min() >= -1 and planes.max() <= 1
    assert planes.is_contiguous(memory_format=torch.channels_last)
    assert np.array_equal(transfer.download(from_model(planes)), image)


def test_depth_becomes_0_to_1() -> None:
    depth = np.array([[0, 65535], [257, 32896]], np.uint16)
    plane = Transfer(torch.device("cpu")).upload_depth(depth)
    assert plane.dtype == torch.float32
    torch.testing.assert_close(plane, torch.tensor([[0, 1], [1 / 255, 128 / 255]]))


def test_values_beyond_the_picture_are_clamped() -> None:
    decoded = torch.tensor([-3.0, -1.0, 0.0, 1.0, 3.0]).expand(1, 3, 1, 5)
    assert from_model(decoded)[0, :, 0].tolist() == [0, 0, 128, 255, 255]
