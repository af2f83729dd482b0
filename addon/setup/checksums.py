"""The SHA-256 of what is installed: ours for the packages that we pin, else the index's own. Standard library only.

``server/hashes.txt`` lists ours, as pip writes them; ``tools/pin_hashes.py`` makes it. It has no builds of PyTorch's
own index, which have a version of their own (``+cu130``): there, what is installed is what that index named when it
was looked up.
"""

from __future__ import annotations

import hashlib
import re
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_PIN = re.compile(r"([\w.-]+)==([^\s;\\]+)", re.ASCII)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})\b")
Known = Mapping[tuple[str, str], frozenset[str]]
"""(name, version) -> the checksums that any of its files may have."""


class NoChecksum(Exception):
    """Nobody names a checksum for a package; the message says for which."""


def read(path: Path) -> Known:
    """The list at ``path``. Raises OSError."""
    known: dict[tuple[str, str], frozenset[str]] = {}
    for entry in path.read_text("utf-8").replace("\\\n", " ").splitlines():
        if pin := _PIN.match(entry.strip()):
            known[normal(pin[1]), pin[2]] = frozenset(_HASH.findall(entry))
    return known


def normal(name: str) -> str:
    """A package's name as all its ways to be written have it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def lock(chosen: Iterable[Mapping[str, Any]], hashes: Path | None) -> str:
    """Lines for ``pip install --require-hashes`` of just the packages of pip's report. Raises NoChecksum, OSError.

    ``hashes``: the list of those that are known.
    """
    known = read(hashes) if hashes is not None else {}
    return "".join(f"{pin(item)}{_options(item, known)}\n" for item in chosen)


def pin(item: Mapping[str, Any]) -> str:
    """One package of pip's report as a line of requirements."""
    return f"{item['metadata']['name']}=={item['metadata']['version']}"


def _options(item: Mapping[str, Any], known: Known) -> str:
    url = str(item["download_info"]["url"])
    right = set(known.get((normal(item["metadata"]["name"]), item["metadata"]["version"]), ()))
    if url.startswith("file:"):  # a person's own, from a folder that they have named
        path = Path(urllib.request.url2pathname(urlsplit(url).path))
        with path.open("rb") as file:
            right.add(hashlib.file_digest(file, "sha256").hexdigest())
    elif not right:
        said = item["download_info"].get("archive_info", {}).get("hashes", {}).get("sha256", "")
        right |= {said} if re.fullmatch(r"[0-9a-f]{64}", said) else set()
    if not right:
        raise NoChecksum(f"the package index names no SHA-256 for {pin(item)}")
    return "".join(f" --hash=sha256:{digest}" for digest in sorted(right))
