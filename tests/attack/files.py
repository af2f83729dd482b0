"""Files that hurt whoever reads them carelessly: models, LoRAs, configs, pictures, styles."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path

from addon.keeping import KeepError, read_recipe, read_request
from addon.presets.errors import PresetError
from addon.presets.preset import read
from addon.untrusted.png import is_bomb
from tests.plain.engine.test_hostile_files import BOMB, HEADERS, safetensors, sparse
from tests.plain.untrusted.test_pictures import jpeg, many_scans, png, text_bomb


def lay_out(folder: Path) -> list[str]:
    """Put models and LoRAs that hurt into ``folder``, as a user's own; returns the names of the models."""
    checkpoints, loras = folder / "checkpoints", folder / "loras"
    for each in (checkpoints, loras):
        each.mkdir(parents=True)
    for number, header in enumerate(HEADERS.values()):
        os.link(
            safetensors(checkpoints / f"header {number}.safetensors", header, 8), loras / f"lora {number}.safetensors"
        )
    makers: tuple[Callable[[Path], None], ...] = (lambda path: path.symlink_to("/dev/zero"), os.mkfifo, sparse)
    for number, make in enumerate(makers):
        make(checkpoints / f"odd {number}.safetensors")
        for part in ("unet", "text_encoder", "vae", "scheduler", "tokenizer"):
            (checkpoints / f"model {number}" / part).mkdir(parents=True)
            make(checkpoints / f"model {number}" / part / "config.json")
        (checkpoints / f"model {number}" / "model_index.json").write_text("{}")
    entry = {"dtype": "F16", "shape": [4], "data_offsets": [0, 8]}
    header = json.dumps({"model.diffusion_model.input_blocks.0.0.weight": entry, "cond_stage_model.a": entry}).encode()
    safetensors(checkpoints / "yaml.safetensors", header, 8)
    (checkpoints / "yaml.yaml").write_text(BOMB + "model: {params: {parameterization: *a11}}")
    (folder / "extra_model_paths.yaml").write_text(BOMB + "b: {base_path: *a11, checkpoints: x}")
    return [path.stem if path.is_file() else path.name for path in checkpoints.iterdir() if path.suffix != ".yaml"]


def style(thumbnail: bytes) -> bytes:
    """The bytes of a style with that picture."""
    told = {"draftglass_style": 1, "name": "x", "thumbnail": base64.b64encode(thumbnail).decode()}
    return json.dumps(told).encode()


PICTURES = {
    "texts that inflate": png(8, 8, text_bomb(b"zTXt", 250)),
    "one text of ours that inflates": png(8, 8, text_bomb(b"iTXt", 1).replace(b"key0", b"draftglass")),
    "a profile that inflates": png(8, 8, text_bomb(b"iCCP", 1)),
    "a giant of nothing": png(60_000, 60_000),
    "no picture": b"\x89PNG",
}
STYLES = {
    "a PNG of texts that inflate": style(png(8, 8, text_bomb(b"zTXt", 80))),
    "a PNG of 30,000 x 30,000": style(png(30_000, 30_000)),
    "a JPEG of many scans": style(many_scans(30_000)[: 400 * 1024]),
    "a JPEG of 4,000 x 4,000": style(jpeg(64).replace(b"\x00\x40\x00\x40", b"\x0f\xa0\x0f\xa0")),
    "brackets": b"[" * 1_000_000,
}


def open_picture(data: bytes) -> bool:
    """Do with ``data`` what the add-on does with a picture that is dropped. True where it is served."""
    try:
        read_recipe(data)
        read_request(data)
    except KeepError:
        is_bomb(data)
        return False
    return True


def open_style(data: bytes) -> bool:
    """Read ``data`` as a style. True where it is served."""
    try:
        read(data)
    except PresetError:
        return False
    return True
