"""The engine's small parts: cache, choice of device, stopwatch, image conversions, the cheap import."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from server.engine.acceleration.packed import packs
from server.engine.acceleration.threads import IN_A_ROW, KNOWN_AFTER, SHORTEST, Threads
from server.engine.cache import Recent
from server.engine.devices import Stopwatch, _default_threads, best_dtype, choose, cpu_has_bf16, cpu_threads
from server.engine.images import Transfer, from_model, to_model
from server.engine.limits import MemoryWatch, free_memory, group_memory, quota


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
    assert cpu_threads() == _default_threads


@pytest.mark.parametrize(
    ("files", "processors"),
    [
        ({"cpu.max": "max 100000"}, math.inf),
        ({"a/cpu.max": "150000 100000", "a/b/cpu.max": "max 100000"}, 1.5),
        ({"a/cpu.max": "400000 100000", "a/b/cpu.max": "300000 100000"}, 3),
        ({"a/b/cpu.max": "50000 100000"}, 1),
        ({"a/b/cpu.max": "nonsense"}, math.inf),
    ],
)
def test_a_containers_quota_counts(files: dict[str, str], processors: float, tmp_path: Path) -> None:
    (tmp_path / "groups").write_text("0::/a/b\n")
    for name, words in files.items():
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_text(words)
    assert quota(tmp_path / "groups", tmp_path / "root") == processors
    assert quota(tmp_path / "nowhere", tmp_path / "root") == math.inf


@pytest.mark.parametrize(
    ("files", "left"),
    [
        ({"a/memory.max": "max\n"}, math.inf),
        ({"a/memory.max": "1000", "a/memory.current": "900", "a/memory.stat": "anon 5\ninactive_file 300\n"}, 400),
        (
            {"a/memory.max": "1000", "a/memory.current": "100", "a/memory.stat": ""}
            | {"memory.max": "500", "memory.current": "450", "memory.stat": "inactive_file 0\n"},
            50,
        ),
        ({"a/memory.max": "1000"}, math.inf),
    ],
)
def test_a_containers_memory_counts(files: dict[str, str], left: float, tmp_path: Path) -> None:
    (tmp_path / "groups").write_text("0::/a\n")
    for name, text in files.items():
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_text(text)
    assert group_memory(tmp_path / "groups", tmp_path / "root") == left


def test_a_containers_memory_of_the_first_kind_counts(tmp_path: Path) -> None:
    (tmp_path / "groups").write_text("4:memory:/a\n0::/\n")
    (tmp_path / "memory").mkdir()  # as in a container, which sees its own group as the root
    for name, text in (("limit_in_bytes", "1000"), ("usage_in_bytes", "900"), ("stat", "total_inactive_file 7\n")):
        (tmp_path / "memory" / f"memory.{name}").write_text(text)
    assert group_memory(tmp_path / "groups", tmp_path) == 107
    assert 0 < free_memory()[0] < 1 << 45


def test_a_quota_of_the_first_kind_counts(tmp_path: Path) -> None:
    (tmp_path / "groups").write_text("5:memory:/other\n4:cpu,cpuacct:/a\n")
    (tmp_path / "cpu" / "a").mkdir(parents=True)
    (tmp_path / "cpu" / "a" / "cpu.cfs_quota_us").write_text("250000")
    (tmp_path / "cpu" / "a" / "cpu.cfs_period_us").write_text("100000")
    assert quota(tmp_path / "groups", tmp_path) == 2.5
    (tmp_path / "cpu" / "a" / "cpu.cfs_quota_us").write_text("-1")
    assert quota(tmp_path / "groups", tmp_path) == math.inf


def test_a_thread_is_given_up_where_others_want_the_cores_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    threads = Threads(3)
    for _ in range(KNOWN_AFTER + 5):
        threads.took("kind", 0.05)
    threads.took("kind", 0.5)
    threads.took("kind", 0.05)
    threads.took("another kind", 0.5)
    assert threads.now == 3, "one slow frame, or one of another kind, says nothing"
    for _ in range(IN_A_ROW):
        threads.took("kind", 0.5)
    assert threads.now == 2
    for _ in range(SHORTEST - 1):
        threads.took("kind", 0.07)
    assert threads.now == 2
    threads.took("kind", 0.07)
    assert threads.now == 3, "tried again"
    for _ in range(IN_A_ROW):
        threads.took("kind", 0.5)
    for _ in range(2 * SHORTEST - 1):
        threads.took("kind", 0.07)
    assert threads.now == 2, "after a longer pause, as it went badly"
    for _ in range(200):
        threads.took("kind", 0.05)
    assert threads.now == 3


def test_the_users_number_of_threads_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    threads = Threads(2)
    for seconds in [0.05] * 20 + [0.5] * 20:
        threads.took("kind", seconds)
    assert threads.now == 2


def test_stopwatch_adds_up_stages() -> None:
    watch = Stopwatch(torch.device("cpu"))
    for _ in range(2):
        with watch.stage("unet"):
            time.sleep(0.01)
    times = watch.read(("unet", "decode"))
    assert times["unet"] >= 20
    assert times["decode"] == 0
    assert times["engine"] >= times["unet"]


def test_a_torch_that_cannot_say_what_the_cpu_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """An older one, as machines with a GPU may have it already: the CPU counts as one without bf16."""
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert choose("cpu").dtype == torch.float32
    assert packs(torch.nn.Linear(2, 2)) == torch.backends.mkldnn.is_available()


def test_images_survive_the_way_to_the_model_and_back() -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    transfer = Transfer(torch.device("cpu"))
    planes = to_model(transfer.upload_image(image), 32, 48, torch.float32)
    assert planes.shape == (1, 3, 32, 48)
    assert planes.min() >= -1 and planes.max() <= 1
    assert planes.is_contiguous(memory_format=torch.channels_last)
    back = transfer.send(from_model(planes))
    transfer.wait()
    assert np.array_equal(transfer.own(back), image)


def test_depth_becomes_0_to_1() -> None:
    depth = np.array([[0, 65535], [257, 32896]], np.uint16)
    plane = Transfer(torch.device("cpu")).upload_depth(depth)
    assert plane.dtype == torch.float32
    torch.testing.assert_close(plane, torch.tensor([[0, 1], [1 / 255, 128 / 255]]))


def test_values_beyond_the_picture_are_clamped() -> None:
    decoded = torch.tensor([-3.0, -1.0, 0.0, 1.0, 3.0]).expand(1, 3, 1, 5)
    assert from_model(decoded)[0, :, 0].tolist() == [0, 0, 128, 255, 255]


def test_memory_is_looked_at_each_second_and_where_it_is_scarce(monkeypatch: pytest.MonkeyPatch) -> None:
    now, left = [0.0], [100]
    monkeypatch.setattr("server.engine.limits.free_memory", lambda: (left[0], "cpu"))
    watch = MemoryWatch(lambda: now[0])
    assert watch.free(10) == (100, "cpu")
    left[0] = 30
    assert watch.free(40) == (100, "cpu"), "much less than there was a moment ago"
    assert watch.free(60) == (30, "cpu")
    left[0], now[0] = 80, 1.5
    assert watch.free(10) == (80, "cpu")
