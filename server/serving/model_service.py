"""What clients ask about models: the list, downloads, switching. asyncio and processes of its own; no torch."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from addon.problems.serving import ModelBusy, ModelInUse, NotDownloading
from addon.wire import (
    CancelPull,
    Failure,
    ListModels,
    LoadModel,
    ModelProgress,
    Models,
    ProtocolError,
    PullModel,
    RemoveModel,
    VerifyModel,
    pack,
)
from addon.wire.models import MAX_ENTRIES

from ..catalogue import Catalogue
from ..catalogue.cancel import CANCEL
from ..catalogue.records import cancelled
from ..engine import EngineError, ModelSpec
from .model_in_use import Load
from .reports import failure_of, line
from .worker import Worker

ROOT = Path(__file__).resolve().parents[2]
VERBS = {PullModel: "pull", RemoveModel: "remove", VerifyModel: "verify"}
TASKS = {"pull": "download", "remove": "removal", "verify": "check"}
"""What a person calls each of them."""
Ask = ListModels | LoadModel | PullModel | CancelPull | RemoveModel | VerifyModel
Answer = Models | ModelProgress | Failure


class Asker(Protocol):
    """A client that may ask."""

    def deliver(self, message: Any) -> None: ...


class ModelService:
    """Answers clients about the models of ``catalogue``. Every name is looked up there: no path comes in by the wire.

    A download runs as a process of its own, ``python -m server models``, which can be ended at once. Whoever has
    asked for anything hears how all of it goes. ``loader`` makes what loads a model.
    """

    def __init__(self, catalogue: Catalogue, worker: Worker, loader: Callable[[ModelSpec], Load]) -> None:
        self._catalogue = catalogue
        self._worker = worker
        self._loader = loader
        self._askers: set[Asker] = set()
        self._running: dict[str, tuple[str, asyncio.subprocess.Process | None]] = {}
        self._cancelled: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def answer(self, asker: Asker, message: Ask) -> None:
        """Do what ``message`` asks for. What goes wrong is told to ``asker``."""
        self._askers.add(asker)
        try:
            match message:
                case ListModels():
                    asker.deliver(await self._models())
                case LoadModel():
                    spec = await asyncio.to_thread(self._catalogue.model, message.name)
                    self._worker.switch(message.name, self._loader(spec))
                case CancelPull():
                    await asyncio.to_thread(self._catalogue.preset, message.name)
                    self._cancel(message.name)
                case _:
                    await self._start(VERBS[type(message)], message.name)
        except EngineError as error:
            asker.deliver(failure_of(error.problem))

    def leave(self, asker: Asker) -> None:
        """``asker`` has left; its downloads go on."""
        self._askers.discard(asker)

    async def close(self) -> None:
        """End the downloads: what came whole stays, to be taken up again."""
        for _, process in self._running.values():
            if process is not None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _models(self) -> Models:
        entries = await asyncio.to_thread(self._catalogue.entries)
        folder = line(str(self._catalogue.folder), 4000)
        shown = entries[:MAX_ENTRIES]
        while True:
            models = Models(shown, folder, len(entries) - len(shown))
            try:
                pack(models)
                return models
            except ProtocolError:  # more than a message holds: what is known of each is shortened first, then the list
                short = tuple(replace(entry, sentence=entry.sentence[:100], title=entry.title[:60]) for entry in shown)
                shown = short if short != shown else shown[: len(shown) * 9 // 10]

    async def _start(self, verb: str, name: str) -> None:
        await asyncio.to_thread(self._catalogue.preset, name)
        if verb == "remove" and (
            users := await asyncio.to_thread(self._catalogue.borrowers, name, self._worker.models)
        ):
            raise EngineError(ModelInUse(name, "" if name in users else users[0]))
        if name in self._running:
            raise EngineError(ModelBusy(name, TASKS[self._running[name][0]]))
        self._running[name] = (verb, None)  # before anything is waited for: another client may ask the same
        try:
            process = await self._spawn(verb, name)
        except OSError as error:
            del self._running[name]
            self._cancelled.discard(name)
            raise EngineError(f"{name}: no process could be started for this: {error}") from None
        self._running[name] = (verb, process)
        if name in self._cancelled:
            _tell_to_end(process)
        task = asyncio.create_task(self._follow(name, process))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _spawn(self, verb: str, name: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # without the working folder, which others may write into
            "-m",
            "server",
            "models",
            "--models-dir",
            str(self._catalogue.folder.absolute()),
            verb,
            name,
            "--json",
            cwd=tempfile.gettempdir(),  # not the extension's folder: on Windows that could not be updated then
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )

    def _cancel(self, name: str) -> None:
        verb, process = self._running.get(name, ("", None))
        if verb != "pull":
            raise EngineError(NotDownloading(name))
        self._cancelled.add(name)
        if process is not None:  # else it is being started, and ended then
            _tell_to_end(process)

    async def _follow(self, name: str, process: asyncio.subprocess.Process) -> None:
        """Tell how ``process`` goes, until its last word."""
        assert process.stdout is not None
        last: ModelProgress | None = None
        try:
            while said := await process.stdout.readline():
                with contextlib.suppress(ValueError, TypeError, KeyError, ProtocolError):
                    last = _progress(name, json.loads(said))
                    if last.state in ("pulling", "verifying"):
                        self._tell(last)
            await process.wait()
        finally:
            self._running.pop(name, None)
            was_cancelled = name in self._cancelled
            self._cancelled.discard(name)
        if was_cancelled and (last is None or last.state == "pulling"):  # it ended before it could say so
            words = await asyncio.to_thread(cancelled, name, self._catalogue.records)
            last = ModelProgress(name, "cancelled", sentence=words)
        if last is None or last.state in ("pulling", "verifying"):
            last = ModelProgress(name, "failed", sentence=f"{name}: the process that should do this ended too soon")
        self._tell(last)
        self._tell(await self._models())

    def _tell(self, message: Answer) -> None:
        for asker in list(self._askers):
            asker.deliver(message)


def _tell_to_end(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.write(CANCEL)


def _progress(name: str, said: dict[str, Any]) -> ModelProgress:
    return ModelProgress(name, said["state"], said["done"], said["total"], line(said["sentence"], 4000))
