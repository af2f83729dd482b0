"""A hub or mirror that lies, over real HTTP: nothing lands or goes outside the cache, nothing unchecked lands in it."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from server.catalogue import cache
from server.catalogue.cache import HubError
from server.catalogue.presets import ModelPreset, Part, read_presets
from server.catalogue.pull import is_here, pull, remove, verify
from server.catalogue.records import Pulled, Records
from tests.plain.catalogue.hostile_hub import FILES, PIN, WEIGHTS, Liar, entry, lying, sha256

PART = Part("base", "maker/model", PIN, ("model_index.json", "unet/*"))
PRESET = ModelPreset("made", "Made", "SD1.5", "none", "One.", parts=(PART,))


@pytest.fixture
def liar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Liar]:
    """A hub that lies, asked by this process, with a cache of its own and a file beside it that nobody may touch."""
    (tmp_path / "precious.json").write_text("mine")
    with lying() as lies:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", lies.url)
        monkeypatch.setattr("huggingface_hub.constants.HF_HOME", str(tmp_path / "hf"))
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
        yield lies


def records() -> Records:
    return Records(cache.records_folder())


def pulled(preset: ModelPreset = PRESET) -> None:
    pull(preset, records(), lambda *_: None)


def stored(root: Path) -> list[Path]:
    """What lies in the cache but locks and records, and anything new outside it."""
    return [
        path
        for path in root.rglob("*")
        if path.is_file()
        and ".locks" not in path.parts
        and "draftglass" not in path.parts
        and path.name != "precious.json"
    ]


def test_the_honest_answer_is_taken(liar: Liar, tmp_path: Path) -> None:
    pulled()
    assert is_here(PRESET, records())
    for name, data in FILES.items():
        assert (tmp_path / "hf/hub/models--maker--model/snapshots" / PIN / name).read_bytes() == data
    verify(PRESET, records(), lambda *_: None)
    assert remove(PRESET, records()).size == sum(map(len, FILES.values()))
    assert stored(tmp_path) == []
    assert [path for path in liar.asked if PIN not in path] == [], "our pin alone"


def rename(new: str) -> Callable[[Liar], None]:
    def change(liar: Liar) -> None:
        liar.of("unet/config.json")["rfilename"] = new
        liar.bodies[new] = FILES["unet/config.json"]

    return change


def weights(**changes: object) -> Callable[[Liar], None]:
    return lambda liar: liar.of(WEIGHTS).update(changes)


def sha(value: object) -> Callable[[Liar], None]:
    return lambda liar: liar.listing.update(sha=value)


def sends(data: bytes, announce: bool = True) -> Callable[[Liar], None]:
    def change(liar: Liar) -> None:
        liar.bodies[WEIGHTS] = data
        liar.announce = announce

    return change


def everything(**changes: Any) -> Callable[[Liar], None]:
    def change(liar: Liar) -> None:
        for name, value in changes.items():
            setattr(liar, name, value)

    return change


LIES: dict[str, Callable[[Liar], None]] = {
    "another commit": sha("b" * 40),
    "a commit that is a path": sha("../../../../precious.json"),
    "a commit that is a list": sha([PIN]),
    **{
        f"the name {name!a}": rename(name)
        for name in (
            *("unet/../../../../../../precious.json", "unet/..\\..\\precious.json", "unet//etc/passwd.json"),
            *("unet/\0.json", "unet/a\n.json", "unet/C:evil.json", "unet/.hidden.json", "unet/nul.json"),
            *(
                "unet/" + "a" * 300 + ".json",
                "unet/\u202ejson.json",
                "unet/a b.json",
                "unet/x./y.json",
                "unet/-/../z.json",
            ),
        )
    },
    "the same file twice": lambda liar: liar.listing["siblings"].append(entry(WEIGHTS, b"other")),
    "a checksum that is a path": weights(lfs={"sha256": "../../../../../precious.json", "size": 8000}),
    "a checksum too short": weights(lfs={"sha256": "abc", "size": 8000}),
    "a checksum that is a number": weights(lfs={"sha256": 7, "size": 8000}),
    "no checksum": weights(lfs=None),
    "weights with git's checksum alone": weights(lfs=None, blobId="c" * 40, size=1 << 30),
    "a blob id that is a path": lambda liar: liar.of("unet/config.json").update(blobId="../../../../precious.json"),
    "two sizes": weights(size=9),
    "a negative size": weights(size=-1, lfs={"sha256": sha256(FILES[WEIGHTS])}),
    "a size that is a fraction": weights(size=8000.0),
    "a size beyond any disk": weights(size=10**30, lfs={"sha256": sha256(FILES[WEIGHTS])}),
    "a size of text": weights(size="8000"),
    "a size of 10 TB": weights(size=10**13, lfs={"sha256": sha256(FILES[WEIGHTS])}),
    "a size too small": weights(size=100, lfs={"sha256": sha256(FILES[WEIGHTS])}),
    "a size too large": weights(size=9000, lfs={"sha256": sha256(FILES[WEIGHTS])}),
    "other bytes": sends(b"weightz " * 1000),
    "too many bytes": sends(FILES[WEIGHTS] + b"!"),
    "too many bytes, not announced": sends(FILES[WEIGHTS] + b"!", announce=False),
    "too few bytes": sends(FILES[WEIGHTS][:-1]),
    "too few bytes, not announced": sends(FILES[WEIGHTS][:-1], announce=False),
    "bytes without end": everything(endless=True),
    "a list without end": everything(endless=True, raw_listing=b'{"sha": "'),
    "a bomb": everything(headers={"Content-Encoding": "gzip"}, bodies={WEIGHTS: gzip.compress(b"0" * (1 << 24))}),
    "a list that is a bomb": everything(
        headers={"Content-Encoding": "gzip"}, raw_listing=gzip.compress(b" " * (1 << 26) + b"{}")
    ),
    "a list of brackets": everything(raw_listing=b"[" * 100_000),
    "a list that is no JSON": everything(raw_listing=b"<html>log in to the hotel's network</html>"),
    "a list that is a number": everything(raw_listing=b"7"),
    "a list of numbers": everything(raw_listing=b'{"siblings": [1, 2]}'),
    "a list of nothing": everything(raw_listing=b"{}"),
    "names that are numbers": everything(raw_listing=b'{"siblings": [{"rfilename": 7}]}'),
    "a refusal": everything(status=418),
    "a redirect into nowhere": everything(status=302, headers={"Location": "file:///etc/passwd"}),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_one_sentence_and_leaves_nothing(liar: Liar, lie: str, tmp_path: Path) -> None:
    LIES[lie](liar)
    began = time.monotonic()
    with pytest.raises(HubError) as caught:
        pulled()
    words = str(caught.value)
    assert words.isprintable() and len(words) < 600, words
    assert (tmp_path / "precious.json").read_text() == "mine"
    # what came before the lie is whole, and counts as this model's
    root = tmp_path / "hf" / "hub" / "models--maker--model"
    right = {hashlib.sha256(data).hexdigest() for data in FILES.values()}
    assert {sha256(path.read_bytes()) for path in stored(tmp_path)} <= right
    assert all(path.is_relative_to(root) for path in stored(tmp_path))
    assert not is_here(PRESET, records())
    assert liar.sent < 1 << 25, "it stops reading"
    assert time.monotonic() - began < 20.0
    if records().read("made"):
        remove(PRESET, records())
    assert stored(tmp_path) == []
    assert (tmp_path / "precious.json").read_text() == "mine"


def test_the_presets_own_checksum_is_above_the_hubs(liar: Liar) -> None:
    pinned = replace(PRESET, parts=(replace(PART, sha256={WEIGHTS: sha256(FILES[WEIGHTS])}),))
    pulled(pinned)
    remove(pinned, records())
    evil = b"evil    " * 1000
    liar.listing["siblings"] = [entry(name, data) for name, data in {**FILES, WEIGHTS: evil}.items()]
    liar.bodies[WEIGHTS] = evil
    with pytest.raises(HubError, match=r"unet/model\.safetensors.*its SHA-256 is"):
        pulled(pinned)
    liar.listing["siblings"] = [entry(name, data) for name, data in {**FILES, "unet/more.safetensors": evil}.items()]
    with pytest.raises(HubError, match=r"unet/more\.safetensors.*one we know"):
        pulled(pinned)


def test_what_another_program_believed_is_checked(liar: Liar, tmp_path: Path) -> None:
    root = tmp_path / "hf/hub/models--maker--model"
    for folder in (root / "blobs", root / "snapshots" / PIN / "unet", root / "refs"):
        folder.mkdir(parents=True)
    blob = root / "blobs" / sha256(FILES[WEIGHTS])
    blob.write_bytes(b"evil    " * 1000)
    (root / "snapshots" / PIN / WEIGHTS).symlink_to(blob)
    (root / "refs" / PIN).write_text("../../../..")  # the library would follow it
    pulled()
    assert (root / "snapshots" / PIN / WEIGHTS).read_bytes() == FILES[WEIGHTS]


@pytest.mark.parametrize(
    "change",
    [
        {"path": "../../../../../precious.json"},
        {"revision": "../../../.."},
        {"repo": "../.."},
        {"sha256": "../../../../precious.json"},
        {"blob_id": "../../../../precious.json", "sha256": ""},
        {"path": 7},
    ],
    ids=str,
)
def test_a_record_of_such_a_hub_deletes_nothing(liar: Liar, tmp_path: Path, change: dict[str, object]) -> None:
    pulled()
    written = cache.records_folder() / "made.json"
    record = json.loads(written.read_text())
    record["files"][0].update(change)
    written.write_text(json.dumps(record))
    with contextlib.suppress(HubError):
        remove(PRESET, records())
    assert (tmp_path / "precious.json").read_text() == "mine"
    with pytest.raises(ValueError, match=r"which no file of a hub has|has texts"):
        Pulled(**record["files"][0])


def test_a_link_out_of_the_cache_is_deleted_and_not_what_it_leads_to(liar: Liar, tmp_path: Path) -> None:
    pulled()
    pointer = tmp_path / "hf/hub/models--maker--model/snapshots" / PIN / WEIGHTS
    pointer.unlink()
    pointer.symlink_to(tmp_path / "precious.json")
    remove(PRESET, records())
    assert not pointer.is_symlink() and (tmp_path / "precious.json").read_text() == "mine"


def test_the_presets_name_checksums_of_weights() -> None:
    named = {part.repo: part.sha256 for preset in read_presets().values() for part in preset.parts}
    assert sum(map(len, named.values())) >= 8
    for repo, checksums in named.items():
        assert all(name.endswith(".safetensors") for name in checksums), repo
