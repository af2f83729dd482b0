"""The words about the connection, and about what live is doing. Standard library only; no bpy."""

from __future__ import annotations

from .. import connection
from ..actions import Action
from .entry import says

_CONNECT = (Action.CONNECT_NOW, Action.OPEN_PREFERENCES)
_CORRECT = (Action.OPEN_PREFERENCES, Action.USE_THIS_MACHINE)

CONNECTION = (
    says(
        connection.BadAddress,
        lambda p: f"The server's address is {p.url}, but {p.rule}.",
        "Correct the address in the preferences.",
        *_CORRECT,
    ),
    says(
        connection.BadToken,
        lambda p: f"The token must be 1 to {p.longest} printable ASCII characters without spaces.",
        "Copy it from the server's token file again.",
        *_CORRECT,
    ),
    says(
        connection.NoToken,
        lambda _: "The address of a server is given, but no token.",
        "Enter the token from the server's token file, or name that file.",
        *_CORRECT,
    ),
    says(
        connection.RemoteWhileOffline,
        lambda p: f"Blender's online access is off, and the server at {p.place} is not on this machine.",
        "Allow it in Blender's preferences, under System, or use this machine.",
        Action.ALLOW_ONLINE_ACCESS,
        Action.USE_THIS_MACHINE,
    ),
    says(
        connection.ConnectionRefused,
        lambda p: f"No server is listening at {p.place}: start it, or check the port.",
        "Start the server there; the connection is retried until it is up.",
        *_CONNECT,
    ),
    says(
        connection.Unreachable,
        lambda p: f"{p.place} cannot be reached ({p.detail}): check the address and the network.",
        "Is the machine on, and does its firewall let the port through? An SSH tunnel needs no open port.",
        *_CONNECT,
    ),
    says(
        connection.ConnectFailed,
        lambda p: f"Connecting to {p.place} failed: {p.detail}.",
        "Check the address and the network.",
        *_CONNECT,
    ),
    says(
        connection.NoAnswer,
        lambda p: f"The server at {p.place} has not answered for {p.seconds} s.",
        "It may be hanging, or the network may be down; it is asked again. If this goes on, restart it.",
        Action.CONNECT_NOW,
        Action.OPEN_LOG,
    ),
    says(
        connection.WrongToken,
        lambda p: (
            f"The server at {p.place} does not accept the token{f' in {p.file}' if p.file else ''} "
            f"(HTTP {p.status}): it makes a new token at each start, so use the one of the server that is running now."
        ),
        "Copy the token from the server's token file again.",
        Action.OPEN_PREFERENCES,
        Action.CONNECT_NOW,
    ),
    says(
        connection.UnknownServer,
        lambda p: (
            f"What answers at {p.place} does not know the token{f' in {p.file}' if p.file else ''}, so nothing was "
            "sent to it: it is another program, or a server that was started anew and has a new token."
        ),
        "Start the server, or copy the token of the one that is running now.",
        Action.OPEN_PREFERENCES,
        Action.CONNECT_NOW,
    ),
    says(
        connection.WrongPath,
        lambda p: f"{p.place} answers, but has no {p.path} (HTTP 404): the path should be /live.",
        "The address must end in /live.",
        Action.OPEN_PREFERENCES,
    ),
    says(
        connection.HttpRefused,
        lambda p: f"The server at {p.place} refused the connection with HTTP {p.status}.",
        "Something in between, such as a proxy, may be in the way; the server's log says more.",
        *_CONNECT,
    ),
    says(
        connection.NotDraftglass,
        lambda p: f"What answers at {p.place} is not a Draftglass server, or a broken one: {p.detail}.",
        "Check the port; another program may have taken it.",
        Action.OPEN_PREFERENCES,
        Action.CONNECT_NOW,
    ),
    says(
        connection.TokenFileMissing,
        lambda p: f"The token file {p.file} does not exist: start the server.",
        "Start it, or correct the path.",
        Action.OPEN_PREFERENCES,
        Action.CONNECT_NOW,
    ),
    says(
        connection.TokenFileUnreadable,
        lambda p: f"The token file {p.file} cannot be read: {p.detail}.",
        "Give yourself permission to read it.",
        Action.OPEN_PREFERENCES,
    ),
    says(
        connection.TokenFileEmpty,
        lambda p: f"The token file {p.file} holds no token: restart the server.",
        "Restart it, or correct the path.",
        Action.OPEN_PREFERENCES,
        Action.CONNECT_NOW,
    ),
    says(
        connection.ConnectionLost,
        lambda p: f"The connection to the server at {p.place} was lost{f' ({p.detail})' if p.detail else ''}.",
        "It reconnects by itself and then sends the newest view.",
        Action.CONNECT_NOW,
        Action.OPEN_LOG,
    ),
    says(connection.Connecting, lambda n: f"Connecting to the server at {n.place}."),
    says(
        connection.LoadingModel,
        lambda n: f"The server is loading its model: {n.percent} %{f', {n.step}' if n.step else ''}.",
    ),
    says(connection.Live, lambda n: f"Live with the model {n.model}." if n.model else "Live."),
    says(connection.Stopped, lambda _: "Live is stopped."),
    says(connection.Paused, lambda _: "Live is paused."),
    says(connection.Rendering, lambda _: "Blender is rendering; live goes on afterwards."),
    says(connection.StartingServer, lambda _: "Starting the server."),
)
