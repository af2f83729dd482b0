"""Runs inside Blender: takes Python from the rig, one JSON line at a time, and answers with its value.

Started as ``blender --python agent.py -- PORT``. A timer polls the socket, so Blender's main loop never waits.
A line in: ``{"run": SOURCE}``. A line out: ``{"value": ...}``, the value of a last expression, or
``{"error": TRACEBACK}``. The code runs with the first window's 3D View as its context, and its names are kept.
"""

import ast
import json
import socket
import sys
import traceback

import bpy

POLL_S = 0.02


def begin() -> None:
    """What the tests need after Blender has read its factory settings."""
    bpy.context.preferences.view.show_splash = False
    # Each change would be drawn eight times over, and in software that is most of a test's time.
    bpy.context.preferences.system.viewport_aa = "OFF"


_names: dict = {"bpy": bpy, "begin": begin}


def evaluate(source: str) -> object:
    """Run ``source`` and return the value of its last statement when that is an expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<rig>", "exec"), _names)
    return None if last is None else eval(compile(ast.Expression(last.value), "<rig>", "eval"), _names)


def viewport() -> dict:
    """Return a context override for the first window's 3D View."""
    window = bpy.context.window_manager.windows[0]
    for area in window.screen.areas:
        if area.type == "VIEW_3D":
            region = next(r for r in area.regions if r.type == "WINDOW")
            return {"window": window, "area": area, "region": region}
    return {"window": window}


def answer(line: bytes) -> bytes:
    """Answer one request."""
    try:
        with bpy.context.temp_override(**viewport()):
            reply = {"value": evaluate(json.loads(line)["run"])}
        text = json.dumps(reply, default=repr)
    except BaseException:
        text = json.dumps({"error": traceback.format_exc()})
    return text.encode() + b"\n"


class Agent:
    """The poll."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setblocking(False)
        self._received = b""

    def __call__(self) -> float | None:
        """Serve what has arrived; called by Blender's timer."""
        try:
            chunk = self._socket.recv(1 << 20)
        except BlockingIOError:
            return POLL_S
        if not chunk:
            return None
        self._received += chunk
        while b"\n" in self._received:
            line, _, self._received = self._received.partition(b"\n")
            reply = answer(line)
            self._socket.setblocking(True)
            self._socket.sendall(reply)
            self._socket.setblocking(False)
        return POLL_S


if __name__ == "__main__":
    begin()
    _agent = Agent(int(sys.argv[sys.argv.index("--") + 1]))
    bpy.app.timers.register(_agent, persistent=True)
