"""Every failure that a person may meet: its sentence, what helps, the button for that. Standard library only; no bpy.

The one table. What shows a failure takes it from here by its code; ``docs/troubleshooting.md`` has each sentence.
Names in braces are filled in from what happened. A sentence that the server wrote itself stands in ``{sentence}``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .buttons import BUTTONS, Button


@dataclass(frozen=True)
class Failure:
    """``sentence``: what happened; ``remedy``: what helps; ``buttons``: names in :data:`BUTTONS`, the best first."""

    sentence: str
    remedy: str
    buttons: tuple[str, ...] = ()

    def explained(self, **fields: str) -> str:
        """The sentence with ``fields`` filled in; one that was not given stands as "?"."""
        return _FIELD.sub(lambda found: one_line(fields.get(found[1], "?")), self.sentence)

    @property
    def pattern(self) -> str:
        """The sentence as the document has it: an ellipsis where something is filled in."""
        return _FIELD.sub("…", self.sentence)


_FIELD = re.compile(r"\{(\w+)\}")
_TRY = ("again", "log")

FAILURES: dict[str, Failure] = {
    # The set-up of the server.
    "not_set_up": Failure(
        "The server is not set up on this machine.", "Set it up; you are told the size before anything is downloaded.",
        ("set_up",),
    ),
    "outdated": Failure(
        "The server's environment is that of another version of the extension.",
        "Update it: what did not change is not downloaded again.", ("set_up",),
    ),
    "unfinished": Failure(
        "An earlier set-up of the server was not finished.",
        "Set it up again; the remains are removed first, and pip's cache keeps what was downloaded.", ("set_up",),
    ),
    "moved": Failure(
        "The server's environment does not run any more, as the Blender that made it is gone.",
        "Set it up again with this Blender.", ("set_up",),
    ),
    "offline": Failure(
        "Blender's online access is off, so the server cannot be downloaded.",
        "Allow it in Blender's preferences, under System; or give pip a folder of wheels in the add-on's preferences.",
        ("online", "preferences"),
    ),
    "cancelled": Failure(
        "The set-up was cancelled, and what it had made is removed.", "Set it up when you like.", ("set_up",)
    ),
    "set_up_elsewhere": Failure(
        "Another Blender is setting up the server in {place}.", "Wait until it is done, then try again.", ("again",)
    ),
    "no_network": Failure(
        "The packages could not be downloaded, as the network failed: {named}.",
        "Check the network; what came through is kept, so the next try goes on from there.", _TRY,
    ),
    "proxy": Failure(
        "The proxy refused the download: {named}.",
        "Set the proxy for pip (pip config set global.proxy), or as an extra pip argument.", ("preferences", *_TRY),
    ),
    "certificate": Failure(
        "A certificate was not accepted while downloading: {named}.",
        "Set the clock; behind a company's proxy, give pip its certificate (pip config set global.cert).", _TRY,
    ),
    "index_refused": Failure(
        "The package index refused to answer: {named}.",
        "Try later; if pip uses an index of your own here, check its address and password.", _TRY,
    ),
    "no_package": Failure(
        "pip finds no package {named} for this machine and this Python.",
        "Use a Blender of another version, another build of PyTorch, or your own Python in the preferences.",
        ("preferences", "log"),
    ),
    "no_build": Failure(
        "PyTorch has no build for this machine ({machine}).",
        "Connect to a server on another machine by its address.", ("preferences",),
    ),
    "conflict": Failure(
        "The packages do not fit together: {named}.",
        "Take back changes of the extra pip arguments; else please report it with the log.", ("log", "preferences"),
    ),
    "bad_options": Failure(
        "pip does not understand its arguments: {named}.", "Correct the extra pip arguments in the preferences.",
        ("preferences",),
    ),
    "damaged": Failure(
        "A downloaded package is damaged: {named}.",
        "Try again; if it stays, empty pip's cache (pip cache purge).", _TRY,
    ),
    "no_room": Failure(
        "The set-up needs {needed} in {place}, but {free} are free.", "Free some space on that disk.",
        ("again", "folder"),
    ),
    "disk_full": Failure(
        "The disk became full during the set-up ({place}).", "Free some space on that disk.", ("again", "folder")
    ),
    "read_only": Failure(
        "Nothing can be written into {place}: {named}.",
        "Give yourself the right to write there; a scanner of viruses may also hold it.", ("again", "folder"),
    ),
    "folder": Failure(
        "The folder {place} cannot be used: {named}.", "Check the folder and its disk.", ("again", "folder")
    ),
    "long_path": Failure(
        "A path in {place} is too long for Windows.",
        "Enable long paths in Windows (its settings for developers), then try again.", _TRY,
    ),
    "in_use": Failure(
        "A file in {place} is in use by another program.", "Close other Blenders, then try again.", _TRY
    ),
    "no_venv": Failure(
        "Blender's Python ({python}) could not make an environment: {reason}.",
        "Use the Blender from blender.org, or your own Python in the preferences.", ("preferences", "log"),
    ),
    "no_python": Failure(
        "Blender's Python ({python}) cannot be started: {reason}.",
        "Use the Blender from blender.org, or your own Python in the preferences.", ("preferences",),
    ),
    "no_runtime": Failure(
        "PyTorch was installed, but Windows lacks a library that it needs: {reason}.",
        "Install Microsoft's Visual C++ Redistributable (x64), then try again.", _TRY,
    ),
    "import_failed": Failure(
        "What was installed does not start: {reason}.",
        "Try another build of PyTorch in the preferences.", ("preferences", *_TRY),
    ),
    "out_of_memory": Failure("The set-up ran out of memory: {named}.", "Close other programs, then try again.", _TRY),
    "pip_failed": Failure(
        "pip could not install the packages: {named}.", "See the log for what it said.", ("log", "again")
    ),
    "set_up_died": Failure(
        "The set-up ended before it was done: {named}.", "Try again; what it had made is removed first.", _TRY
    ),
    "old_driver": Failure(
        "The NVIDIA driver is too old, so pictures are made on the CPU.",
        "Update the driver to 580 or newer, then set the server up again.", ("set_up",),
    ),
    "gpu_unused": Failure(
        "PyTorch does not see the GPU, so pictures are made on the CPU.",
        "Update the GPU's driver, or choose another build of PyTorch in the preferences and set the server up again.",
        ("preferences", "log"),
    ),
    # The server as a process.
    "server_not_started": Failure(
        "The server could not be started with {python}: {reason}.",
        "Set the server up again, or correct the Python in the preferences.", ("set_up", "preferences"),
    ),
    "server_ended_at_start": Failure(
        "The server ends as soon as it is started: {reason}.", "See its log; setting it up again may help.",
        ("restart", "log", "set_up"),
    ),
    "server_crashed": Failure(
        "The server has ended by itself ({reason}) and is started again.", "Wait some seconds; its log says more.",
        ("restart", "log"),
    ),
    "server_hung": Failure(
        "The server did not answer any more, so it was ended, and is started again.",
        "Wait some seconds; its log may say more.", ("restart", "log"),
    ),
    # The connection.
    "bad_address": Failure("{sentence}", "Correct the address in the preferences.", ("preferences", "own_server")),
    "no_token": Failure(
        "The address of a server is given, but no token.",
        "Give the token that the server wrote into its token file, or that file.", ("preferences", "own_server"),
    ),
    "offline_address": Failure(
        "Blender's online access is off, and the server at {place} is not on this machine.",
        "Allow it in Blender's preferences, under System, or use this machine.", ("online", "own_server"),
    ),
    "refused_connection": Failure(
        "No server is listening at {place}: start it, or check the port.",
        "Start the server there; this one is tried again and again.", ("reconnect", "preferences"),
    ),
    "unreachable": Failure(
        "{place} cannot be reached ({reason}): check the address and the network.",
        "Is the machine on, and does its firewall let the port through? An SSH tunnel needs none.",
        ("reconnect", "preferences"),
    ),
    "connect_failed": Failure(
        "Connecting to {place} failed: {reason}.", "Check the address and the network.", ("reconnect", "preferences")
    ),
    "silent": Failure(
        "The server at {place} has not answered for {seconds} s.",
        "It may hang, or the network may be down: it is asked again. If it stays so, start it anew.",
        ("reconnect", "log"),
    ),
    "wrong_token": Failure(
        "The server at {place} does not accept {where} (HTTP {status}): "
        "it makes a new token at each start, so use the one of the server that runs now.",
        "Copy the token from the server's token file again.", ("preferences", "reconnect"),
    ),
    "wrong_path": Failure(
        "{place} answers, but has no {path} (HTTP 404): the path should be /live.",
        "Let the address end in /live.", ("preferences",),
    ),
    "http_refused": Failure(
        "The server at {place} refused the connection with HTTP {status}.",
        "Something between may be in the way, such as a proxy: its log says more.", ("reconnect", "preferences"),
    ),
    "not_draftglass": Failure(
        "What answers at {place} is no Draftglass server, or a broken one: {what}.",
        "Check the port; another program may have taken it.", ("preferences", "reconnect"),
    ),
    "protocol_version": Failure(
        "The server at {place} speaks version {theirs} of the protocol, this add-on version {ours}: update {older}.",
        "Install the same version of Draftglass on both machines.", ("set_up", "preferences"),
    ),
    "token_missing": Failure(
        "The token file {file} does not exist: start the server.", "Start it, or correct the path.",
        ("preferences", "reconnect"),
    ),
    "token_unreadable": Failure(
        "The token file {file} cannot be read: {reason}.", "Give yourself the right to read it.", ("preferences",)
    ),
    "token_empty": Failure(
        "The token file {file} holds no token: start the server anew.", "Start it anew, or correct the path.",
        ("preferences", "reconnect"),
    ),
    "lost": Failure(
        "The connection to the server at {place} was lost{reason}.",
        "It is made again by itself; the newest view is sent then.", ("reconnect", "log"),
    ),
    "refused": Failure("{sentence}", "The server said so itself: its log says more.", ("reconnect", "log")),
    # The model and the pictures.
    "model_failed": Failure(
        "{sentence}", "Choose another model; the embedded one is always there.", ("preferences", "log")
    ),
    "no_reason": Failure(
        "The server could not load its model and did not say why.", "See the server's log.", ("log", "preferences")
    ),
    "gpu_memory": Failure(
        "{sentence}", "A smaller picture or a smaller model needs less; so does Blender without Material Preview.",
        ("smaller", "solid"),
    ),
    "picture_failed": Failure("{sentence}", "The next change of the view tries again.", ("log",)),
    # In Blender.
    "no_capture": Failure(
        "The viewport could not be captured: {reason}.", "Solid shading is captured everywhere.", ("solid",)
    ),
    "too_narrow": Failure(
        "The 3D View is too narrow or too low for the picture's aspect: {size} pixels would have to be drawn.",
        "Make the 3D View larger, let the picture have its aspect, or use Solid shading.", ("solid",)
    ),
    "only_in_viewport": Failure(
        "What {engine} draws in Rendered shading cannot be captured.", "Use Solid shading, or Material Preview.",
        ("solid",)
    ),
    "bad_settings": Failure("{sentence}", "Correct the setting that it names.", ()),
    "no_viewport": Failure(
        "No 3D View is open: open one, and live follows it.", "Split an area, or change the type of one.", ()
    ),
    "internal": Failure(
        "Live was ended by a mistake in the add-on: {reason}.",
        "Start it again; if it comes back, please report it with this sentence and your Blender's version.",
        ("start", "log"),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Problem:
    """A failure that is there now, in words."""

    code: str
    sentence: str

    @property
    def remedy(self) -> str:
        """What helps."""
        return FAILURES[self.code].remedy

    @property
    def buttons(self) -> tuple[Button, ...]:
        """The buttons for it, the best first."""
        return tuple(BUTTONS[name] for name in FAILURES[self.code].buttons)


def problem(code: str, **fields: str) -> Problem:
    """The failure ``code`` with its sentence filled in. Raises KeyError for a code that is not in the table."""
    return Problem(code, FAILURES[code].explained(**fields))


def one_line(text: str) -> str:
    """``text`` without line ends and control characters, nor a full stop at its end: it stands within a sentence."""
    printable = "".join(character if character.isprintable() else " " for character in str(text))
    kept = " " if printable.startswith(" ") else ""  # as before a bracket that may not be there
    return kept + " ".join(printable.split()).rstrip(".")
