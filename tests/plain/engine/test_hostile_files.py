"""Model files made to hurt: each is refused in one sentence, at once, and in little memory. No torch."""

from __future__ import annotations

import json
import os
import struct
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from server.catalogue.folders import roots
from server.catalogue.user_files import own_files
from server.engine import EngineError
from server.engine.loading.files import LONGEST_HEADER, check_safetensors, check_texts, read_json
from server.engine.loading.prediction import noise_config
from server.engine.loras.scales import CONFIG, Odd, Scales
from server.engine.yaml_files import read_yaml

MB = 1024 * 1024


def quick(act: Callable[[], Any]) -> None:
    """Do it within a second of computing and 200 MB."""
    tracemalloc.start()
    began = time.thread_time()
    act()
    seconds, (_, most) = time.thread_time() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < 5 and most < 200 * MB, f"{seconds:.1f} s and {most / MB:.0f} MB, traced"


def safetensors(path: Path, header: bytes, data: int = 0) -> Path:
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + data)
    return path


def entry(shape: list[Any], first: int, last: Any, dtype: str = "F16") -> bytes:
    return json.dumps({"a": {"dtype": dtype, "shape": shape, "data_offsets": [first, last]}}).encode()


HEADERS = {
    "90 MB": b"{" + b" " * 90 * MB + b"}",
    "brackets": b'{"a":' + b"[]," * (2 * MB) + b"[]}",
    "objects": b'{"a":[' + b"{}," * (2 * MB) + b"{}]}",
    "names": b"{" + b",".join(b'"%d":1' % n for n in range(600_000)) + b"}",
    "giant shape": entry([2**40, 2**40], 0, 8),
    "a shape of long numbers": entry([10**4000] * 100, 0, 8),
    "thousands of sides": entry([1] * 100_000, 0, 2),
    "more numbers than bytes": entry([1000, 1000], 0, 8, "F5_NEW"),
    "fewer numbers than bytes": entry([2], 0, 8),
    "offsets that are none": entry([2], 0, True),
    "a shape that is none": entry([2.0], 0, 4),
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers_that_hurt_are_refused(name: str, tmp_path: Path) -> None:
    path = safetensors(tmp_path / "a.safetensors", HEADERS[name], 8)
    quick(lambda: refuse(lambda: check_safetensors(path)))
    listed = own_files(tmp_path.parent)
    assert all(file.path.name != "a.safetensors" or file.examine()[1] for file in listed.values())


def test_a_header_of_many_tensors_and_much_metadata_is_read(tmp_path: Path) -> None:
    tensors = {
        f"layer.{n}.weight": {"dtype": "F8_E4M3", "shape": [2, 2], "data_offsets": [n * 4, n * 4 + 4]}
        for n in range(9000)
    }
    header = json.dumps({"__metadata__": {"ss_tag_frequency": '{"a": 1}, ' * 300_000}, **tensors}).encode()
    assert len(header) < LONGEST_HEADER
    assert len(check_safetensors(safetensors(tmp_path / "a.safetensors", header, 36_000))) == 9000


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(10**12)


@pytest.mark.skipif(os.name != "posix", reason="no pipes and devices here")
@pytest.mark.parametrize("make", [lambda path: path.symlink_to("/dev/zero"), os.mkfifo, sparse])
def test_configs_without_an_end_are_refused(make: Callable[[Path], None], tmp_path: Path) -> None:
    for name in ("config.json", CONFIG):
        make(tmp_path / name)
    with pytest.raises(EngineError, match="cannot be read"):
        check_texts(tmp_path)
    with pytest.raises(EngineError, match="cannot be read"):
        read_json(tmp_path / "config.json", "the config")
    if (tmp_path / CONFIG).is_file():  # else it is as if there were none
        with pytest.raises(Odd, match="cannot be read"):
            Scales.read(tmp_path / "a.safetensors", {}, True)


def test_a_config_of_nothing_but_brackets_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("[" + "{}," * 300_000 + "{}]")
    quick(lambda: refuse(lambda: read_json(tmp_path / "config.json", "the config")))


def refuse(act: Callable[[], Any]) -> None:
    with pytest.raises(EngineError) as caught:
        act()
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "wrong", [{"num_hidden_layers": 10**9}, {"a": {"layers_per_block": [2, 1e12]}}, {"down": [1] * 10_000}]
)
def test_a_config_of_endless_layers_is_refused(wrong: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"hidden_size": 768, "num_hidden_layers": 12}))
    check_texts(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(wrong))
    refuse(lambda: check_texts(tmp_path))


BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)


def test_yaml_that_repeats_itself_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "extra_model_paths.yaml"
    path.write_text(BOMB + "b:\n  base_path: *a11\n  checkpoints: x\n")
    with pytest.raises(ValueError, match="by reference"):
        read_yaml(path)
    assert roots(tmp_path) == []
    beside = tmp_path / "m.yaml"
    beside.write_text(BOMB + "model:\n  params:\n    parameterization: *a11\n")
    safetensors(tmp_path / "m.safetensors", b"{}")
    with pytest.raises(EngineError, match="by reference"):
        noise_config(tmp_path / "m.safetensors", {})
    beside.write_text("model: {params: {parameterization: " + "[" * 20_000 + "}}")
    with pytest.raises(EngineError, match="cannot be read"):
        noise_config(tmp_path / "m.safetensors", {})
    beside.write_text("model: {params: {parameterization: v}}")
    assert noise_config(tmp_path / "m.safetensors", {})["prediction_type"] == "v_prediction"
