"""A GET from the hub that is bounded, whoever answers. No torch.

The bytes are taken as they come: what a server compresses, whatever was asked for, is refused and not inflated, and
the body of an answer that says no is not read.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import httpx2
from huggingface_hub import constants, get_token
from huggingface_hub.utils import get_session  # type: ignore[attr-defined]

from addon.version import VERSION

from .cache import HubError

CHUNK = 1 << 20
"""Bytes at a time; more would let progress and cancel wait long on a slow line."""
TRIES = 5
TRANSIENT = (httpx2.TimeoutException, httpx2.NetworkError, httpx2.RemoteProtocolError)
BUSY = (408, 429, 503)


class Answered(Exception):
    """The hub said no: an HTTP ``status``, and its own ``code`` such as ``RepoNotFound``, or empty."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(status, code)
        self.status, self.code = status, code


class WrongSize(HubError):
    """What comes is longer or shorter than announced."""


def read(url: str, limit: int, what: str) -> bytes:
    """The whole answer, of at most ``limit`` bytes. Raises HubError, Answered, or an error of httpx2."""
    data = bytearray()
    with _asked(url, 0, what) as response:
        for chunk in response.iter_raw(CHUNK):
            data += chunk
            if len(data) > limit:
                raise HubError(f"{_host()} answers with more than {limit >> 20} MB of {what}: this is no hub")
    return bytes(data)


def append(url: str, file: BinaryIO, size: int, on_bytes: Callable[[int], None], what: str) -> None:
    """Write to ``file`` what it lacks of ``size`` bytes, and never more.

    ``on_bytes`` gets the bytes that came, less than none where the hub began anew. A connection that breaks off is
    taken up. Raises WrongSize, Answered, HubError, or an error of httpx2.
    """
    left = TRIES
    while (have := file.tell()) < size:
        try:
            _append(url, file, size, on_bytes, what)
        except (*TRANSIENT, Answered) as error:
            left = TRIES if file.tell() > have else left - 1
            if not left or (isinstance(error, Answered) and error.status not in BUSY):
                raise
            time.sleep(1.0)


def _append(url: str, file: BinaryIO, size: int, on_bytes: Callable[[int], None], what: str) -> None:
    with _asked(url, file.tell(), what) as response:
        if response.status_code != 206 and file.tell():  # a proxy that knows no parts
            on_bytes(-file.tell())
            file.seek(0)
            file.truncate()
        announced = response.headers.get("Content-Length", "")
        if announced.isdecimal() and len(announced) < 20 and file.tell() + int(announced) != size:
            raise _wrong(what, size, str(file.tell() + int(announced)))
        for chunk in response.iter_raw(CHUNK):
            if file.tell() + len(chunk) > size:
                raise _wrong(what, size, "more")
            file.write(chunk)
            on_bytes(len(chunk))
    if file.tell() < size:
        raise _wrong(what, size, str(file.tell()))


@contextlib.contextmanager
def _asked(url: str, start: int, what: str) -> Iterator[Any]:
    # the library's own headers would ask the hub for more, and tell it more
    headers = {"User-Agent": f"draftglass/{VERSION}", "Accept-Encoding": "identity"}
    if not constants.HF_HUB_DISABLE_IMPLICIT_TOKEN and (token := get_token()):
        headers["Authorization"] = f"Bearer {token}"
    if start:
        headers["Range"] = f"bytes={start}-"
    timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
    with get_session().stream("GET", url, headers=headers, timeout=timeout) as response:
        if response.status_code not in (200, 206):
            raise Answered(response.status_code, response.headers.get("X-Error-Code", ""))
        if (packed := response.headers.get("Content-Encoding", "identity").strip().lower()) != "identity":
            raise HubError(f"{_host()} sends {what} compressed ({packed[:20]!r}), which was not asked for")
        yield response


def _wrong(what: str, size: int, came: str) -> WrongSize:
    return WrongSize(f"{what} is announced with {size} bytes and came with {came}: pull again, or from another hub")


def _host() -> str:
    return str(constants.ENDPOINT)
