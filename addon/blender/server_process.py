"""A server of our own, as a child process. Imports bpy for the folder; nothing here waits."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import bpy

from ..live import Address
from .preferences import PACKAGE

ROOT = Path(__file__).resolve().parents[2]


class ServerProcess:
    """``python -m server`` on a free port of this machine. It ends when Blender does, however Blender ends."""

    def __init__(self, python: Path) -> None:
        self.failure = ""
        self._address: Address | None = None
        self._line = b""
        self._process: subprocess.Popen[bytes] | None = None
        folder = _folder()
        self._log = folder / "server.log"
        token = folder / "token"
        command = [str(python), "-m", "server", "--port", "0", "--token-file", str(token), "--exit-with-parent"]
        try:
            with open(self._log, "wb") as log:
                self._process = subprocess.Popen(
                    command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
                )
        except OSError as error:
            self.failure = f"The server could not be started with {str(python)!r}: {error.strerror or error}."
            return
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)

    def poll(self) -> Address | None:
        """The server's address once it has said it; sets ``failure`` when the process has ended."""
        if self._process is None:
            return None
        if self._address is None and self._process.stdout is not None:
            self._line += self._process.stdout.read() or b""
            if b"\n" in self._line:
                said = json.loads(self._line.split(b"\n")[0])
                self._address = Address(said["url"], token_file=Path(said["token_file"]))
        if self._process.poll() is not None and not self.failure:
            lines = self._log.read_text(errors="replace").strip().splitlines()
            reason = lines[-1] if lines else "it said nothing"
            self.failure = f"The server ended with status {self._process.returncode}: {reason}"
        return self._address

    def stop(self) -> None:
        """Ask the process to end, without waiting for it: it needs up to two seconds."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()


def _folder() -> Path:
    """The extension's own folder for user data; outside the extension system, a folder beside Blender's settings."""
    if PACKAGE.startswith("bl_ext."):
        return Path(bpy.utils.extension_path_user(PACKAGE, create=True))
    return Path(bpy.utils.user_resource("DATAFILES", path="draftglass", create=True))
