"""The live loop between a viewport and a server. No bpy, no torch, no threads, nothing that waits: it is polled.

::

    loop = LiveLoop(Address("ws://127.0.0.1:8765/live", token_file=path), client="my client 1.0")
    every few milliseconds:
        want = loop.poll(key)            # key: equal while the picture would be the same
        if want is not None:
            loop.send(Request(Frame(want.id, image, ...), style, want.settle))
        picture = loop.take_picture()    # the newest, or None
        if picture is not None:
            ...                          # show it
            loop.shown()
"""

from ..transport.address import Address
from .loop import LiveLoop
from .pace import Pace, Want
from .statistics import Statistics

__all__ = [
    "Address",
    "LiveLoop",
    "Pace",
    "Statistics",
    "Want",
]
