"""The server as a child process: found, restarted after crashes, ended with its parent, its log kept. No bpy."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from addon.problems import ServerState
from addon.problems.setup import ServerCrashed, ServerEndedAtStart, ServerHung, ServerNotStarted
from addon.setup.pulse import BLIND_SECONDS, HUNG_SECONDS, Pulse, processor_seconds
from addon.setup.server import (
    LOGS_KEPT,
    LONGEST_LOG,
    PAUSES,
    TRIES,
    ServerProcess,
    last_words,
    reap,
    rotate,
    shorten,
)

ROOT = Path(__file__).resolve().parents[3]
STAND_IN = ("-m", "tests.blender.stand_in")


class Clock:
    """Time that a test may turn on."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(tmp_path: Path, clock: Clock) -> Iterator[ServerProcess]:
    """The real server, with an engine that gives the draft back."""
    own = ServerProcess(Path(sys.executable), ROOT, tmp_path / "logs", clock=clock, program=STAND_IN)
    yield own
    own.stop()
    wait(lambda: reap(clock() + 100) == 0)


def wait(reached: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def test_it_says_where_it_listens_and_only_we_can_read_its_token(server: ServerProcess) -> None:
    wait(server.poll)
    said = server.poll()
    assert said is not None and said.url.startswith("ws://127.0.0.1:") and said.pid == server.pid
    assert server.state == ServerState.RUNNING
    assert said.token_file.read_text().strip()
    assert said.token_file.parent.stat().st_mode & 0o077 == 0


def test_after_a_crash_it_comes_back_after_growing_pauses(server: ServerProcess, clock: Clock) -> None:
    wait(server.poll)
    first = server.poll()
    assert first is not None
    for pause in PAUSES[:3]:
        pid = server.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait(lambda: server.poll() is None)
        assert server.state == ServerState.PAUSING and isinstance(server.problem, ServerCrashed)
        assert pause - 1 < server.seconds_to_restart <= pause
        clock.ahead += pause
        wait(server.poll)
        assert server.state == ServerState.RUNNING and server.problem is None and server.pid != pid
    assert server.restarts == 3
    clock.ahead += 100
    server.poll()  # sound by now
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait(lambda: server.poll() is None)
    assert server.seconds_to_restart <= PAUSES[0]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux says what a process does")
def test_one_that_hangs_is_ended_and_started_again(server: ServerProcess, clock: Clock) -> None:
    wait(server.poll)
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    for _ in range(40):
        server.watch(False)
        clock.ahead += 1
    assert server.poll() is not None, "it owed nothing"
    seconds = 0.0
    while server.problem is None:
        server.watch(True)
        clock.ahead += 0.5
        seconds += 0.5
        assert seconds <= 10
    wait(lambda: server.poll() is None)  # in true time: how long the system takes to end it
    assert server.state == ServerState.PAUSING and isinstance(server.problem, ServerHung)
    clock.ahead += PAUSES[0]
    wait(server.poll)
    assert server.state == ServerState.RUNNING and server.problem is None and server.pid != pid


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux says what a process does")
def test_one_that_is_busy_never_hangs(tmp_path: Path) -> None:
    """As one that holds the interpreter for long: it answers nothing, and works. Its own time is the clock here."""
    own = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        pulse = Pulse()
        for step in range(100):
            wait(lambda least=0.02 * step: (processor_seconds(own.pid) or 0.0) > least)
            assert not pulse.hangs(step * 0.25, True, processor_seconds(own.pid))
    finally:
        own.kill()
        own.wait()


def test_the_pulse_of_processes() -> None:
    pulse = Pulse()
    beats = [step * 0.25 for step in range(1000)]
    assert processor_seconds(-1) is None
    assert not any(pulse.hangs(now, False, 1.0) for now in beats), "it owes nothing"
    assert not any(pulse.hangs(now, True, float("inf")) for now in beats), "it waits for its disk"
    assert not any(pulse.hangs(now, True, now * 0.05) for now in beats), "it works a little"
    silent = Pulse()
    assert next(now for now in beats if silent.hangs(now, True, 7.0)) == pytest.approx(HUNG_SECONDS, abs=0.5)
    blind = Pulse()
    assert next(now for now in beats if blind.hangs(now, True, None)) == pytest.approx(BLIND_SECONDS, abs=0.5)
    paused = Pulse()
    assert not paused.hangs(0.0, True, 7.0) and not paused.hangs(500.0, True, 7.0), "Blender was busy, not the server"


def test_a_restart_by_hand_does_not_wait(server: ServerProcess) -> None:
    wait(server.poll)
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    wait(lambda: server.poll() is None)
    server.restart()
    wait(server.poll)
    assert server.state == ServerState.RUNNING


def test_stop_ends_it_and_leaves_no_token(server: ServerProcess) -> None:
    wait(server.poll)
    said = server.poll()
    assert said is not None
    server.stop()
    wait(lambda: is_gone(said.pid))
    wait(lambda: reap(time.monotonic()) == 0)
    assert not said.token_file.parent.exists()


def test_one_that_never_starts_fails_with_its_own_words(tmp_path: Path, clock: Clock) -> None:
    program = ("-c", "import sys; sys.exit('no module named torch')")
    own = ServerProcess(Path(sys.executable), ROOT, tmp_path, clock=clock, program=program)
    tries = 0
    while own.state != ServerState.FAILED:
        if own.state == ServerState.PAUSING:
            tries += 1
            clock.ahead += PAUSES[-1]
        own.poll()
        time.sleep(0.01)
    assert tries == TRIES - 1
    assert own.problem == ServerEndedAtStart("no module named torch")


def test_wrong_use_is_not_tried_again(tmp_path: Path) -> None:
    own = ServerProcess(Path(sys.executable), ROOT, tmp_path, arguments=("--device", "toaster"))
    wait(lambda: own.poll() or own.state == ServerState.FAILED)
    assert own.restarts == 0 and isinstance(own.problem, ServerEndedAtStart) and "toaster" in own.problem.detail


def test_a_python_that_is_not_there(tmp_path: Path) -> None:
    own = ServerProcess(tmp_path / "python", ROOT, tmp_path)
    assert own.state == ServerState.FAILED and own.problem == ServerNotStarted(
        str(tmp_path / "python"), "No such file or directory"
    )


def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    """Blender is killed: nothing of it runs that could tell the server."""
    code = (
        "import sys, time; from pathlib import Path; from addon.setup.server import ServerProcess\n"
        f"own = ServerProcess(Path(sys.executable), Path({str(ROOT)!r}), Path(sys.argv[1]), program={STAND_IN!r})\n"
        "while not own.poll(): time.sleep(0.05)\n"
        "print(own.pid, flush=True); time.sleep(60)"
    )
    argv = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as blender:
        assert blender.stdout is not None
        pid = int(blender.stdout.readline())
        assert not is_gone(pid)
        blender.send_signal(signal.SIGKILL)
    wait(lambda: is_gone(pid))


def test_logs_are_rotated_and_old_ones_go(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    for number in range(LOGS_KEPT + 3):
        log.write_text(f"run {number}\n")
        rotate(log)
        assert not log.exists()
    kept = sorted(path.read_text() for path in tmp_path.iterdir())
    assert kept == [f"run {number}\n" for number in range(4, LOGS_KEPT + 3)]
    rotate(log)  # nothing there: nothing to do
    assert len(list(tmp_path.iterdir())) == LOGS_KEPT - 1


def test_a_log_that_grows_is_cut_under_its_writer(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    with open(log, "ab", buffering=0) as writer:
        writer.write(b"old line\n" * (LONGEST_LOG // 9 + 10))
        shorten(log)
        writer.write(b"newest line\n")
    assert log.stat().st_size < LONGEST_LOG * 0.6
    assert last_words(log) == "newest line"
