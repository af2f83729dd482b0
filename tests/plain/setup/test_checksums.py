"""Pins with checksums: the shipped list fits the pins, and pip installs nothing that has another one."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from addon.problems.setup import PackageDamaged
from addon.setup.checksums import NoChecksum, lock, normal, read
from tests.plain.setup.workshop import Workshop, left

ROOT = Path(__file__).resolve().parents[3]
HASHES = ROOT / "server" / "hashes.txt"


def pins(path: Path) -> set[tuple[str, str]]:
    lines = (line.split(";")[0].strip() for line in path.read_text().splitlines())
    return {(normal(name), version) for line in lines if "==" in line for name, version in [line.split("==")]}


def test_the_list_has_what_is_pinned_and_nothing_else_of_it() -> None:
    known = read(HASHES)
    assert pins(ROOT / "server" / "requirements.txt") <= known.keys()
    assert all(known.values()), "each has a checksum"
    pinned = pins(ROOT / "constraints.txt")
    names = {name for name, _ in pinned}
    assert {pin for pin in known if pin[0] in names} <= pinned, "made anew with every pin: python -m tools.pin_hashes"


def test_the_bundled_wheels_are_those_of_the_list() -> None:
    known = read(HASHES)
    for wheel in (ROOT / "wheels").glob("*.whl"):
        name, version = wheel.name.split("-")[:2]
        assert hashlib.sha256(wheel.read_bytes()).hexdigest() in known[normal(name), version], wheel.name


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()


def test_a_package_with_another_checksum_than_ours_is_not_installed(workshop: Workshop) -> None:
    hashes = workshop.folder / "hashes.txt"
    digest = hashlib.sha256(b"what we once saw").hexdigest()
    hashes.write_text(f"small_two==2.5 ; python_version > '3' \\\n    --hash=sha256:{digest}\n")
    with served(workshop.folder / "index") as index:
        run = workshop.run(replace(workshop.plan("small-two==2.5", options=("--index-url", index)), hashes=hashes))
    assert isinstance(run.problem, PackageDamaged) and left(workshop.home) == []


def item(version: str, **info: object) -> dict[str, object]:
    return {"metadata": {"name": "Torch", "version": version}, "download_info": info}


def test_builds_of_pytorchs_index_go_by_what_it_names(tmp_path: Path) -> None:
    hashes = tmp_path / "hashes.txt"
    hashes.write_text("torch==2.13.0 \\\n    --hash=sha256:" + "a" * 64 + " \\\n    --hash=sha256:" + "b" * 64 + "\n")
    said = {"url": "https://index/torch.whl", "archive_info": {"hashes": {"sha256": "c" * 64}}}
    cuda = lock([item("2.13.0+cu130", **said)], hashes)
    assert cuda == "Torch==2.13.0+cu130 --hash=sha256:" + "c" * 64 + "\n"
    plain = lock([item("2.13.0", **said)], hashes)
    assert plain == "Torch==2.13.0 --hash=sha256:" + "a" * 64 + " --hash=sha256:" + "b" * 64 + "\n"
    with pytest.raises(NoChecksum, match=r"names no SHA-256 for Torch==2\.13\.0\+cpu"):
        lock([item("2.13.0+cpu", url="https://index/torch.whl", archive_info={"hashes": {"md5": "c"}})], hashes)
    own = tmp_path / "torch.whl"
    own.write_bytes(b"a build of one's own")
    assert hashlib.sha256(own.read_bytes()).hexdigest() in lock([item("2.13.0+own", url=own.as_uri())], None)
