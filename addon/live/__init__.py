"""The live loop between a viewport and a server. No bpy, no torch, no threads, nothing that waits: it is polled.

::

    loop = LiveLoop(Address("ws://127.0.0.1:8765/live", token_file=path), client="my client 1.0")
    every few milliseconds:
        want = loop.poll(key)            # key: equal while the picture would be the same
        if want is not None:
            loop.send(build_request(want.id, draft, style, settle_steps=4 if want.settle else None))
        picture = loop.take_picture()    # the newest, or None
        if picture is not None:
            ...                          # show it
            loop.shown()
"""

from ..transport.address import Address
from .loop import LiveLoop
from .pace import Pace, Want
from .requests import PlainDraft, build_request
from .statistics import Statistics

__all__ = [
    "Address",
    "LiveLoop",
    "Pace",
    "PlainDraft",
    "Statistics",
    "Want",
    "build_request",
]
