"""What pip reported and what it runs in: pins, sizes, environment variables. Standard library only; no bpy."""

from __future__ import annotations

import contextlib
import os
import urllib.request
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

SIZE_SECONDS = 10.0
_MISLEADING = {
    "PYTHONHOME", "PYTHONPATH", "PYTHONUSERBASE", "PYTHONSTARTUP", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT",
    "PIP_REQUIREMENT", "PIP_CONSTRAINT", "PIP_DRY_RUN", "PIP_REQUIRE_VIRTUALENV", "PIP_PYTHON", "__PYVENV_LAUNCHER__",
}  # fmt: skip


def total_size(urls: Iterable[str], otherwise: int) -> int:
    """Bytes that will be downloaded; at least ``otherwise`` where an index does not say."""
    with ThreadPoolExecutor(8) as pool:
        sizes = list(pool.map(size, urls))
    known = sum(one for one in sizes if one is not None)
    return known if None not in sizes else max(known, otherwise)


def size(url: str) -> int | None:
    """Bytes of a file that pip would fetch; 0 for one on this machine, None where nobody says."""
    if url.startswith("file:"):
        return 0
    with contextlib.suppress(Exception):  # whatever goes wrong here is pip's to tell, if it meets it too
        request = urllib.request.Request(url, method="HEAD")
        with urllib.request.urlopen(request, timeout=SIZE_SECONDS) as answer:
            return int(answer.headers["Content-Length"])
    return None


def pin(item: dict[str, Any]) -> str:
    """One package of pip's report as a line of requirements."""
    return f"{item['metadata']['name']}=={item['metadata']['version']}"


def environ(temporary: Path | None) -> dict[str, str]:
    """The caller's environment, so that pip keeps a person's own index, proxy and certificates; less what misleads."""
    variables = {key: value for key, value in os.environ.items() if key not in _MISLEADING}
    variables |= {"PYTHONNOUSERSITE": "1", "PIP_USER": "0", "PYTHONUTF8": "1", "HF_HUB_OFFLINE": "1"}
    if temporary is not None:
        variables |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))
    return variables
