"""Sizes are asked for no longer than somebody answers, and no password gets into a log."""

from __future__ import annotations

import http.server
import threading
import time
from pathlib import Path

import pytest

from addon.setup.lookup import sizes, without_passwords


def test_the_first_that_is_silent_ends_the_questions(tmp_path: Path) -> None:
    """As with an index behind a proxy that only pip knows, where each question would take its ten seconds."""
    asked: list[str] = []

    class Index(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            asked.append(self.path)
            time.sleep(0.02)
            self.send_error(403)

        def log_message(self, *_: object) -> None:
            pass

    (tmp_path / "here.whl").write_bytes(bytes(1000))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index) as index:
        threading.Thread(target=index.serve_forever, daemon=True).start()
        urls = [f"http://127.0.0.1:{index.server_address[1]}/{number}.whl" for number in range(2000)]
        assert sizes([(tmp_path / "here.whl").as_uri(), *urls], 77_000) == (77_000, 77_000)
        index.shutdown()
    assert len(asked) < 1000


def test_between_two_answers_it_can_be_ended(tmp_path: Path) -> None:
    (tmp_path / "here.whl").write_bytes(bytes(1000))
    urls = [(tmp_path / "here.whl").as_uri()] * 3
    assert sizes(urls, 5) == (0, 3000)
    with pytest.raises(InterruptedError):
        sizes(urls, 5, lambda: (_ for _ in ()).throw(InterruptedError()))


def test_a_log_has_no_password() -> None:
    said = without_passwords(
        "pip install --proxy http://ann:s3cret@proxy.example:8080 --index-url https://t0ken@i.example/x"
    )
    assert "s3cret" not in said and "ann" not in said and "t0ken" not in said
    assert "http://...@proxy.example:8080" in said and "https://...@i.example/x" in said
    assert without_passwords("https://i.example/a@b torch==2.13.0") == "https://i.example/a@b torch==2.13.0"
