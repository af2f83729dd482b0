"""The words about what a server reports. Standard library only; no bpy."""

from __future__ import annotations

from .. import serving
from ..actions import Action
from .entry import says, size, written

_GIB = 1 << 30


def _out_of_memory(problem: serving.OutOfMemory) -> str:
    if not problem.needed:
        return (
            f"There is too little memory for {problem.task}: use a smaller size, close other programs or run the "
            "server with --device cpu."
        )
    needs, has = (f"{size / _GIB:.1f} GB" for size in (problem.needed, problem.free))
    if needs == has:
        needs, has = (f"{size >> 20} MB" for size in (problem.needed, problem.free))
    where, more = {
        "cpu": (f"the computer has {has} free", "add memory"),
        "limit": (f"the limit on the server's memory leaves {has}", "raise that limit"),
    }.get(problem.device, (f"the GPU {problem.device} has {has} free", "run the server with --device cpu"))
    smaller = "the embedded model (0.1 GB)" if problem.needed < 4 * _GIB else "an SD 1.5 model (about 2.5 GB)"
    if problem.device in ("cpu", "limit"):
        smaller += " or a smaller size"
    return (
        f"{problem.task[:1].upper()}{problem.task[1:]} needs about {needs} of memory, but "
        f"{where}: use {smaller}, close other programs or {more}."
    )


def _older(problem: serving.ProtocolVersion) -> str:
    return "client" if problem.client < problem.server else "server"


SERVING = (
    says(
        serving.BadMessage,
        lambda p: written(p.detail),
        "The server's log may say more.",
        Action.CONNECT_NOW,
        Action.OPEN_LOG,
    ),
    says(serving.BadRequest, lambda p: written(p.detail), "Correct the setting it names."),
    says(serving.TooLarge, lambda p: written(p.detail), "Use a smaller size.", Action.HALVE_SIZE),
    says(
        serving.ProtocolVersion,
        lambda p: (
            f"The client speaks version {p.client} of the protocol and the server version {p.server}: "
            f"update the {_older(p)}."
        ),
        "Install the same version of Draftglass on both machines.",
        Action.SET_UP,
        Action.OPEN_PREFERENCES,
    ),
    says(serving.ModelFailed, lambda p: written(p.detail), "Use another model.", Action.OPEN_LOG),
    says(
        serving.ModelMissing,
        lambda p: f"There is no model {p.model!r} on the server{f': choose one of {p.known}' if p.known else ''}.",
        "Choose another model, or download this one.",
    ),
    says(
        serving.ModelNotDownloaded,
        lambda p: f"The model {p.model} has not been downloaded yet ({size(p.download_bytes)}).",
        "Download it in the panel, or by: python -m server models pull NAME.",
    ),
    says(
        serving.ModelInUse,
        lambda p: (
            f"The model {p.model} is in use{f' by {p.user}, which shares parts of it' if p.user else ''}: "
            "load another model before you remove it."
        ),
        "Choose another model first.",
    ),
    says(
        serving.ModelBusy,
        lambda p: f"The model {p.model} is busy: wait until its {p.task} has ended, or cancel it.",
        "Wait a moment.",
    ),
    says(
        serving.NotDownloading,
        lambda p: f"The model {p.model} is not being downloaded: there is nothing to cancel.",
        "Nothing needs to be done.",
    ),
    says(
        serving.LoraMissing,
        lambda p: f"There is no LoRA {p.lora!r} on the server{f': there are {p.known}' if p.known else ''}.",
        "Choose another LoRA, or put its file back.",
    ),
    says(serving.LoraFailed, lambda p: f"The LoRA {p.lora!r} cannot be used: {p.detail}.", "Choose another LoRA."),
    says(
        serving.ControlUnsupported,
        lambda p: (
            f"The request asks for {p.control} control, but the model {p.model} has no {p.control} adapter or "
            f"ControlNet: set the {p.control} weight to 0, or load a model that has one."
        ),
        "Choose another model, or set the control's weight to 0.",
    ),
    says(
        serving.Unsupported,
        lambda p: f"This server does not support {p.feature} yet: leave {p.feature} out of the request.",
        "Update the server.",
        Action.SET_UP,
    ),
    says(
        serving.OutOfMemory,
        _out_of_memory,
        "A smaller picture or a smaller model needs less; so does Blender without Material Preview.",
        Action.HALVE_SIZE,
        Action.USE_SOLID_SHADING,
    ),
    says(serving.Internal, lambda p: f"The engine failed: {p.detail}.", "The server's log says more.", Action.OPEN_LOG),
    says(
        serving.ServerSaid,
        lambda p: written(p.sentence) or f"The server reports {p.unknown}.",
        "The server's log may say more.",
        Action.CONNECT_NOW,
        Action.OPEN_LOG,
    ),
    says(
        serving.NoReason,
        lambda _: "The server could not load its model and did not say why.",
        "See the server's log.",
        Action.OPEN_LOG,
        Action.OPEN_PREFERENCES,
    ),
    says(serving.LoadingStep, lambda n: written(n.step)),
    says(
        serving.OtherModelLoading,
        lambda n: f"Loading {n.model}, {n.percent} %: {n.step}; until it is ready, {n.serving} goes on.",
    ),
    says(
        serving.ModelSwapped,
        lambda n: f"There is not enough memory for both models: {n.released} is closed before {n.model} is loaded.",
    ),
)
