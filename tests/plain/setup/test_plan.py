"""What pip is told, what it says, how far that is. No bpy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from addon.problems import Problem
from addon.problems.setup import (
    CertificateRefused,
    DiskFull,
    FileInUse,
    IndexRefused,
    NetworkFailed,
    NotWritable,
    PackageDamaged,
    PackageNotFound,
    PathTooLong,
    PipFailed,
    ProxyRefused,
    SetUpOutOfMemory,
)
from addon.setup.machine import BUILDS, INDEX
from addon.setup.pip_words import Reader, cause
from addon.setup.plan import Plan, split_options
from addon.setup.progress import Progress, left_in_words, size_in_words

ROOT = Path(__file__).resolve().parents[3]


def plan(**values: object) -> Plan:
    given = {"home": Path("home"), "python": Path("python"), "requirements": ROOT / "server/requirements.txt"}
    return Plan(**(given | values))  # type: ignore[arg-type]


def test_the_builds_index_and_version_are_given() -> None:
    torch = next(line for line in plan().required() if line.startswith("torch=="))
    arguments = plan().torch_arguments(BUILDS["cuda130"])
    assert arguments == ["--extra-index-url", f"{INDEX}/cu130", f"{torch}+cu130"]
    assert plan().torch_arguments(BUILDS["pip"]) == []
    assert plan(options=("--no-index",)).torch_arguments(BUILDS["cuda130"]) == []


def test_every_requirement_is_pinned_and_comes_along(tmp_path: Path) -> None:
    for line in plan().required():
        assert re.fullmatch(r"[a-z0-9-]+==[0-9][0-9.]*", line), line


def test_a_build_that_there_is_not() -> None:
    with pytest.raises(ValueError, match=r"build is 'cuda', but must be 'auto' or one of cuda130, "):
        plan(build="cuda")


def test_the_fingerprint_follows_what_is_installed(tmp_path: Path) -> None:
    lists = tmp_path / "requirements.txt"
    lists.write_text("a==1\n")
    first = plan(requirements=lists).fingerprint
    assert plan(requirements=lists, version="9", options=("--proxy", "x")).fingerprint == first
    assert plan(requirements=lists, build="cpu").fingerprint != first
    lists.write_text("a==2\n")
    assert plan(requirements=lists).fingerprint != first


def test_a_plan_goes_through_a_line() -> None:
    one = plan(build="cpu", options=("--find-links", "a b"), version="1.2", constraints=Path("c"))
    assert "\n" not in one.to_json() and Plan.from_json(one.to_json()) == one


def test_options_are_split_as_typed() -> None:
    assert split_options("--no-index --find-links 'my wheels'") == ("--no-index", "--find-links", "my wheels")
    with pytest.raises(ValueError, match="no closing quotation"):
        split_options("--find-links 'my wheels")


def test_pips_lines_become_bytes() -> None:
    reader = Reader()
    for line in (
        "Collecting torch==2.13.0+cpu",
        "  Downloading torch-2.13.0%2Bcpu-cp311-cp311-manylinux_2_28_x86_64.whl.metadata (30 kB)",
        "  Downloading https://x.y/torch-2.13.0%2Bcpu-cp311-cp311-manylinux_2_28_x86_64.whl (190.2 MB)",
        "Progress 0 of 190000000",
        "Progress 50000000 of 190000000",
    ):
        reader.read(line + "\n")
    assert (reader.name, reader.bytes, reader.installing) == ("torch", 50_000_000, False)
    reader.read("Progress 190000000 of 190000000\n")
    reader.read("Processing /wheels/safetensors-0.8.0-cp310-abi3-manylinux_2_17_x86_64.whl\n")
    assert (reader.name, reader.bytes) == ("safetensors", 190_000_000)
    reader.read("Installing collected packages: torch, safetensors\n")
    assert reader.installing and reader.bytes == 190_000_000


CAUSES = {
    DiskFull: "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n",
    NotWritable: "ERROR: Could not install packages due to an OSError: [Errno 30] Read-only file system: '/x'\n",
    CertificateRefused: "Could not fetch URL https://x/: There was a problem confirming the ssl certificate: skipping\n"
    "ERROR: No matching distribution found for torch==2.13.0\n",
    ProxyRefused: "WARNING: Retrying after connection broken by 'ProxyError('Cannot connect to proxy.')'\n",
    NetworkFailed: "WARNING: Retrying (Retry(total=2)) after connection broken by 'NameResolutionError(...)'\n"
    "ERROR: No matching distribution found for torch==2.13.0\n",
    PackageDamaged: "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.\n",
    PathTooLong: "ERROR: OSError: [Errno 2]\nHINT: This error might have occurred since this system does not have "
    "Windows Long Path support enabled.\n",
    FileInUse: "ERROR: [WinError 32] The process cannot access the file\n",
    IndexRefused: "ERROR: HTTP error 403 while getting https://x/torch.whl\n",
    PackageNotFound: "ERROR: No matching distribution found for torch==2.13.0+cu130\n",
    PipFailed: "ERROR: something of its own\n",
}


@pytest.mark.parametrize("kind", CAUSES)
def test_what_pip_says_has_its_cause(kind: type[Problem]) -> None:
    problem = cause(CAUSES[kind], 1, "/env")
    assert type(problem) is kind
    assert getattr(problem, "place", "/env") == "/env" and getattr(problem, "detail", "x")


RETRIES = {
    "HTTPConnection(host='127.0.0.1', port=9): Failed to establish a new connection: [Errno 111] Connection refused": (
        "127.0.0.1: Connection refused"
    ),
    "HTTPSConnection(host='x.y', port=443): Failed to resolve 'x.y' ([Errno -2] Name or service not known)": (
        "x.y: Name or service not known"
    ),
    "<connection.HTTPSConnection object at 0x7f>, 'Connection to x.y timed out. (connect timeout=15)'": (
        "Connection to x.y timed out"
    ),
}


@pytest.mark.parametrize("told", RETRIES)
def test_a_retry_is_told_plainly(told: str) -> None:
    line = f"WARNING: Retrying (Retry(total=2)) after connection broken by 'NewConnectionError(\"{told}\")': /simple/"
    assert cause(line, 1, "/env") == NetworkFailed(RETRIES[told])


def test_a_killed_pip_ran_out_of_memory() -> None:
    assert isinstance(cause("", -9, "/env"), SetUpOutOfMemory)
    assert cause("", 1, "/env") == PipFailed("pip ended with status 1")


def test_progress_never_falls_and_time_left_follows_the_pace() -> None:
    now = 0.0
    progress = Progress(lambda: now)
    assert progress.seconds_left is None
    for second in range(100):
        now = float(second)
        progress.at("download", second / 100)
    assert progress.fraction == pytest.approx(0.1 + 0.6 * 0.99)
    left = (1 - progress.fraction) / 0.006
    assert progress.seconds_left == pytest.approx(left, rel=0.2)
    progress.at("lookup", 0.5)
    assert progress.fraction == pytest.approx(0.1 + 0.6 * 0.99), "an earlier step must not take the bar back"


def test_words() -> None:
    assert [left_in_words(value) for value in (None, 3, 42, 61, 600, 7200)] == [
        "", "about 5 s left", "about 40 s left", "about 1 min left", "about 10 min left", "about 2.0 h left",
    ]  # fmt: skip
    assert [size_in_words(value) for value in (2.2e9, 184e6, 900)] == ["2.2 GB", "184 MB", "1 kB"]
