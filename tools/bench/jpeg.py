"""A picture's way from the device into a JPEG for a slow link, timed by codec. torch and their libraries, no bpy.

``python -m tools.bench.jpeg [DEVICE]``: simplejpeg, which is what goes over a link; Pillow, as a measure;
nvJPEG by torchvision, where there are CUDA and a torchvision that fits torch. Quality 92 and no subsampling, as over a
link. Codecs take turns; medians.
"""

from __future__ import annotations

import io
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import simplejpeg
import torch
from numpy.typing import NDArray
from PIL import Image

from addon.transport.compression import QUALITIES, make_jpeg
from server.engine.devices import choose
from server.engine.images import Transfer

from .frames import detailed

TURNS, WARM = 200, 20
SIDES = 256, 512, 1024

Codec = Callable[[torch.Tensor], bytes]


def codecs(device: torch.device) -> dict[str, Codec]:
    """Each takes uint8 H x W x 3 on ``device`` to the bytes of a JPEG in main memory."""
    transfer = Transfer(device)

    def fetch(picture: torch.Tensor) -> NDArray[np.uint8]:
        back = transfer.send(picture)
        transfer.wait()
        return transfer.own(back)

    def pillow(picture: torch.Tensor) -> bytes:
        file = io.BytesIO()
        Image.fromarray(fetch(picture)).save(file, "JPEG", quality=QUALITIES[0], subsampling="4:4:4")
        return file.getvalue()

    found: dict[str, Codec] = {"simplejpeg": lambda picture: make_jpeg(fetch(picture)), "Pillow": pillow}
    if device.type == "cuda":
        try:
            from torchvision.io import encode_jpeg
        except (ImportError, RuntimeError) as error:
            print(f"no nvJPEG: torchvision cannot be imported: {error}", file=sys.stderr)
        else:
            found["nvJPEG"] = lambda picture: (
                encode_jpeg(picture.permute(2, 0, 1).contiguous(), quality=QUALITIES[0]).cpu().numpy().tobytes()
            )
    else:
        print(f"no nvJPEG: it needs CUDA, and this runs on {device}", file=sys.stderr)
    return found


def measure(
    found: dict[str, Codec], device: torch.device, side: int, turns: int = TURNS
) -> dict[str, tuple[float, int, float]]:
    """Milliseconds, bytes and decibels of each of ``found`` for a picture of ``side`` x ``side`` on ``device``."""
    image = detailed(side)
    picture = torch.from_numpy(image).to(device)
    times: dict[str, list[float]] = {}
    for turn in range(WARM + turns):
        for name, encode in found.items():
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            began = time.perf_counter()
            encode(picture)
            if turn >= WARM:
                times.setdefault(name, []).append((time.perf_counter() - began) * 1e3)
    result = {}
    for name, encode in found.items():
        data = encode(picture)
        error = np.mean((simplejpeg.decode_jpeg(data, "RGB").astype(float) - image) ** 2)
        result[name] = statistics.median(times[name]), len(data), float(10 * np.log10(255**2 / max(error, 1e-9)))
    return result


def main() -> None:
    """Print the table."""
    device = choose(sys.argv[1] if len(sys.argv) > 1 else "auto").device
    print("| picture | codec | ms | kB | dB |\n|---|---|--:|--:|--:|")
    found = codecs(device)
    for side in SIDES:
        for name, (milliseconds, size, decibels) in measure(found, device, side).items():
            print(f"| {side} x {side} | {name} | {milliseconds:.2f} | {size / 1e3:.0f} | {decibels:.1f} |")


if __name__ == "__main__":
    main()
