"""Somebody who pulls models: a home of their own, and the command as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from server.catalogue import read_presets
from tests.plain.catalogue.hub_server import PATIENT, Hub

ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 600
PARTS = {part.role: part for part in read_presets()["sd15"].parts}


@dataclass
class User:
    """Somebody with a home of their own."""

    home: Path
    hub: Hub

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        return kept | {"HF_HOME": str(self.home / "hf"), "HF_ENDPOINT": self.hub.url, **PATIENT} | more

    def start(self, *words: str, stdin: int = subprocess.DEVNULL, **more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "server", "models", "--models-dir", str(self.home / "models"), *words]
        pipes = {"stdin": stdin, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=ROOT, env=self.environment(**more), **pipes)  # type: ignore[call-overload]

    def run(self, *words: str, **more: str) -> tuple[int, str]:
        process = self.start(*words, **more)
        out, err = process.communicate(timeout=PATIENCE)
        return process.returncode, out + err

    def files(self) -> list[Path]:
        """All that lies in the cache now. A pull may be at work in it, and a folder it takes away is passed over
        by os.walk, where rglob raises."""
        return [Path(folder, name) for folder, _, names in os.walk(self.home / "hf") for name in names]

    def blobs(self) -> list[Path]:
        return [path for path in self.files() if path.parent.name == "blobs"]

    def partials(self) -> list[Path]:
        """Files that came in part; not the empty ones that were only begun."""
        return [path for path in self.files() if path.name.endswith(".draftglass.incomplete") and self.size(path)]

    @staticmethod
    def size(path: Path) -> int:
        try:
            return path.stat().st_size
        except FileNotFoundError:  # it has just become whole
            return 0

    def weights(self) -> list[str]:
        return [path.name for path in self.files() if "snapshots" in path.parts and path.suffix == ".safetensors"]


def events(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def until_partial(user: User, process: subprocess.Popen[str], size: int = 8 << 20) -> None:
    """Wait until the pull ``process`` has fetched ``size`` bytes of a file."""
    while max(map(user.size, user.partials()), default=0) < size:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def other_program(user: User, role: str, file: str) -> None:
    """Some other tool of the hub fetches ``file``."""
    part = PARTS[role]
    fetch = f"from huggingface_hub import hf_hub_download as d; d({part.repo!r}, {file!r}, revision={part.revision!r})"
    subprocess.run([sys.executable, "-c", fetch], env=user.environment(), check=True, timeout=PATIENCE)
