"""The parent of a run: what it says of a child that was ended, and what it passes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from addon.headless import supervisor
from addon.headless.supervisor import DRAWING, OPENING, STAGE, crash, main, mark

SCENE = Path("town.blend")


@pytest.mark.parametrize("status", [0, 1, 2, 130])
def test_a_run_that_ends_by_itself_has_said_why(status: int) -> None:
    assert crash(status, OPENING, SCENE) == ""


@pytest.mark.parametrize(
    "status, stage, words",
    [
        (-signal.SIGSEGV, OPENING, "town.blend can't be opened: Blender crashed while reading it (SIGSEGV)"),
        (-signal.SIGABRT, OPENING, "(SIGABRT), so the file is probably damaged"),
        (0xC0000005, OPENING, "(0xC0000005)"),
        (-signal.SIGSEGV, DRAWING, "Blender crashed while drawing (SIGSEGV)"),
        (-signal.SIGSEGV, "", "Blender crashed while starting"),
        (-signal.SIGKILL, OPENING, "most likely as memory ran out"),
    ],
)
def test_a_run_that_was_ended_is_told_with_what_it_was_at(status: int, stage: str, words: str) -> None:
    assert words in crash(status, stage, SCENE)


def test_the_child_tells_its_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark(OPENING)  # without a parent there is nobody to tell
    monkeypatch.setenv(STAGE, str(tmp_path / "stage"))
    mark(OPENING)
    mark(DRAWING)
    assert (tmp_path / "stage").read_text() == DRAWING


def test_a_child_whose_parent_is_gone_is_interrupted(tmp_path: Path) -> None:
    child = (
        "import os, signal, sys, time\n"
        "from addon.headless.supervisor import end_with_parent\n"
        "signal.signal(signal.SIGTERM, lambda *_: os._exit(print('ended', flush=True) or 0))\n"
        "end_with_parent()\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}]); sys.stdin.read()"
    environment = {**os.environ, STAGE: str(tmp_path / "stage")}
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.kill()
        assert process.stdout.readline() == "ended\n"


@pytest.mark.skipif(os.name != "posix", reason="the child is a shell script")
@pytest.mark.parametrize("ends, status, words", [("kill -SEGV $$", 2, "damaged"), ("exit 130", 130, "")])
def test_a_crash_while_opening_is_one_line_and_exit_2(
    ends: str,
    status: int,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    child = tmp_path / "python"
    child.write_text(f'#!/bin/sh\nprintf {OPENING} > "${STAGE}"\n{ends}\n')
    child.chmod(0o755)
    monkeypatch.setattr(supervisor.sys, "executable", str(child))
    assert main(["town.blend", "--prompt", "x", "--orbit", "1", "--out", str(tmp_path / "out")]) == status
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == bool(words)


@pytest.mark.skipif(os.name != "posix", reason="signals are passed on to a session of its own")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_are_passed_on(number: int, tmp_path: Path) -> None:
    child = tmp_path / "python"
    traps = "trap 'echo INT; exit 130' INT\ntrap 'echo TERM; exit 130' TERM\n"
    child.write_text(f"#!/bin/sh\n{traps}echo ready\nwhile :; do sleep 0.05; done\n")
    child.chmod(0o755)
    code = f"import sys; sys.executable = {str(child)!r}; from addon.headless.supervisor import main; sys.exit(main())"
    command = [
        sys.executable,
        "-c",
        code,
        "town.blend",
        "--prompt",
        "x",
        "--orbit",
        "1",
        "--out",
        str(tmp_path / "out"),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stdout.readline().strip() in signal.Signals(number).name
        assert process.wait() == 130
