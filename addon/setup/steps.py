"""The steps that make an environment. Standard library only; no bpy; runs in a process of its own, and waits there."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..problems import EnvironmentState, Problem
from ..problems.setup import (
    EnvironmentFailed,
    FolderUnusable,
    ImportFailed,
    NoRoom,
    NoTorchBuild,
    PackagesConflict,
    PipFailed,
    RuntimeMissing,
    SetUpElsewhere,
)
from . import checksums
from . import folder as folders
from .lookup import environ, sizes, unpacked, used, without_passwords
from .machine import BUILDS, Build, choose, detect
from .pip_words import OfTheDisk, Reader, cause
from .plan import AUTO, Plan
from .progress import Progress, size_in_words

PIP = Path(__file__).with_name("pip.zip")
"""pip's own wheel: not every Python comes with one (Debian's does not), and an old one does not tell its progress.

uv is three times as fast, but would be a program of 18 MB for each system in the zip, and takes nothing of the proxy,
certificate and index that people have told pip.
"""
CHECK = Path(__file__).with_name("check.py")


class Failed(Exception):
    """A step failed, by this ``problem``."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem


class Cancelled(Exception):
    """The person, or the end of Blender, has ended it."""


class Steps:
    """One setup from the first folder to the last check; ``say`` takes each event, a dictionary of plain values.

    :meth:`cancel` may be called from another thread. After any failure the environment's folder is as it was before:
    gone, or the one that was complete.
    """

    def __init__(self, plan: Plan, say: Callable[[dict[str, Any]], None], log: Path) -> None:
        self._plan, self._say, self._log = plan, say, log
        self._progress = Progress(time.monotonic)
        self._cancelled = threading.Event()
        self._child: subprocess.Popen[str] | None = None

    def cancel(self) -> None:
        """End as soon as may be, and roll back."""
        self._cancelled.set()
        with contextlib.suppress(OSError, AttributeError):
            self._child.terminate()  # type: ignore[union-attr]

    def run(self) -> None:
        """Make the environment. Raises Failed or Cancelled; by then it is rolled back."""
        try:
            folder = self._plan.folder
            with folders.alone(self._plan.home) as mine:
                if not mine:
                    raise Failed(SetUpElsewhere(str(self._plan.home)))
                with folders.rolled_back(folder):
                    self._make(folder)
                for other in folders.others(self._plan.home, folder):
                    with contextlib.suppress(OSError):  # in use by another Blender: the next setup removes it
                        folders.remove(other)
        except OSError as error:
            raise self._from_os(error) from error

    def _make(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        folders.write(folder, state=EnvironmentState.INCOMPLETE, version=self._plan.version)
        self._tell("environment", 0.1, "Looking at this machine")
        build = self._build()
        self._tell("environment", 0.4, "Making the environment")
        self._environment(folder)
        self._tell("lookup", 0.0, "Looking up what is needed")
        chosen = self._lookup(folder, build)
        urls = [item["download_info"]["url"] for item in chosen]
        download, files = sizes(urls, build.download, self._stop_if_cancelled)
        self._room(folder, download + unpacked(files))
        self._install(folder, build, chosen, download, unpacked(files))
        self._tell("check", 0.0, "Checking that it works")
        found = self._check(folder)
        folders.write(
            folder, state=EnvironmentState.COMPLETE, version=self._plan.version, build=build.name,
            found=found["device"],
            computes_on=found["computes_on"],
            packages=str(len(chosen)),
        )  # fmt: skip
        self._tell("check", 1.0, "Done")

    def _build(self) -> Build:
        if self._plan.build != AUTO:
            return BUILDS[self._plan.build]
        machine = detect()
        choice = choose(machine)
        if choice is None:
            raise Failed(NoTorchBuild(machine.system, machine.architecture))
        self._note(f"found: {choice.words}; build: {choice.build.words}")
        return choice.build

    def _environment(self, folder: Path) -> None:
        made = self._python([str(self._plan.python), "-m", "venv", "--without-pip", str(folder)])
        if made.returncode or not folders.python_of(folder).exists():
            problem = cause(made.stdout, made.returncode, str(folder))
            if not isinstance(problem, OfTheDisk):
                problem = EnvironmentFailed(str(self._plan.python), _last(made))
            raise Failed(problem)
        packages = folders.site_packages(folder)
        packages.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(PIP) as archive:
            archive.extractall(packages)

    def _lookup(self, folder: Path, build: Build) -> list[dict[str, Any]]:
        """Everything that pip would install, as its report names it."""
        report = folder / "report.json"
        self._run_pip(
            folder,
            ["--dry-run", "--quiet", "--report", str(report), *self._wanted(build)],
            lambda reader: self._tell("lookup", 0.5, "Looking up what is needed"),
        )
        return list(json.loads(report.read_text("utf-8"))["install"])

    def _wanted(self, build: Build) -> list[str]:
        words = ["-r", str(self._plan.requirements)]
        if self._plan.constraints:
            words += ["-c", str(self._plan.constraints)]
        return [*words, *self._plan.torch_arguments(build), *self._plan.options]

    def _room(self, folder: Path, needed: float) -> None:
        free = shutil.disk_usage(folder).free
        if free < needed:
            raise Failed(NoRoom(str(folder), round(needed), free))

    def _install(
        self, folder: Path, build: Build, chosen: list[dict[str, Any]], download: int, unpacked: float
    ) -> None:
        """Install what the look-up found, in just those versions and files."""
        locked = folder / "locked.txt"
        try:
            locked.write_text(checksums.lock(chosen, self._plan.hashes), "utf-8")
        except checksums.NoChecksum as missing:
            raise Failed(PipFailed(str(missing))) from None
        words = [
            "--no-deps",
            "--require-hashes",
            "-r",
            str(locked),
            *self._plan.torch_arguments(build)[:2],
            *self._plan.options,
        ]
        packages = folders.site_packages(folder)
        before, looked = used(packages), 0.0

        def told(reader: Reader) -> None:
            nonlocal looked
            if not reader.installing:
                part = reader.bytes / download if download else reader.files / max(1, len(chosen))
                done = f"{size_in_words(reader.bytes)} of {size_in_words(download)}" if download else ""
                self._tell("download", part, f"Downloading {reader.name}" if reader.name else "Downloading", done)
            elif time.monotonic() - looked > 1.0:
                looked = time.monotonic()
                part = (used(packages) - before) / max(1.0, unpacked)
                self._tell("install", part, f"Installing {len(chosen)} packages")

        self._tell("download", 0.0, f"Downloading {size_in_words(download)}")
        self._run_pip(folder, ["--progress-bar", "raw", *words], told)
        for rest in (folder / "tmp", folder / "report.json"):
            shutil.rmtree(rest) if rest.is_dir() else rest.unlink(missing_ok=True)

    def _check(self, folder: Path) -> dict[str, str]:
        """What the environment computes with: ``device`` in words, ``computes_on`` as torch names it."""
        python = str(folders.python_of(folder))
        checked = self._python([python, "-m", "pip", "check", "--disable-pip-version-check"])
        if checked.returncode:
            raise Failed(PackagesConflict(_last(checked)))
        names = [line.split("==")[0].split("[")[0] for line in self._plan.required()]
        tried = self._python([python, str(CHECK), *names])
        self._note(tried.stdout)
        try:
            found = json.loads(tried.stdout.strip().splitlines()[-1])
        except (ValueError, IndexError):
            found = {"error": _last(tried)}
        if "error" in found:
            missing_dll = "DLL load failed" in found["error"] or "WinError 126" in found["error"]
            raise Failed((RuntimeMissing if missing_dll else ImportFailed)(found["error"][:300]))
        return {key: str(value) for key, value in found.items()}

    def _run_pip(self, folder: Path, words: list[str], told: Callable[[Reader], None]) -> None:
        """Run ``pip install`` and follow it. Raises Failed with pip's reason."""
        self._stop_if_cancelled()
        temporary = folder / "tmp"  # on the same disk as the rest: /tmp may be small
        temporary.mkdir(exist_ok=True)
        command = [
            str(folders.python_of(folder)), "-u", "-m", "pip", "install", "--no-input", "--disable-pip-version-check",
            "--no-color", "--only-binary", ":all:", "--retries", "3", *words,
        ]  # fmt: skip
        reader, printed = Reader(), []
        with open(self._log, "a", encoding="utf-8", errors="replace") as log:
            log.write(f"\n$ {without_passwords(' '.join(command))}\n")
            self._child = subprocess.Popen(
                command, env=environ(temporary), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace",
            )  # fmt: skip
            if self._cancelled.is_set():
                self._child.terminate()
            watch = threading.Thread(target=self._watch, args=(self._child, reader, told), daemon=True)
            watch.start()  # while pip installs it prints nothing
            assert self._child.stdout is not None
            for line in self._child.stdout:
                reader.read(line)
                if not line.startswith("Progress "):
                    printed.append(line)
                    log.write(line)
            status = self._child.wait()
            watch.join()
        self._stop_if_cancelled()
        if status:
            raise Failed(cause("".join(printed), status, str(folder)))

    def _watch(self, pip: subprocess.Popen[str], reader: Reader, told: Callable[[Reader], None]) -> None:
        while pip.poll() is None:
            told(reader)
            time.sleep(0.2)

    def _python(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run something short to its end, with all that it prints in ``stdout``."""
        self._stop_if_cancelled()
        with subprocess.Popen(
            command, env=environ(None), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, encoding="utf-8", errors="replace",
        ) as self._child:  # fmt: skip
            if self._cancelled.is_set():
                self._child.terminate()
            printed, _ = self._child.communicate()
        self._stop_if_cancelled()
        done = subprocess.CompletedProcess(command, self._child.returncode, printed)
        self._note(f"$ {' '.join(command)}\n{done.stdout}")
        return done

    def _tell(self, step: str, part: float, words: str, detail: str = "") -> None:
        self._progress.at(step, part)
        left = self._progress.seconds_left
        self._say(
            {"event": "step", "step": step, "fraction": round(self._progress.fraction, 4), "words": words,
             "detail": detail, "left": None if left is None else round(left, 1)}
        )  # fmt: skip

    def _note(self, text: str) -> None:
        with contextlib.suppress(OSError), open(self._log, "a", encoding="utf-8", errors="replace") as log:
            log.write(text.rstrip() + "\n")

    def _stop_if_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise Cancelled

    def _from_os(self, error: OSError) -> Failed:
        place = str(error.filename or self._plan.home)
        problem = cause(str(error), 1, place)
        return Failed(
            problem if isinstance(problem, OfTheDisk) else FolderUnusable(place, error.strerror or str(error))
        )


def _last(ended: subprocess.CompletedProcess[str]) -> str:
    """The last line that a program printed, or else its status."""
    lines = [line.strip() for line in ended.stdout.splitlines() if line.strip()]
    return lines[-1] if lines else f"status {ended.returncode}"
