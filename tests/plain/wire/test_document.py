"""docs/protocol.md against the code: its dumps, its matrices, its numbers. Reads the document; no other I/O.

``python tests/plain/wire/test_document.py``, in the root, writes the dumps into the document anew.
"""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from addon.transport.challenge import is_proof
from addon.wire import (
    MAX_MESSAGE_BYTES,
    PLANES,
    Control,
    Dropped,
    Entry,
    Failure,
    Frame,
    Hello,
    ListModels,
    LoadModel,
    Lora,
    Message,
    ModelProgress,
    Models,
    Picture,
    Probe,
    Progress,
    Reference,
    Region,
    Request,
    Shown,
    Status,
    Style,
    Upload,
    Welcome,
    pack,
    unpack,
)
from addon.wire.codec import MAX_HEADER_BYTES

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "protocol.md"


def examples() -> dict[str, Message]:
    """The messages that the document shows in hex, as it describes them."""
    image = np.full((8, 8, 3), 128, np.uint8)
    image[..., 0] = 32 * np.arange(8)
    image[..., 1] = 32 * np.arange(8)[:, None]
    depth = np.full((8, 8), 65535, np.uint16)
    depth[4:] = round(65535 * 2 / 4)
    view = ((1, 0, 0, 0), (0, 0, 1, 0), (0, -1, 0, -10), (0, 0, 0, 1))
    projection = ((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, -1.002002, -0.2002002), (0, 0, -1, 0))
    style = Style("a castle at dusk", "", 0.75, 2, 1.0, 7, 256, 256, (Control("depth", 0.5),))
    return {
        "hello": Hello(client="example 1.0"),
        "request": Request(Frame(1, image, depth, 2.0, view, projection, captured=12.5), style),
    }


