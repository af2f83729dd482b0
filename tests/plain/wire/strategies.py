"""Every valid message, as hypothesis strategies. Standard library, numpy, hypothesis and addon.wire only."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from addon.wire import (
    CONTROLS,
    CancelPull,
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
    PullModel,
    Reference,
    Region,
    RemoveModel,
    Request,
    Shown,
    Status,
    Style,
    Upload,
    VerifyModel,
    Welcome,
)
from addon.wire.frame import OBJECT

ids = st.integers(0, 2**53 - 1)
sides = st.integers(8, 40)


def texts(longest: int) -> st.SearchStrategy[str]:
    """Any Unicode but lone surrogates, mostly short, now and then as long as it may be."""
    short = st.text(st.characters(codec="utf-8"), max_size=min(longest, 40))
    return short | st.sampled_from(["\0", "é", "漢", "🏰", "\u2028"]).map(lambda character: character * longest)


def numbers(low: float, high: float) -> st.SearchStrategy[float]:
    """Floats of the whole range, both ends among them, and the whole numbers in it."""
    whole = st.integers(int(low) + 1, int(high)) if int(high) > int(low) else st.just(high)
    return st.floats(low, high) | st.sampled_from([low, high]) | whole


@st.composite
def arrays(draw: st.DrawFn, dtype: Any, shape: tuple[int, ...]) -> np.ndarray:
    """An array of ``shape``, contiguous or not: upside down, transposed, every other pixel of a larger one."""
    layout = draw(st.sampled_from(["plain", "flipped", "transposed", "strided", "fortran"]))
    turned = (shape[1], shape[0], *shape[2:])
    doubled = (shape[0], shape[1] * 2, *shape[2:])
    source = {"transposed": turned, "strided": doubled}.get(layout, shape)
    values = draw(st_numpy.arrays(dtype, source, fill=st.nothing() if np.prod(source) < 64 else None))
    if layout == "flipped":
        return values[::-1]
    if layout == "transposed":
        return values.swapaxes(0, 1)
    if layout == "strided":
        return values[:, ::2]
    return np.asfortranarray(values) if layout == "fortran" else values


matrices = st.lists(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=4, max_size=4), min_size=4, max_size=4
)


@st.composite
def objects(draw: st.DrawFn) -> np.ndarray:
    """Up to five of them, each id once."""
    numbers = draw(st.lists(st.integers(1, 65535), max_size=5, unique=True))
    finite = st.floats(allow_nan=False, allow_infinity=False, width=32)
    rows = np.zeros(len(numbers), OBJECT)
    rows["id"] = numbers
    rows["world"] = draw(st_numpy.arrays(np.float32, (len(numbers), 4, 4), elements=finite))
    return rows


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    height, width = draw(sides), draw(sides)
    drawn_ids = draw(st.none() | arrays(np.uint16, (height, width)))
    return Frame(
        id=draw(ids),
        image=draw(arrays(np.uint8, (height, width, 3))),
        inverse_depth=draw(st.none() | arrays(np.uint16, (height, width))),
        near=draw(numbers(1e-9, 1e12)),
        view=draw(matrices),
        projection=draw(matrices),
        captured=draw(numbers(-1e15, 1e15)),
        ids=drawn_ids,
        strength=draw(st.none() | arrays(np.uint8, (height, width))),
        normals=draw(st.none() | arrays(np.uint8, (height, width, 3))),
        objects=draw(objects()) if drawn_ids is not None else (),
    )


sha256s = st.text("0123456789abcdef", min_size=64, max_size=64)
names = texts(200).filter(bool)
loras = st.builds(Lora, name=names, weight=numbers(-2, 2))
references = st.builds(Reference, sha256=sha256s, weight=numbers(0, 2))


kinds_and_planes = st.sampled_from([(kind, plane) for kind, planes in CONTROLS.items() for plane in planes])


@st.composite
def requests(draw: st.DrawFn) -> Request:
    frame = draw(frames())
    controls = [
        Control(kind, draw(numbers(0, 2)) if plane in frame.planes else 0, plane)
        for kind, plane in draw(st.lists(kinds_and_planes, max_size=3, unique_by=lambda pair: pair[0]))
    ]
    weights = numbers(0, 2) if frame.ids is not None else st.just(0)
    regions = st.builds(Region, id=st.integers(1, 65535), prompt=texts(4000), weight=weights)
    style = st.builds(
        Style,
        prompt=texts(4000),
        negative_prompt=texts(4000),
        strength=numbers(0.01, 1),
        steps=st.integers(1, 50),
        guidance=numbers(0, 30),
        seed=st.integers(0, 2**32 - 1),
        width=st.integers(8, 256).map(lambda eighths: eighths * 8),
        height=st.integers(8, 256).map(lambda eighths: eighths * 8),
        controls=st.just(controls),
        steady=numbers(0, 1),
        sampler=st.sampled_from(["", "lcm", "tcd"]),
        eta=st.none() | numbers(0, 1),
        loras=st.lists(loras, max_size=8).map(tuple),
        reference=st.none() | references,
    )
    return Request(
        frame,
        draw(style),
        draw(st.booleans()),
        **draw(st.sampled_from([{}, {"picture_as": "jpeg"}, {"picture_at": 0}, {"picture_at": 2**27}])),
        after=draw(st.none() | ids),
        regions=draw(st.lists(regions, max_size=4, unique_by=lambda region: region.id)),
        panorama=draw(st.booleans()),
    )


timings = st.dictionaries(texts(100), numbers(0, 1e9), max_size=5)
showns = st.builds(Shown, timings=timings)


@st.composite
def pictures(draw: st.DrawFn) -> Picture:
    return Picture(
        id=draw(ids),
        image=draw(arrays(np.uint8, (draw(sides), draw(sides), 3))),
        captured=draw(numbers(-1e15, 1e15)),
        settle=draw(st.booleans()),
        model=draw(texts(400)),
        timings=draw(timings),
        arrived=draw(numbers(-1e15, 1e15)),
        made=draw(numbers(-1e15, 1e15)),
        after=draw(st.none() | ids),
    )


@st.composite
def progresses(draw: st.DrawFn) -> Progress:
    steps = draw(st.integers(1, 50))
    return Progress(draw(ids), draw(st.integers(0, steps)), steps)


words = st.lists(texts(40), max_size=16).map(tuple)
hellos = st.builds(
    Hello,
    protocol=st.integers(0, 2**31),
    client=texts(200),
    memory=st.just("") | st.text("0123456789abcdef", min_size=32, max_size=32),
    encodings=words,
)
welcomes = st.builds(
    Welcome,
    protocol=st.integers(0, 2**31),
    server=texts(200),
    max_side=st.integers(8, 2**16),
    credits=st.integers(1, 64),
    memory=st.booleans(),
    encodings=words,
)
fields = st.dictionaries(texts(40), texts(4000) | numbers(-1e300, 1e300), max_size=4)
statuses = st.builds(
    Status,
    state=st.sampled_from(["loading", "ready", "failed"]),
    percent=numbers(0, 100),
    model=texts(400),
    code=texts(100),
    fields=fields,
    sentence=texts(4000),
)
droppeds = st.builds(Dropped, id=ids)
failures = st.builds(Failure, code=texts(100), fields=fields, id=st.none() | ids, sentence=texts(4000))

byte_counts = st.integers(0, 2**53 - 1)
entries = st.builds(
    Entry,
    name=names,
    title=texts(400),
    kind=st.sampled_from(["model", "lora", "control"]),
    family=texts(400),
    licence=texts(400),
    installed=st.booleans(),
    removable=st.booleans(),
    download_bytes=byte_counts,
    memory_bytes=byte_counts,
    steps=st.integers(1, 50),
    guidance=numbers(0, 30),
    strength=numbers(0.01, 1),
    sentence=texts(1000),
)
models = st.builds(
    Models,
    entries=st.lists(entries, max_size=4, unique_by=lambda entry: entry.name).map(tuple),
    folder=texts(4000),
)
wishes = st.sampled_from([LoadModel, PullModel, CancelPull, RemoveModel, VerifyModel]).flatmap(
    lambda kind: st.builds(kind, name=names)
)
model_progresses = st.builds(
    ModelProgress,
    name=names,
    state=st.sampled_from(["pulling", "verifying", "done", "cancelled", "failed"]),
    done=byte_counts,
    total=byte_counts,
    sentence=texts(4000),
)


@st.composite
def uploads(draw: st.DrawFn) -> Upload:
    return Upload(draw(sha256s), draw(arrays(np.uint8, (draw(sides), draw(sides), 3))))


@st.composite
def probes(draw: st.DrawFn) -> Probe:
    return Probe(draw(arrays(np.uint8, (draw(sides), draw(sides), 3))), draw(numbers(-1e15, 1e15)))


plain_messages = hellos | probes() | showns | welcomes | statuses | progresses() | droppeds | failures
model_messages = st.just(ListModels()) | models | wishes | model_progresses | uploads()
messages: st.SearchStrategy[Message] = plain_messages | requests() | pictures() | model_messages
