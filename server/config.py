"""What a server is told at its start. Standard library only."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from .net.token_file import default_token_file

EMBEDDED = "embedded"
DEFAULT_PORT = 8765
"""Of a server that is started by hand; one that a program starts should take a free port, 0, and be asked."""
DEVICES = ("auto", "cpu", "cuda", "mps")
MOST_BATCH = 8
MODELS = Path(__file__).resolve().parent / "models"
"""Where the models lie that come with the server, one folder each."""


def default_models_dir() -> Path:
    """Where the user's own checkpoints, LoRAs and controls are looked for: a folder that is easy to find."""
    return Path.home() / "draftglass" / "models"


def expanded(path: str | Path) -> Path:
    """``path`` with a user's home in place of a ``~``; as it is, as in a shell, where there is no such user."""
    return Path(os.path.expanduser(path))


@dataclass(frozen=True)
class Config:
    """One server process. Raises ValueError with the name, the value and what would be valid.

    ``host``: an address or a name of this machine. ``port``: 0 takes any free one. ``model``: the path of a diffusers
    folder or a .safetensors file, or a name that ``python -m server models list`` shows; whether there is such a
    thing is for the catalogue to say. ``device``: one of ``DEVICES``, or ``cuda:1`` and so on.
    ``token_file``: where the token for clients is written. ``allow_origins``: the web pages, as
    ``scheme://host[:port]``, that may connect. ``models_dir``: the user's own models. ``idle_release``: seconds
    without a frame after which the model's memory is given back, 0 for never; the next frame loads it again.
    ``batch``: how many pictures of different clients are computed in one go, at most. ``compile``: whether
    torch.compile is to make frames faster, on CUDA. ``log_level``: one of ``server.net.logs.LEVELS``.
    ``allow_hosts``: names, beside addresses, by which others may call this machine.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    model: str = EMBEDDED
    device: str = "auto"
    token_file: Path = field(default_factory=default_token_file)
    allow_origins: tuple[str, ...] = ()
    models_dir: Path = field(default_factory=default_models_dir)
    idle_release: float = 0.0
    batch: int = 1
    compile: bool = False
    log_level: str = "info"
    allow_hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.host or any(character.isspace() for character in self.host):
            raise ValueError(f"host is {self.host!r}, but must be an address or a name, such as 127.0.0.1")
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port is {self.port}, but must be from 1 to 65535, or 0 for any free port")
        if self.device not in DEVICES and not re.fullmatch(r"cuda:\d+", self.device):
            raise ValueError(f"device is {self.device!r}, but must be one of {', '.join(DEVICES)} or cuda:NUMBER")
        try:
            self.model.encode()
        except UnicodeEncodeError:  # a path of other bytes; the tokenizers can't open it
            raise ValueError(f"model is {self.model!r}, whose name is not UTF-8: rename it") from None
        if not 0 <= self.idle_release < float("inf"):
            raise ValueError(f"idle release is {self.idle_release}, but must be seconds, or 0 for never")
        if not 1 <= self.batch <= MOST_BATCH:
            raise ValueError(f"batch is {self.batch}, but must be from 1 to {MOST_BATCH}")
        for origin in self.allow_origins:
            parts = urlsplit(origin)
            if not parts.scheme or not parts.netloc or parts.path or parts.query or parts.fragment:
                raise ValueError(
                    f"origin is {origin!r}, but must be what browsers send, such as https://example.org or "
                    "http://localhost:5173, with no path"
                )

        for host in self.allow_hosts:
            if not re.fullmatch(r"[A-Za-z0-9._-]{1,253}", host):
                raise ValueError(f"allowed host is {host!r}, but must be a name without a port, such as studio.local")

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() in ("localhost", "ip6-localhost")
