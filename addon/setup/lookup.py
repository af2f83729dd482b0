"""Sizes of what pip would install, and the environment variables that it runs with. Standard library only; no bpy."""

from __future__ import annotations

import contextlib
import os
import re
import urllib.request
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

SIZE_SECONDS = 10.0
_MISLEADING = {
    "PYTHONHOME", "PYTHONPATH", "PYTHONUSERBASE", "PYTHONSTARTUP", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT",
    "PIP_REQUIREMENT", "PIP_CONSTRAINT", "PIP_DRY_RUN", "PIP_REQUIRE_VIRTUALENV", "PIP_PYTHON", "__PYVENV_LAUNCHER__",
}  # fmt: skip


def sizes(urls: Iterable[str], otherwise: int, go_on: Callable[[], None] = lambda: None) -> tuple[int, int]:
    """Bytes to be downloaded, and bytes of all the files, those on this machine too.

    At least ``otherwise`` where an index does not say; after the first that is silent no more is asked, as it may take
    its time with each. ``go_on`` is called between two answers; what it raises ends this.
    """
    urls, found = list(urls), list[int | None]()
    pool = ThreadPoolExecutor(8)
    try:
        for answer in pool.map(size, urls):
            go_on()
            found.append(answer)
            if answer is None:
                break
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    known = [(one, url) for one, url in zip(found, urls, strict=False) if one is not None]
    files = sum(one for one, _ in known)
    download = sum(one for one, url in known if not url.startswith("file:"))
    return (download, files) if None not in found else (max(download, otherwise), max(files, otherwise))


def size(url: str) -> int | None:
    """Bytes of a file that pip would fetch; None where nobody says."""
    with contextlib.suppress(Exception):  # whatever goes wrong here is pip's to tell, if it meets it too
        if url.startswith("file:"):
            return os.path.getsize(urllib.request.url2pathname(urlsplit(url).path))
        request = urllib.request.Request(url, method="HEAD")
        with urllib.request.urlopen(request, timeout=SIZE_SECONDS) as answer:
            return int(answer.headers["Content-Length"])
    return None


def unpacked(files: int) -> float:
    """Bytes on the disk that wheels of so many bytes take: Python, with its compiled files, more than libraries.

    The build for the CPU: 266 MB become 1267 MB. CUDA's libraries: a little more than twice.
    """
    return 2.2 * files + 2.6 * min(files, 270_000_000)


def used(folder: Path) -> int:
    """Bytes of all files in a folder, of which some may go while it is looked at."""
    total, waiting = 0, [str(folder)]
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
    return total


def environ(temporary: Path | None) -> dict[str, str]:
    """The caller's environment, so that pip keeps a person's own index, proxy and certificates; less what misleads."""
    variables = {key: value for key, value in os.environ.items() if key not in _MISLEADING}
    variables |= {"PYTHONNOUSERSITE": "1", "PIP_USER": "0", "PYTHONUTF8": "1", "HF_HUB_OFFLINE": "1"}
    if temporary is not None:
        variables |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))
    return variables


def without_passwords(text: str) -> str:
    """``text`` with what stands before the @ of addresses left out, for a log that people show to others."""
    return re.sub(r"//[^/@\s]+@", "//...@", text)
