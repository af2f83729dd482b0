"""The words about setting up and starting the server. Standard library only; no bpy."""

from __future__ import annotations

from .. import setup
from ..actions import Action
from .entry import says, size

_TRY = (Action.TRY_SET_UP_AGAIN, Action.OPEN_LOG)
_DISK = (Action.TRY_SET_UP_AGAIN, Action.OPEN_FOLDER)

SETUP = (
    says(
        setup.NotSetUp,
        lambda _: "The server is not set up on this machine.",
        "Set it up; you are told the size before anything is downloaded.",
        Action.SET_UP,
    ),
    says(
        setup.SetUpOutdated,
        lambda _: "The server's environment belongs to another version of the extension.",
        "Update it: whatever has not changed is not downloaded again.",
        Action.SET_UP,
    ),
    says(
        setup.SetUpUnfinished,
        lambda _: "An earlier setup of the server was interrupted.",
        "Set it up again; the leftovers are removed first, and pip's cache keeps what was downloaded.",
        Action.SET_UP,
    ),
    says(
        setup.SetUpMoved,
        lambda _: "The server's environment no longer works, because the Blender that made it is gone.",
        "Set it up again with this Blender.",
        Action.SET_UP,
    ),
    says(
        setup.OnlineAccessOff,
        lambda _: "Blender's online access is off, so the server cannot be downloaded.",
        "Allow it in Blender's preferences, under System; or point pip at a folder of wheels in the add-on's "
        "preferences.",
        Action.ALLOW_ONLINE_ACCESS,
        Action.OPEN_PREFERENCES,
    ),
    says(
        setup.SetUpCancelled,
        lambda _: "The setup was cancelled, and everything it had made was removed.",
        "Set it up whenever you like.",
        Action.SET_UP,
    ),
    says(
        setup.SetUpElsewhere,
        lambda p: f"Another Blender is setting up the server in {p.place}.",
        "Wait until it has finished, then try again.",
        Action.TRY_SET_UP_AGAIN,
    ),
    says(
        setup.NetworkFailed,
        lambda p: f"The packages could not be downloaded because the network failed: {p.detail}.",
        "Check the network; what was downloaded is kept, so the next attempt continues from there.",
        *_TRY,
    ),
    says(
        setup.ProxyRefused,
        lambda p: f"The proxy refused the download: {p.detail}.",
        "Set the proxy for pip (pip config set global.proxy), or as an extra pip argument.",
        Action.OPEN_PREFERENCES,
        *_TRY,
    ),
    says(
        setup.CertificateRefused,
        lambda p: f"A certificate was rejected during the download: {p.detail}.",
        "Check the clock; behind a company's proxy, give pip its certificate (pip config set global.cert).",
        *_TRY,
    ),
    says(
        setup.IndexRefused,
        lambda p: f"The package index refused the request: {p.detail}.",
        "Try again later; if pip uses an index of your own, check its address and password.",
        *_TRY,
    ),
    says(
        setup.PackageNotFound,
        lambda p: f"pip finds no package {p.package} for this machine and this Python.",
        "Use another version of Blender, another build of PyTorch, or a Python of your own in the preferences.",
        Action.OPEN_PREFERENCES,
        Action.OPEN_LOG,
    ),
    says(
        setup.NoTorchBuild,
        lambda p: f"There is no build of PyTorch for this machine ({p.system} on {p.architecture}).",
        "Connect to a server on another machine by its address.",
        Action.OPEN_PREFERENCES,
    ),
    says(
        setup.PackagesConflict,
        lambda p: f"The packages conflict with each other: {p.detail}.",
        "Undo your changes to the extra pip arguments; if there are none, please report it with the log.",
        Action.OPEN_LOG,
        Action.OPEN_PREFERENCES,
    ),
    says(
        setup.BadPipArguments,
        lambda p: f"The extra pip arguments cannot be used: {p.detail}.",
        "Correct them in the preferences.",
        Action.OPEN_PREFERENCES,
    ),
    says(
        setup.PackageDamaged,
        lambda p: f"A downloaded package is damaged: {p.detail}.",
        "Try again; if that does not help, empty pip's cache (pip cache purge).",
        *_TRY,
    ),
    says(
        setup.NoRoom,
        lambda p: f"The setup needs {size(p.needed)} in {p.place}, but only {size(p.free)} are free.",
        "Free some space on that disk.",
        *_DISK,
    ),
    says(
        setup.DiskFull,
        lambda p: f"The disk filled up during the setup ({p.place}).",
        "Free some space on that disk.",
        *_DISK,
    ),
    says(
        setup.NotWritable,
        lambda p: f"Nothing can be written to {p.place}: {p.detail}.",
        "Give yourself write permission there; antivirus software may also be blocking it.",
        *_DISK,
    ),
    says(
        setup.FolderUnusable,
        lambda p: f"The file or folder {p.place} cannot be used: {p.detail}.",
        "Check the folder and its disk.",
        *_DISK,
    ),
    says(
        setup.PathTooLong,
        lambda p: f"A path in {p.place} is too long for Windows.",
        "Enable long paths in Windows (under its developer settings), then try again.",
        *_TRY,
    ),
    says(
        setup.FileInUse,
        lambda p: f"A file in {p.place} is in use by another program.",
        "Close other Blenders, then try again.",
        *_TRY,
    ),
    says(
        setup.EnvironmentFailed,
        lambda p: f"Blender's Python ({p.python}) could not make an environment: {p.detail}.",
        "Use the Blender from blender.org, or a Python of your own in the preferences.",
        Action.OPEN_PREFERENCES,
        Action.OPEN_LOG,
    ),
    says(
        setup.PythonNotStarted,
        lambda p: f"Blender's Python ({p.python}) cannot be started: {p.detail}.",
        "Use the Blender from blender.org, or a Python of your own in the preferences.",
        Action.OPEN_PREFERENCES,
    ),
    says(
        setup.RuntimeMissing,
        lambda p: f"PyTorch was installed, but Windows lacks a library that it needs: {p.detail}.",
        "Install Microsoft's Visual C++ Redistributable (x64), then try again.",
        *_TRY,
    ),
    says(
        setup.ImportFailed,
        lambda p: f"The installed packages do not start: {p.detail}.",
        "Try another build of PyTorch in the preferences.",
        Action.OPEN_PREFERENCES,
        *_TRY,
    ),
    says(
        setup.SetUpOutOfMemory,
        lambda p: f"The setup ran out of memory: {p.detail}.",
        "Close other programs, then try again.",
        *_TRY,
    ),
    says(
        setup.PipFailed,
        lambda p: f"pip could not install the packages: {p.detail}.",
        "The log has everything pip said.",
        Action.OPEN_LOG,
        Action.TRY_SET_UP_AGAIN,
    ),
    says(
        setup.SetUpDied,
        lambda p: f"The setup ended before it was finished: {p.detail}.",
        "Try again; everything it had made is removed first.",
        *_TRY,
    ),
    says(
        setup.DriverTooOld,
        lambda _: "The NVIDIA driver is too old, so pictures are made on the CPU.",
        "Update the driver to 580 or newer, then set the server up again.",
        Action.SET_UP,
    ),
    says(
        setup.GpuUnused,
        lambda _: "PyTorch does not see the GPU, so pictures are made on the CPU.",
        "Update the GPU's driver, or choose another build of PyTorch in the preferences and set the server up again.",
        Action.OPEN_PREFERENCES,
        Action.OPEN_LOG,
    ),
    says(
        setup.ServerNotStarted,
        lambda p: f"The server could not be started with {p.python}: {p.detail}.",
        "Set the server up again, or correct the Python in the preferences.",
        Action.SET_UP,
        Action.OPEN_PREFERENCES,
    ),
    says(
        setup.ServerEndedAtStart,
        lambda p: f"The server ends as soon as it is started: {p.detail}.",
        "See its log; setting it up again may help.",
        Action.RESTART_SERVER,
        Action.OPEN_LOG,
        Action.SET_UP,
    ),
    says(
        setup.ServerCrashed,
        lambda p: f"The server has crashed ({p.detail}) and is being started again.",
        "Wait a few seconds; its log says more.",
        Action.RESTART_SERVER,
        Action.OPEN_LOG,
    ),
    says(
        setup.ServerHung,
        lambda _: "The server stopped responding, so it was ended and is being started again.",
        "Wait a few seconds; its log may say more.",
        Action.RESTART_SERVER,
        Action.OPEN_LOG,
    ),
)
