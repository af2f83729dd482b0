"""What can go wrong while the server is set up on this machine, and started. Standard library only; no bpy.

``place`` is a path on this machine, ``detail`` another program's own words, ``needed`` and ``free`` are bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from .report import Problem


@dataclass(frozen=True)
class NotSetUp(Problem):
    """There is no environment."""


@dataclass(frozen=True)
class SetUpOutdated(Problem):
    """The environment was made by another version of the extension."""


@dataclass(frozen=True)
class SetUpUnfinished(Problem):
    """A setup was interrupted."""


@dataclass(frozen=True)
class SetUpMoved(Problem):
    """The Python that the environment was made with is gone."""


@dataclass(frozen=True)
class OnlineAccessOff(Problem):
    """Blender allows no download."""


@dataclass(frozen=True)
class SetUpCancelled(Problem):
    """A person has cancelled it."""


@dataclass(frozen=True)
class SetUpElsewhere(Problem):
    """Another Blender is at work in the same folder."""

    place: str


@dataclass(frozen=True)
class NetworkFailed(Problem):
    """pip reached no server."""

    detail: str


@dataclass(frozen=True)
class ProxyRefused(Problem):
    """A proxy let nothing through."""

    detail: str


@dataclass(frozen=True)
class CertificateRefused(Problem):
    """TLS could not be verified."""

    detail: str


@dataclass(frozen=True)
class IndexRefused(Problem):
    """The package index answered with an error."""

    detail: str


@dataclass(frozen=True)
class PackageNotFound(Problem):
    """No wheel of ``package`` fits this machine and this Python."""

    package: str


@dataclass(frozen=True)
class NoTorchBuild(Problem):
    """PyTorch is not built for such a machine."""

    system: str
    architecture: str


@dataclass(frozen=True)
class PackagesConflict(Problem):
    """Two packages want different versions of a third."""

    detail: str


@dataclass(frozen=True)
class BadPipArguments(Problem):
    """The extra arguments in the preferences are no good."""

    detail: str


@dataclass(frozen=True)
class PackageDamaged(Problem):
    """A download is not what its checksum promises."""

    detail: str


@dataclass(frozen=True)
class NoRoom(Problem):
    """The disk has too little free space."""

    place: str
    needed: int
    free: int


@dataclass(frozen=True)
class DiskFull(Problem):
    """The disk became full during the setup."""

    place: str


@dataclass(frozen=True)
class NotWritable(Problem):
    """The right to write there is missing."""

    place: str
    detail: str


@dataclass(frozen=True)
class FolderUnusable(Problem):
    """The system reports any other error of a file or folder."""

    place: str
    detail: str


@dataclass(frozen=True)
class PathTooLong(Problem):
    """Windows' limit of 260 characters."""

    place: str


@dataclass(frozen=True)
class FileInUse(Problem):
    """Windows does not let go of a file."""

    place: str


@dataclass(frozen=True)
class EnvironmentFailed(Problem):
    """venv could not make an environment with ``python``."""

    python: str
    detail: str


@dataclass(frozen=True)
class PythonNotStarted(Problem):
    """The interpreter does not run."""

    python: str
    detail: str


@dataclass(frozen=True)
class RuntimeMissing(Problem):
    """Windows lacks a library that PyTorch links to."""

    detail: str


@dataclass(frozen=True)
class ImportFailed(Problem):
    """What was installed cannot be imported."""

    detail: str


@dataclass(frozen=True)
class SetUpOutOfMemory(Problem):
    """pip ran out of memory."""

    detail: str


@dataclass(frozen=True)
class PipFailed(Problem):
    """pip failed for a reason that is not among the others."""

    detail: str


@dataclass(frozen=True)
class SetUpDied(Problem):
    """The process that sets up ended without a word."""

    detail: str


@dataclass(frozen=True)
class DriverTooOld(Problem):
    """No build of PyTorch runs with the NVIDIA driver that is installed."""


@dataclass(frozen=True)
class GpuUnused(Problem):
    """A build for a GPU is installed, but PyTorch sees none."""


@dataclass(frozen=True)
class ServerNotStarted(Problem):
    """The system could not start the server's process."""

    python: str
    detail: str


@dataclass(frozen=True)
class ServerEndedAtStart(Problem):
    """Starting it again would not help."""

    detail: str


@dataclass(frozen=True)
class ServerCrashed(Problem):
    """It ended by itself, and is started again."""

    detail: str


@dataclass(frozen=True)
class ServerHung(Problem):
    """It did nothing any more and was ended, and is started again."""


FROM_SET_UP: dict[str, type[Problem]] = {
    kind.code: kind
    for kind in (
        SetUpElsewhere,
        NetworkFailed,
        ProxyRefused,
        CertificateRefused,
        IndexRefused,
        PackageNotFound,
        NoTorchBuild,
        PackagesConflict,
        BadPipArguments,
        PackageDamaged,
        NoRoom,
        DiskFull,
        NotWritable,
        FolderUnusable,
        PathTooLong,
        FileInUse,
        EnvironmentFailed,
        RuntimeMissing,
        ImportFailed,
        SetUpOutOfMemory,
        PipFailed,
    )
}
"""What the process that sets up may report, by code."""
