"""What a server may report, of its model and of a client's messages. Standard library only; no bpy.

These cross the wire as a code and fields (``Status``, ``Failure``); docs/protocol.md lists them. ``detail`` is a
sentence of the server's own, for people only. ``needed`` and ``free`` are bytes of memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .report import Notice, Problem, Report, UnknownReport, Value, from_fields


@dataclass(frozen=True)
class BadMessage(Problem):
    """A message that is none of the protocol's."""

    detail: str


@dataclass(frozen=True)
class BadRequest(Problem):
    """A message that is well formed, but asks for something that cannot be done."""

    detail: str


@dataclass(frozen=True)
class TooLarge(Problem):
    """A message over the size that is allowed."""

    detail: str


@dataclass(frozen=True)
class ProtocolVersion(Problem):
    """Client and server speak different versions of the protocol."""

    client: int
    server: int


@dataclass(frozen=True)
class ModelFailed(Problem):
    """The model's files, or what it computes, are no good."""

    detail: str


@dataclass(frozen=True)
class ModelMissing(Problem):
    """There is no model of that name or path. ``known``: some that there are, separated by commas."""

    model: str
    known: str = ""


@dataclass(frozen=True)
class ModelNotDownloaded(Problem):
    """The server can get the model, but nobody has asked it to."""

    model: str
    download_bytes: int


@dataclass(frozen=True)
class ModelInUse(Problem):
    """``model`` cannot be removed; ``user``: another model that has parts of it, "" where it is in use itself."""

    model: str
    user: str = ""


@dataclass(frozen=True)
class ModelBusy(Problem):
    """``model`` is being downloaded, checked or removed already; ``task``: which of them, as a verb."""

    model: str
    task: str


@dataclass(frozen=True)
class NotDownloading(Problem):
    """There is no download of ``model`` to cancel."""

    model: str


@dataclass(frozen=True)
class LoraMissing(Problem):
    """There is no LoRA of that name. ``known``: some that there are, separated by commas."""

    lora: str
    known: str = ""


@dataclass(frozen=True)
class LoraFailed(Problem):
    """A LoRA's file is damaged, or made for another kind of model."""

    lora: str
    detail: str


@dataclass(frozen=True)
class ControlUnsupported(Problem):
    """The loaded model has nothing that follows a control of this kind."""

    control: str
    model: str


@dataclass(frozen=True)
class Unsupported(Problem):
    """The protocol knows ``feature``, a field or plane of a request, but this server does not support it."""

    feature: str


@dataclass(frozen=True)
class OutOfMemory(Problem):
    """Memory ran out, or would. ``task``: for what. ``device``: as torch names it; "cpu" is the computer's memory,
    "limit" what the system lets the server have of it.

    ``needed`` and ``free`` are 0 where they are not known.
    """

    task: str
    needed: int = 0
    free: int = 0
    device: str = ""

    @property
    def missing(self) -> int:
        """Bytes that were too few; 0 where that is not known."""
        return max(0, self.needed - self.free)


@dataclass(frozen=True)
class Internal(Problem):
    """A mistake in the server, or an error that nobody foresaw."""

    detail: str


@dataclass(frozen=True)
class LoadingStep(Notice):
    """The model is being loaded; ``step``: what is being done just now."""

    step: str


@dataclass(frozen=True)
class OtherModelLoading(Notice):
    """``model`` is being loaded beside ``serving``, which makes the pictures until it is ready."""

    model: str
    serving: str
    percent: int
    step: str


@dataclass(frozen=True)
class ModelSwapped(Notice):
    """There is no memory for both models: ``released`` was closed before ``model`` is loaded."""

    model: str
    released: str


@dataclass(frozen=True)
class ModelKept(Notice):
    """``wanted`` could not be loaded, so ``kept`` goes on."""

    wanted: str
    kept: str
    cause: Problem


@dataclass(frozen=True)
class ModelRestored(Notice):
    """``wanted`` could not be loaded in place of ``restored``, which was closed for it and is loaded again."""

    wanted: str
    restored: str
    cause: Problem


@dataclass(frozen=True)
class MemoryReleased(Notice):
    """The model's memory was given back after ``seconds`` without a frame; the next one loads it again."""

    model: str
    seconds: float


@dataclass(frozen=True)
class ReloadFailed(Notice):
    """A model whose memory was given back could not be loaded again; a later frame tries once more."""

    model: str
    cause: Problem


@dataclass(frozen=True)
class LoadedWithout(Notice):
    """The model is loaded, but without a part that does not fit it; ``detail`` says which and why."""

    detail: str


@dataclass(frozen=True)
class ServerSaid(Problem):
    """A code that this version does not know, in the server's own words."""

    unknown: str
    sentence: str = ""


FROM_SERVER: dict[str, type[Report]] = {
    kind.code: kind
    for kind in (
        BadMessage,
        BadRequest,
        TooLarge,
        ProtocolVersion,
        ModelFailed,
        ModelMissing,
        ModelNotDownloaded,
        ModelInUse,
        ModelBusy,
        NotDownloading,
        LoraMissing,
        LoraFailed,
        ControlUnsupported,
        Unsupported,
        OutOfMemory,
        Internal,
        LoadingStep,
        OtherModelLoading,
        ModelSwapped,
        ModelKept,
        ModelRestored,
        MemoryReleased,
        ReloadFailed,
        LoadedWithout,
    )
}
"""What a server may report, by code."""


ABOUT_MODELS = (BadRequest, ModelFailed, ModelMissing, ModelNotDownloaded, ModelInUse, ModelBusy, NotDownloading)
"""What may come of a wish about models: a failure without the id of a frame."""


@dataclass(frozen=True)
class ModelNotLoaded(Problem):
    """The server has no model to make pictures with."""

    cause: Problem


@dataclass(frozen=True)
class NoReason(Problem):
    """The server failed to load its model and did not say why."""


@dataclass(frozen=True)
class PictureFailed(Problem):
    """The newest view has no picture."""

    cause: Problem


def from_server(code: str, fields: Mapping[str, Value], sentence: str = "") -> Report:
    """The report behind a server's ``code`` and ``fields``; ``sentence``: its words, for a code not known here."""
    try:
        return from_fields(code, fields, FROM_SERVER)
    except UnknownReport:
        return ServerSaid(code, sentence)
