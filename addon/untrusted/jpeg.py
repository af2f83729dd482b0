"""What a JPEG would cost to decode, by its markers alone. Standard library only; no bpy.

After ITU-T T.81, annex B. A progressive JPEG may have any number of scans, each of which is a pass over all pixels: one
of 210 kB takes half a minute. A baseline one whose components come in a single scan takes one pass.
"""

from __future__ import annotations

import re
import struct

BASELINE, SCAN, END = 0xC0, 0xDA, 0xD9
_SKIPPED = frozenset({0xC4, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0)})
"""Tables, the restart interval, comments and what programs add: each tells its length."""
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""In the data of a scan 0xFF is followed by 0, or is a marker; restarts belong to the data."""


class NotBaseline(ValueError):
    """The bytes are no JPEG, or not a baseline one of one scan; ``str(error)`` goes on from "it is"."""


def baseline_size(data: bytes) -> tuple[int, int]:
    """Height and width of the baseline JPEG ``data``, in pixels. Raises NotBaseline; decodes nothing."""
    if data[:2] != b"\xff\xd8":
        raise NotBaseline("no JPEG")
    at, size, scans = 2, None, 0
    while True:
        if at + 4 > len(data) or data[at] != 0xFF:
            raise NotBaseline("a JPEG that is cut off or damaged")
        kind = data[at + 1]
        length = struct.unpack_from(">H", data, at + 2)[0]
        if kind == BASELINE and size is None and length >= 11 and at + 2 + length <= len(data):
            bits, height, width, components = struct.unpack_from(">BHHB", data, at + 4)
            if bits != 8 or components not in (1, 3):
                raise NotBaseline(f"a JPEG of {components} components of {bits} bits, but must have 1 or 3 of 8")
            size = height, width
        elif kind == SCAN and size is not None:
            scans += 1
            if scans > 1 or data[at + 4 : at + 5] != bytes([components]):
                raise NotBaseline("a JPEG of several scans, but must have its components in one")
            found = _MARKER.search(data, at + 2 + length)
            if found is None or data[found.start() + 1] == END:
                return size  # what is cut off comes out grey
            at = found.start()
            continue
        elif 0xC0 <= kind <= 0xCF and kind not in _SKIPPED:
            raise NotBaseline("a JPEG that is progressive or of another kind, but must be a baseline one")
        elif kind not in _SKIPPED:
            raise NotBaseline("a JPEG that is cut off or damaged")
        at += 2 + length
