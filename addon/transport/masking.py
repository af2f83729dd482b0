"""WebSocket masking at numpy's speed. numpy and the websockets package only; no bpy, no I/O.

RFC 6455, 5.3: a client XORs each byte of a frame with a fresh random key of four bytes. The ``websockets``
package does so in C where its wheel is compiled, in about 0.05 ms for a frame of 1.3 MB. Blender's extension
carries the pure Python wheel, whose way (one huge int) takes 5 to 9 ms in Blender's main thread.
"""

from __future__ import annotations

import numpy as np


def apply_mask(data: bytes | bytearray | memoryview, mask: bytes | bytearray) -> bytes:
    """Return ``data`` with byte i XORed with ``mask[i % 4]``, as ``websockets.utils.apply_mask`` does.

    Raises ValueError unless ``mask`` has 4 bytes.
    """
    if len(mask) != 4:
        raise ValueError("mask must contain 4 bytes")
    plain = np.frombuffer(data, np.uint8) if len(data) else np.empty(0, np.uint8)
    masked = np.empty(plain.size, np.uint8)
    whole = plain.size - plain.size % 8  # by eights, as one XOR of machine words each; then the odd bytes
    np.bitwise_xor(
        plain[:whole].view(np.uint64), np.frombuffer(bytes(mask) * 2, np.uint64), out=masked[:whole].view(np.uint64)
    )
    for index in range(whole, plain.size):
        masked[index] = plain[index] ^ mask[index % 4]
    return masked.tobytes()


def install() -> bool:
    """Let ``websockets`` use :func:`apply_mask` where it has no compiled one; return whether ours is in use.

    This is the one place where another package is altered. The package picks its own function in the same way,
    by binding ``websockets.frames.apply_mask`` when it is imported, and offers no argument for it. The result is
    the same for every input, so another add-on that shares the package only becomes faster. Should a later
    version keep the function elsewhere, nothing is touched and frames are merely masked more slowly.
    """
    from websockets import frames, utils

    slow = getattr(utils, "apply_mask", None)
    if slow is not None and getattr(frames, "apply_mask", None) is slow:
        frames.apply_mask = apply_mask  # type: ignore[attr-defined]
    return getattr(frames, "apply_mask", None) is apply_mask
