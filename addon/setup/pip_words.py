"""Reads pip's output: its progress, and the type of problem. Standard library only; no bpy, no I/O.

pip's lines and its ``--progress-bar raw`` are those of the version that comes along as ``pip.zip``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ..problems import Problem
from ..problems.setup import (
    BadPipArguments,
    CertificateRefused,
    DiskFull,
    FileInUse,
    IndexRefused,
    NetworkFailed,
    NotWritable,
    PackageDamaged,
    PackageNotFound,
    PackagesConflict,
    PathTooLong,
    PipFailed,
    ProxyRefused,
    SetUpOutOfMemory,
)

OfTheDisk = DiskFull | NotWritable | PathTooLong | FileInUse
"""Causes that the operating system names in the same words to any program."""

_RAW = re.compile(r"Progress (\d+) of (\d+)")
_FILE = re.compile(r"\s*(?:Downloading|Using cached|Processing) (?:\S*/)?([A-Za-z0-9_.]+?)-\d\S*?\.whl(?!\.metadata)")
_INSTALLING = re.compile(r"Installing collected packages: (.+)")
_COLLECTING = re.compile(r"\s*(?:Collecting|Requirement already satisfied:) ([A-Za-z0-9_.-]+)")

_UNMET = re.compile(r"No matching distribution found for ([^\s(]+)")
_ABSENT = re.compile(r"no matching distributions available for your environment:\s+(\S+)")
# What a retry is told for, within the way that Python writes objects.
_PLAIN = re.compile(
    r"Connection refused|Connection reset by peer|Name or service not known|Temporary failure in name resolution|"
    r"getaddrinfo failed|Network is unreachable|No route to host|Read timed out|Connection to \S+ timed out|"
    r"Tunnel connection failed: [^'\"]+|Cannot connect to proxy|certificate verify failed: [^('\"]+|"
    r"Remote end closed connection"
)
_HOST = re.compile(r"host='([^']+)'")
# The first that fits is the cause: what pip says last is often only that nothing was found.
# Each is made of the place that pip writes to and of the line that names the cause.
_CAUSES: tuple[tuple[Callable[[str, str], Problem], str], ...] = (
    (
        lambda place, _: DiskFull(place),
        r"No space left on device|Errno 28\b|WinError 112|not enough space on the disk|Disk quota exceeded",
    ),
    (NotWritable, r"Read-only file system|Permission denied|Access is denied|WinError 5\b|Errno 13\b|Errno 30\b"),
    (
        lambda place, _: PathTooLong(place),
        r"Long Path support|WinError 206|filename or extension is too long|File name too long",
    ),
    (lambda place, _: FileInUse(place), r"WinError 32\b|being used by another process"),
    (
        lambda _, line: ProxyRefused(line),
        r"ProxyError|Tunnel connection failed|HTTP error 407|407 Proxy Authentication",
    ),
    (lambda _, line: CertificateRefused(line), r"CERTIFICATE_VERIFY_FAILED|SSLError|ssl certificate"),
    (lambda _, line: IndexRefused(line), r"HTTP error (?:401|403|5\d\d)|(?:401|403|5\d\d) (?:Client|Server) Error"),
    (
        lambda _, line: NetworkFailed(line),
        r"NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|Network is unreachable|getaddrinfo failed|"
        r"Name or service not known|Temporary failure in name resolution|Connection refused|Max retries exceeded|"
        r"Connection reset|IncompleteRead|ProtocolError|incomplete-download|Failed to establish a new connection",
    ),
    (
        lambda _, line: PackageDamaged(line),
        r"DO NOT MATCH THE HASHES|is not a valid wheel filename|has an invalid wheel|BadZipFile",
    ),
    (lambda _, line: PackagesConflict(line), r"ResolutionImpossible|conflicting dependencies"),
    (lambda _, line: BadPipArguments(line), r"no such option|option requires|error: argument|Invalid requirement"),
    (lambda _, line: SetUpOutOfMemory(line), r"MemoryError|Cannot allocate memory"),
)


@dataclass
class Reader:
    """Follows the lines of one run of pip.

    ``done``, ``total``: bytes of the file under way; ``finished``: bytes of those before it; ``name``: its package.
    """

    done: int = 0
    total: int = 0
    finished: int = 0
    name: str = ""
    files: int = 0
    installing: bool = False

    def read(self, line: str) -> None:
        """Take one line of pip's standard output."""
        if raw := _RAW.match(line):
            self.done, self.total = int(raw[1]), int(raw[2])
        elif file := _FILE.match(line):
            self.finished += self.total
            self.done = self.total = 0
            self.name = file[1].replace("_", "-")
            self.files += 1
        elif _INSTALLING.match(line):
            self.finished += self.total
            self.done = self.total = 0
            self.installing = True
        elif collecting := _COLLECTING.match(line):
            self.name = collecting[1]

    @property
    def bytes(self) -> int:
        """Bytes downloaded so far."""
        return self.finished + self.done


def cause(output: str, status: int, place: str) -> Problem:
    """What made pip fail with ``status``, from all that it printed; ``place``: the folder that it wrote to."""
    unmet = _UNMET.search(output)
    absent = _ABSENT.search(output)
    for make, pattern in _CAUSES:
        if found := re.search(pattern, output):
            problem = make(place, _line_of(output, found.start()))
            return PackageNotFound(absent[1]) if absent and isinstance(problem, PackagesConflict) else problem
    if unmet:
        return PackageNotFound(unmet[1].strip())
    if status in (-9, 137):
        return SetUpOutOfMemory(f"pip was ended with status {status}")
    errors = [line for line in output.splitlines() if line.startswith(("ERROR:", "error:"))]
    return PipFailed(errors[-1].split(":", 1)[1].strip() if errors else f"pip ended with status {status}")


def _line_of(output: str, position: int) -> str:
    begin = output.rfind("\n", 0, position) + 1
    end = output.find("\n", position)
    line = output[begin : end if end >= 0 else None].strip()
    if plain := _PLAIN.search(line):
        host = _HOST.search(line)
        return f"{host[1]}: {plain[0].strip()}" if host else plain[0].strip()
    return re.sub(r"^(?:ERROR|WARNING):\s*", "", line)[:300]
