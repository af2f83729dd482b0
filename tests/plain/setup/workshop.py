"""Setups of small packages, for a test. No bpy."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from addon.setup import Plan, SetUp
from addon.setup.folder import environments
from tests.blender.wheels import make_index, make_wheel


class Workshop:
    """Plans for a folder of its own, whose packages come from an index of files; ``begin`` empties it for a test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self._wheels = [make_wheel(folder / "first wheels", "small-one", requires=("small-two",), files=40)]
        self._wheels.append(make_wheel(folder / "first wheels", "small-two", "2.5"))
        self._wheels.append(make_wheel(folder / "first wheels", "many-files", files=2500))
        self._finished = folder / "finished"

    def begin(self) -> None:
        """Leave nothing of an earlier test."""
        for used in (self.home, self.folder / "wheels", self.folder / "index"):
            shutil.rmtree(used, ignore_errors=True)
        self.index = make_index(self.folder / "index", self._wheels)

    def plan(self, *required: str, options: tuple[str, ...] | None = None, version: str = "1") -> Plan:
        requirements = self.folder / "requirements.txt"
        requirements.write_text("".join(f"{line}\n" for line in required))
        chosen = ("--index-url", self.index) if options is None else options
        return Plan(self.home, Path(sys.executable), requirements, None, "pip", chosen, version)

    def finished(self) -> Plan:
        """A plan of one small package that has been carried out: once for all tests, and copied."""
        plan = self.plan("small-two")
        if self._finished.exists():
            shutil.copytree(self._finished, self.home, symlinks=True, dirs_exist_ok=True)
        else:
            assert self.run(plan).state == "done"
            shutil.copytree(self.home, self._finished, symlinks=True)
        return plan

    def run(self, plan: Plan, each: Callable[[SetUp], None] = lambda _: None, seconds: float = 1200) -> SetUp:
        """Run a setup to its end."""
        run = SetUp(plan, self.home / "set-up.log")
        end = time.monotonic() + seconds
        while run.is_under_way:
            assert time.monotonic() < end, f"{run.state}: {run.line}"
            run.poll()
            each(run)
            time.sleep(0.02)
        return run


def left(home: Path) -> list[str]:
    """What lies among the environments."""
    folder = environments(home)
    return sorted(entry.name for entry in folder.iterdir() if entry.name != "lock") if folder.exists() else []
