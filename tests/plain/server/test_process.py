"""Tests of ``python -m server`` as a process: its line, its token file, its mistakes, its end."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from addon.version import VERSION
from addon.wire import Picture, Progress, Status
from server.__main__ import parse
from server.config import DEFAULT_PORT
from tests.plain.server.rig import (
    PATIENCE,
    ROOT,
    Address,
    RawClient,
    Spawned,
    is_free,
    make_request,
    read_line,
    wait_for,
    wait_ready,
)

STUCK = Path(__file__).with_name("stuck_server.py")
SECONDS = 2.0
"""What the server promises: from the signal to its end, whatever it is doing."""

posix = pytest.mark.skipif(os.name != "posix", reason="signals and file modes of POSIX")


def failing(*arguments: str, folder: Path) -> str:
    """The one line with which ``python -m server`` refuses to start."""
    result = subprocess.run(
        [sys.executable, "-m", "server", "--token-file", str(folder / "token"), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("python -m server: ")
    assert result.stderr.count("\n") == 1
    assert not (folder / "token").exists()
    return result.stderr


@pytest.mark.alone
def test_the_line_names_the_address_and_the_token_file_is_the_owners_alone(tmp_path: Path) -> None:
    with Spawned(tmp_path, "--port", "0", script=STUCK, before=["loading"]) as server:
        line = server.listening()
        path = tmp_path / "token"
        assert line == {
            "event": "listening",
            "host": "127.0.0.1",
            "port": line["port"],
            "url": f"ws://127.0.0.1:{line['port']}/live",
            "token_file": str(path),
            "pid": server.process.pid,
            "version": VERSION,
        }
        assert len(path.read_text()) >= 32
        if os.name == "posix":
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        address = Address(line["port"], path.read_text())
        wait_for(lambda: json.loads(address.get("/health")[1])["percent"] == 30)
        assert server.signal(signal.SIGTERM, SECONDS) == 0
        assert server.process.stdout is not None
        assert server.process.stdout.read() == b""  # what the library printed went to standard error
        assert "a library that prints" in server.stderr.read_text()
        assert not path.exists()


@posix
@pytest.mark.alone
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("where", ["loading", "rendering"])
def test_a_signal_ends_it_in_time_though_the_engine_is_stuck(
    tmp_path: Path, where: str, number: signal.Signals
) -> None:
    with Spawned(tmp_path, script=STUCK, before=[where]) as server:
        address = server.address()
        with address.client() as client, address.client() as other:
            client.send(make_request(1))
            if where == "rendering":
                assert client.until(Progress).step == 0
            other.send(make_request(2))
            client.send(make_request(3))
            assert server.signal(number, SECONDS) == 0
        assert is_free(address.port)
        assert not (tmp_path / "token").exists()
        assert "Traceback" not in server.stderr.read_text()


@posix
@pytest.mark.alone
def test_a_client_that_reads_nothing_does_not_keep_it_alive(tmp_path: Path) -> None:
    with Spawned(tmp_path, script=STUCK, before=["loading"]) as server:
        address = server.address()
        with RawClient(address, receive_buffer=4096) as deaf:
            frame = deaf.frame(b"no message at all")
            deaf.socket.settimeout(0.5)
            with pytest.raises(TimeoutError):
                while True:
                    deaf.socket.sendall(frame * 100)
            assert server.signal(signal.SIGTERM, SECONDS) == 0
        assert is_free(address.port)
        assert "ERROR" not in server.stderr.read_text()


@posix
@pytest.mark.alone
def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    with Spawned(tmp_path, script=STUCK, before=["loading"]) as server:
        server.listening()
        server.process.send_signal(signal.SIGINT)
        assert server.signal(signal.SIGINT, SECONDS) == 0
        assert not (tmp_path / "token").exists()


@posix
@pytest.mark.alone
def test_the_real_engine_ends_in_mid_load_and_in_mid_frame(tmp_path: Path, checkpoint: Path) -> None:
    with Spawned(tmp_path, "--model", str(checkpoint), "--device", "cpu") as server:
        address = server.address()
        with address.client() as client:
            assert client.until(Status).state == "loading"  # torch is being imported
            assert server.signal(signal.SIGTERM, SECONDS) == 0
        assert is_free(address.port)
    port = str(address.port)
    with Spawned(tmp_path, "--model", str(checkpoint), "--device", "cpu", "--port", port) as server:
        address = server.address()
        assert str(address.port) == port
        wait_ready(address)
        assert json.loads(address.get("/models")[1])["available"][-1] == {"name": str(checkpoint), "loaded": True}
        with address.client() as client:
            client.send(make_request(1))
            client.until(Picture)
            client.send(make_request(2, side=512, steps=50))
            while client.until(Progress).step == 0:
                pass
            assert server.signal(signal.SIGINT, SECONDS) == 0
        assert is_free(address.port)
        assert "Traceback" not in server.stderr.read_text()


@posix
def test_it_ends_with_its_parent_though_that_was_killed(tmp_path: Path) -> None:
    parent = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, *sys.argv[1:], '--exit-with-parent', str(os.getpid())])\n"
        "time.sleep(1000)\n"
    )
    arguments = [str(STUCK), "loading", "--token-file", str(tmp_path / "token")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", parent, *arguments], stdout=subprocess.PIPE, cwd=ROOT, env=environment
    ) as process:
        try:
            port = read_line(process)["port"]
            assert not is_free(port)
        finally:
            process.kill()
        wait_for(lambda: is_free(port))
        wait_for(lambda: not (tmp_path / "token").exists())


def test_it_stays_with_a_parent_that_lives(tmp_path: Path) -> None:
    with Spawned(tmp_path, "--exit-with-parent", script=STUCK, before=["loading"]) as server:
        address = server.address()
        with pytest.raises(subprocess.TimeoutExpired):
            server.process.wait(1)
        assert address.get("/health")[0] == 200


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = failing("--port", str(port), "--model", str(tmp_path), folder=tmp_path)
    assert f"127.0.0.1 port {port} is taken" in line and "--port" in line


def test_by_hand_the_port_is_the_documented_one() -> None:
    assert parse(["--token-file", "token"])[0].port == DEFAULT_PORT
    assert f"port {DEFAULT_PORT}" in (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")


def test_on_a_terminal_it_says_what_to_enter_where(tmp_path: Path) -> None:
    """A pseudo terminal as standard output: the JSON for programs first, then the sentence for a person.

    What the loading prints comes to the same terminal, perhaps in the middle of a line.
    """
    ours, theirs = pty.openpty()
    command = [sys.executable, str(STUCK), "loading", "--port", "0", "--token-file", str(tmp_path / "token")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=theirs, stderr=theirs)
    try:
        said = ""
        while str(tmp_path / "token") not in said.partition("preferences")[2]:
            said += os.read(ours, 4096).decode()
        line, _ = json.JSONDecoder().raw_decode(said, said.index('{"event"'))
        assert line["url"] in said.partition("preferences")[2]
    finally:
        server.kill()
        server.wait()
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--host", "no.such.host.invalid"], "no.such.host.invalid"),
        (["--host", "203.0.113.7"], "203.0.113.7"),  # an address of no machine
        (["--host", "a host"], "'a host'"),
        (["--port", "70000"], "70000"),
        (["--port", "eighty"], "eighty"),
        (["--device", "tpu"], "'tpu'"),
        (["--model", "/no/such/model"], "neither such a path nor such a name: choose one of embedded, sd15"),
        (["--model", "~nobody-here/model"], "neither such a path nor such a name"),
        (
            ["--model", "sd15"],
            "The model sd15 has not been downloaded yet",
        ),
        (["--allow-origin", "example.org/page"], "example.org/page"),
        (["--colour", "red"], "--colour"),
        (["--token-file", "/proc/token"], "/proc"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, arguments: list[str], named: str) -> None:
    model = [] if "--model" in arguments else ["--model", str(tmp_path)]
    assert named in failing(*model, *arguments, "--models-dir", str(tmp_path), folder=tmp_path)


@pytest.mark.parametrize("name", ["mine", "embedded"])
def test_a_model_is_started_by_its_name_in_the_list(tmp_path: Path, checkpoint: Path, name: str) -> None:
    (tmp_path / "models" / "checkpoints").mkdir(parents=True)
    (tmp_path / "models" / "checkpoints" / "mine").symlink_to(checkpoint)
    (tmp_path / "models" / "checkpoints" / "embedded").symlink_to(checkpoint)  # is "embedded (model)" in the list
    arguments = ["--models-dir", str(tmp_path / "models"), "--model", name, "--device", "cpu"]
    with Spawned(tmp_path, *arguments) as server:
        address = server.address()
        wait_ready(address)
        available = json.loads(address.get("/models")[1])["available"]
        assert [one["name"] for one in available if one["loaded"]] == [name]
        assert {"embedded", "embedded (model)", "mine"} == {one["name"] for one in available}


def test_another_address_than_loopback_is_warned_of(tmp_path: Path) -> None:
    with Spawned(tmp_path, "--host", "0.0.0.0", script=STUCK, before=["loading"]) as server:
        line = server.listening()
        assert line["host"] == "0.0.0.0"
        assert line["url"] == f"ws://127.0.0.1:{line['port']}/live"
        assert "warning" in server.stderr.read_text()
    with Spawned(tmp_path, script=STUCK, before=["loading"]) as server:
        server.listening()
        assert "warning" not in server.stderr.read_text()
