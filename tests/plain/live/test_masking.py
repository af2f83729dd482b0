"""numpy's masking against the websockets package's own, and in its place."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.utils import apply_mask as reference

from addon.transport.masking import apply_mask


@given(data=st.binary(max_size=300), mask=st.binary(min_size=4, max_size=4), start=st.integers(0, 7))
def test_the_result_is_the_packages_own(data: bytes, mask: bytes, start: int) -> None:
    expected = reference(data[start:], mask)
    for given_as in (data[start:], bytearray(data[start:]), memoryview(data)[start:]):
        masked = apply_mask(given_as, mask)
        assert type(masked) is bytes and masked == expected
    assert apply_mask(data, bytearray(mask)) == reference(data, mask)


def test_a_whole_frame_is_masked_alike() -> None:
    data, mask = os.urandom(1_310_720 + 333), os.urandom(4)
    assert apply_mask(data, mask) == reference(data, mask)


@pytest.mark.parametrize("mask", [b"", b"abc", b"abcde"])
def test_a_mask_of_another_length_is_refused(mask: bytes) -> None:
    with pytest.raises(ValueError, match="4 bytes"):
        apply_mask(b"data", mask)


@pytest.mark.parametrize("compiled", [True, False])
def test_it_takes_the_place_of_the_slow_one_only(compiled: bool) -> None:
    """In a fresh interpreter, with the package's compiled part hidden as Blender's wheel lacks it, or as it is."""
    program = (
        ("" if compiled else "import sys; sys.modules['websockets.speedups'] = None\n")
        + "from websockets import frames, utils\n"
        + "slow = frames.apply_mask is utils.apply_mask\n"
        + "from addon.transport import masking\n"
        + "assert masking.install() is slow and masking.install() is slow\n"
        + "assert (frames.apply_mask is masking.apply_mask) is slow\n"
        + "frame = frames.Frame(frames.Opcode.BINARY, bytes(range(256)) * 300)\n"
        + "sent = frame.serialize(mask=True)\n"
        + "assert utils.apply_mask(sent[14:], sent[10:14]) == frame.data\n"
        + "print(slow)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    if not compiled:
        assert ended.stdout == "True\n"
