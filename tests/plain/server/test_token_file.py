"""Tests of the token file and of the configuration, without a server."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from server.config import Config
from server.net.token_file import TokenFile, default_token_file

posix = pytest.mark.skipif(os.name != "posix", reason="file modes and links of POSIX")


def test_each_start_has_a_token_of_its_own(tmp_path: Path) -> None:
    first = TokenFile(tmp_path / "one")
    second = TokenFile(tmp_path / "two")
    assert first.token != second.token
    assert (tmp_path / "one").read_text() == first.token
    assert len(first.token) >= 54  # the mark and 32 random bytes


@posix
def test_only_the_owner_can_read_it_whatever_was_there_and_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "token"
    before = os.umask(0)
    try:
        TokenFile(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        path.chmod(0o666)
        TokenFile(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        os.umask(before)
    assert [entry.name for entry in path.parent.iterdir()] == ["token"]


@posix
def test_a_link_is_neither_followed_nor_replaced(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("precious")
    link = tmp_path / "token"
    link.symlink_to(target)
    with pytest.raises(OSError, match="no ordinary file"):
        TokenFile(link)
    assert target.read_text() == "precious"
    assert link.is_symlink()


@posix
def test_a_reader_of_the_old_file_never_sees_the_new_token(tmp_path: Path) -> None:
    old = TokenFile(tmp_path / "token")
    with (tmp_path / "token").open() as reader:
        TokenFile(tmp_path / "token")
        assert reader.read() == old.token


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no ordinary file"):
        TokenFile(tmp_path)


@posix
def test_a_folder_that_others_may_write_into_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(OSError, match="other users may write"):
        TokenFile(shared / "token")
    shared.chmod(0o1777)  # as /tmp: nobody can replace what isn't theirs
    TokenFile(shared / "token")


@pytest.mark.parametrize(
    "held", [b"my notes", b"x" * 43, b"\xff" * 43, b"draftglass-", b"draftglass-" + b"x" * 44, b"\0", b"\n"]
)
def test_a_file_that_is_not_ours_is_left_alone(held: bytes, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_bytes(held)
    with pytest.raises(OSError, match=r"holds no token of Draftglass, so it is left alone: give another place"):
        TokenFile(path)
    assert [entry.read_bytes() for entry in tmp_path.iterdir()] == [held]


def test_an_earlier_servers_file_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = TokenFile(tmp_path / "token")
    (tmp_path / "token").write_text(first.token + "\n")
    assert TokenFile(tmp_path / "token").token != first.token
    (tmp_path / "token").write_text("")
    TokenFile(tmp_path / "token")
    monkeypatch.setattr("server.net.token_file.default_token_file", lambda: tmp_path / "old")
    (tmp_path / "old").write_text("x" * 43)  # of a version whose tokens had no mark
    TokenFile(tmp_path / "old")


def test_it_is_removed_unless_a_later_server_has_written_its_own(tmp_path: Path) -> None:
    first = TokenFile(tmp_path / "token")
    second = TokenFile(tmp_path / "token")
    first.remove()
    assert (tmp_path / "token").read_text() == second.token
    second.remove()
    assert not (tmp_path / "token").exists()
    second.remove()


def test_the_default_place_is_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA", "HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    assert tmp_path in default_token_file().parents
    assert default_token_file().name == "token"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"host": ""}, "host is ''"),
        ({"port": -1}, "port is -1"),
        ({"device": "gpu"}, "device is 'gpu', but must be one of auto, cpu, cuda, mps"),
        ({"allow_origins": ("example.org",)}, "origin is 'example.org'"),
        ({"allow_origins": ("*",)}, "origin is '*'"),
    ],
)
def test_a_wrong_configuration_is_told(values: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError) as caught:
        Config(**values)  # type: ignore[arg-type]
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False)],
)
def test_loopback_is_known(host: str, loopback: bool) -> None:
    assert Config(host=host).is_loopback is loopback