def dump(data: bytes) -> str:
    """``data`` as lines of offset, 16 bytes in hex, and text."""
    lines = []
    for start in range(0, len(data), 16):
        row = data[start : start + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{start:04x}  {row[:8].hex(' '):<23}  {row[8:].hex(' '):<23}  {text}")
    return "\n".join(lines)


def undump(text: str) -> bytes:
    return b"".join(bytes.fromhex(line[6:54]) for line in text.splitlines())


def block(mark: str) -> str:
    """The fenced block that follows ``<!-- mark -->``."""
    found = re.search(rf"<!-- {re.escape(mark)} -->\n```\w*\n(.*?)\n?```", DOCUMENT.read_text(encoding="utf-8"), re.S)
    assert found, f"the document has no block {mark!r}"
    return found[1]


@pytest.mark.parametrize("name", examples())
def test_the_dumps_are_what_pack_makes(name: str) -> None:
    data = pack(examples()[name])
    assert undump(block(f"dump: {name}")) == data
    assert block(f"dump: {name}") == dump(data)


def test_the_dumped_request_reads_as_described() -> None:
    message = unpack(undump(block("dump: request")))
    assert isinstance(message, Request)
    frame, depth = message.frame, message.frame.inverse_depth
    assert depth is not None
    assert frame.image[3, 5].tolist() == [160, 96, 128], "row 3, column 5: top row first, red green blue"
    assert frame.near * 65535 / depth[0, 0] == pytest.approx(2)
    assert frame.near * 65535 / depth[7, 0] == pytest.approx(4, rel=1e-4)


def test_the_matrices_example_is_right() -> None:
    example = json.loads(block("example: matrices"))
    view, projection = np.array(example["view"]), np.array(example["projection"])
    in_view = view @ example["world"]
    clip = projection @ in_view
    ndc = clip[:3] / clip[3]
    np.testing.assert_allclose(in_view, example["in view space"])
    np.testing.assert_allclose(clip, example["in clip space"], rtol=1e-6)
    pixel = [(ndc[0] + 1) / 2 * 256, (1 - ndc[1]) / 2 * 256]
    np.testing.assert_allclose(pixel, example["column and row in a draft of 256 x 256"])
    assert (ndc[2] + 1) / 2 == pytest.approx(example["depth buffer"], abs=1e-6)
    distance = projection[2][3] / (ndc[2] + projection[2][2])  # the document's formula, z being 2 d - 1
    assert -in_view[2] == pytest.approx(example["distance"]) == pytest.approx(distance, rel=1e-5)
    assert round(65535 * example["near"] / example["distance"]) == example["inverse_depth"]
    assert example["view"] == [list(row) for row in examples()["request"].frame.view]  # type: ignore[union-attr]


def test_the_example_of_a_challenge_is_right() -> None:
    example = json.loads(block("example: challenge"))
    for role in ("server", "client"):
        assert is_proof(example[f"{role}'s proof"], example["token"], role, example["yours"], example["theirs"])


def test_the_limits_are_the_codes() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert f"{MAX_HEADER_BYTES:,} bytes" in text
    assert f"{MAX_MESSAGE_BYTES:,} bytes" in text


def test_the_table_of_planes_is_the_codes() -> None:
    lines = DOCUMENT.read_text(encoding="utf-8").split("<!-- table: planes -->\n")[1].split("\n\n")[0].splitlines()
    order = ["request", "picture", "probe", "upload"]
    expected = [
        f"| `{name}` | `{plane.encoding}` | {f'`{plane.small}`' if plane.small else 'none'} | "
        f"{', '.join(sorted(plane.messages, key=order.index))} | {plane.meaning} |"
        for name, plane in PLANES.items()
    ]
    assert lines[2:] == expected


SECTIONS: dict[str, tuple[type, ...]] = {
    "### Hello": (Hello,),
    "### Welcome": (Welcome,),
    "### Status": (Status,),
    "### Request": (Request, Frame),
    "### Style": (Style,),
    "### Control": (Control,),
    "### Picture": (Picture,),
    "### Shown": (Shown,),
    "### Progress": (Progress,),
    "### Dropped": (Dropped,),
    "### Failure": (Failure,),
    "### Probe": (Probe,),
    "### Region": (Region,),
    "### LoRA": (Lora,),
    "### Reference": (Reference,),
    "### Upload": (Upload,),
    "### List models": (ListModels,),
    "### Models": (Models,),
    "### Entry": (Entry,),
    "### Asking for a model": (LoadModel,),
    "### Model progress": (ModelProgress,),
}


@pytest.mark.parametrize("title", SECTIONS)
def test_every_field_is_described_with_its_default(title: str) -> None:
    """The rows of a section's tables are the classes' fields, and the defaults are theirs."""
    section = DOCUMENT.read_text(encoding="utf-8").split(f"\n{title}\n")[1].split("\n## ")[0].split("\n### ")[0]
    rows: dict[str, str] = {}
    for names, default in re.findall(r"^\| (`[^|]+`) \| [^|]+ \| ([^|]+) \|", section, re.M):
        rows.update(dict.fromkeys(re.findall(r"`(\w+)`", names), default.strip("` ")))
    described = set(rows) - {"type", "planes"}
    fields = {
        field.name: field
        for kind in SECTIONS[title]
        for field in dataclasses.fields(kind)
        if field.name != "frame" and not ("planes" in rows and field.name in PLANES)
    }
    assert described == set(fields)
    for name in described:
        assert rows[name] == spelled(fields[name]), f"default of {name}"


def spelled(field: dataclasses.Field[Any]) -> str:
    """The field's default as the document writes it."""
    if field.name in ("protocol", "style"):
        return "needed"
    if field.default == ():
        return "[]"
    if field.default_factory is not dataclasses.MISSING:
        return json.dumps(field.default_factory())
    if field.default is dataclasses.MISSING:
        return "needed"
    if field.name in ("view", "projection"):
        return "identity"
    value = field.default
    return json.dumps(int(value) if isinstance(value, float) and value.is_integer() else value)


if __name__ == "__main__":
    document = DOCUMENT.read_text(encoding="utf-8")
    for mark, message in examples().items():
        shown = f"<!-- dump: {mark} -->\n```\n{dump(pack(message))}\n```"
        document = re.sub(rf"<!-- dump: {mark} -->\n```\n.*?```", shown.replace("\\", r"\\"), document, flags=re.S)
    DOCUMENT.write_text(document, encoding="utf-8")
