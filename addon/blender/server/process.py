"""The server that the add-on starts itself, as Blender sees it. Imports bpy for folders; nothing here waits."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import bpy

from ...live import Address
from ...problems import EnvironmentState, Problem, ServerState
from ...problems.connection import NoToken, RemoteWhileOffline
from ...problems.errors import AddressError
from ...problems.setup import NotSetUp, SetUpMoved, SetUpOutdated, SetUpUnfinished
from ...setup import Environment, Plan, ServerProcess
from ...setup.plan import split_options
from ...setup.server import reap
from ...version import VERSION
from ..preferences import PACKAGE, preferences

ROOT = Path(__file__).resolve().parents[3]
"""Where the extension lies."""
NOT_WHOLE: dict[EnvironmentState, Problem] = {
    EnvironmentState.ABSENT: NotSetUp(),
    EnvironmentState.INCOMPLETE: SetUpUnfinished(),
    EnvironmentState.OUTDATED: SetUpOutdated(),
    EnvironmentState.BROKEN: SetUpMoved(),
}
"""What is wrong with an environment in each state but complete."""
REAP_SECONDS = 1.0
"""Between two looks at whether a server that was told to end has ended."""


class ManagedServer:
    """``python -m server`` on a free port of this machine. It ends when Blender does, however Blender ends."""

    def __init__(self, python: Path, arguments: tuple[str, ...] = ()) -> None:
        self._child = ServerProcess(python, ROOT, user_folder() / "logs", arguments=arguments)
        self._address: Address | None = None

    def poll(self) -> Address | None:
        """The server's address while it runs; another one after each start."""
        said = self._child.poll()
        if said is None:
            self._address = None
        elif self._address is None:
            self._address = Address(said.url, token_file=said.token_file)
        return self._address

    def watch(self, owes: bool, loads: bool) -> None:
        """End it where it hangs, so that it is started again. ``owes``: whether it owes us a sign of life."""
        self._child.watch(owes, loads)

    @property
    def problem(self) -> Problem | None:
        """Why there is no server, or why it is being ended; None while one runs or starts."""
        return self._child.problem

    @property
    def starts(self) -> bool:
        """Whether it comes up: for the first time, or again."""
        return self._child.state is ServerState.STARTING

    @property
    def has_failed(self) -> bool:
        """Whether it has failed for good, and is not started again by itself."""
        return self._child.state is ServerState.FAILED

    @property
    def pid(self) -> int | None:
        """Its process number."""
        return self._child.pid

    def restart(self) -> None:
        """Start it now, when it has failed or pauses."""
        self._child.restart()

    def stop(self) -> None:
        """Ask it to end, without waiting for it; where it does not, it is killed some seconds later."""
        self._child.stop()
        if not bpy.app.timers.is_registered(_see_it_end):
            bpy.app.timers.register(_see_it_end, first_interval=REAP_SECONDS, persistent=True)


def _see_it_end() -> float | None:
    return REAP_SECONDS if reap(time.monotonic()) else None


def user_folder() -> Path:
    """The extension's own folder for user data; outside the extension system, a folder beside Blender's settings."""
    if PACKAGE.startswith("bl_ext."):
        try:
            return Path(bpy.utils.extension_path_user(PACKAGE, create=True))
        except OSError:  # whoever writes into it says why that fails
            return Path(bpy.utils.extension_path_user(PACKAGE))
    return Path(bpy.utils.user_resource("DATAFILES", path="draftglass", create=True))


def log_file() -> Path:
    """The newest log of the server."""
    return user_folder() / "logs" / "server.log"


def make_plan() -> Plan:
    """The environment that the preferences ask for. Raises ValueError with a sentence."""
    chosen = preferences()
    own = bpy.path.abspath(chosen.requirements) if chosen is not None and chosen.requirements else ""
    return Plan(
        home=user_folder(),
        python=Path(sys.executable),
        requirements=Path(own) if own else ROOT / "server" / "requirements.txt",
        constraints=None if own else ROOT / "constraints.txt",
        build=chosen.build if chosen is not None else "auto",
        options=split_options(chosen.pip_options) if chosen is not None else (),
        version=VERSION,
        hashes=None if own else ROOT / "server" / "hashes.txt",
    )


def environment() -> Environment | None:
    """What there is of the environment; None where its lists cannot be read or the options are no good."""
    try:
        return Environment(make_plan())
    except (OSError, ValueError):
        return None


def is_own() -> bool:
    """Whether the add-on starts the server in the environment that it sets up, as no other one is given."""
    chosen = preferences()
    return chosen is None or not (chosen.server_url or chosen.server_python)


def given_address(chosen: Any) -> Address | None:
    """The server that the preferences name. Raises AddressError."""
    if chosen is None or not chosen.server_url:
        return None
    if not (chosen.token or chosen.token_file):
        raise AddressError(NoToken())
    file = Path(bpy.path.abspath(chosen.token_file)) if chosen.token_file and not chosen.token else None
    address = Address(chosen.server_url, token=chosen.token, token_file=file)
    if not address.is_loopback and not bpy.app.online_access:
        raise AddressError(RemoteWhileOffline(address.place))
    return address


def given_python(chosen: Any) -> Path:
    """The interpreter to start a server with: a person's own, or that of the environment. Raises AddressError."""
    if chosen is not None and chosen.server_python:
        return Path(bpy.path.abspath(chosen.server_python))
    found = environment()
    if found is None or found.state is not EnvironmentState.COMPLETE:
        raise AddressError(NotSetUp() if found is None else NOT_WHOLE[found.state])
    return found.python
