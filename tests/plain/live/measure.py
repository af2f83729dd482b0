"""``python -m tests.plain.live.measure [SIDE] [FRAMES] [compiled] [socket]``: what a frame costs beside the engine.

With shared memory, unless it is told to use the socket alone. The client is this process, without the websockets
package's compiled part unless told otherwise, as in Blender;
the server is the real app in a process of its own, with an engine that hands the draft back.
"""

from __future__ import annotations

import sys

if "compiled" not in sys.argv:
    sys.modules["websockets.speedups"] = None  # type: ignore[assignment]

import statistics
import subprocess
import time
from pathlib import Path

import numpy as np

from addon.live import Address, LiveLoop
from addon.transport import shared_memory
from addon.wire import Frame, Request, Style, pack, unpack
from tests.plain.live.servers import said

if "socket" in sys.argv:
    shared_memory.memory_folder = lambda: None

SERVER = """
import os, sys
from pathlib import Path
from server.net.app import create_app
from server.config import Config
from server.net.process import Process, bind
from types import SimpleNamespace

class Echo:
    name = "echo"
    def render(self, request, on_step=None):
        return SimpleNamespace(image=request.frame.image, timings={})
    def close(self):
        pass

listener = bind("127.0.0.1", 0)
print(listener.getsockname()[1], flush=True)
config = Config(model=os.getcwd(), token_file=Path(os.devnull))
Process(create_app(config, "token", lambda report: Echo()), lambda: None).run(sockets=[listener])
"""


def main() -> None:
    """Print a table of medians and 95th percentiles in milliseconds."""
    numbers = [int(argument) for argument in sys.argv[1:] if argument.isdigit()]
    side, frames = (numbers + [512, 500][len(numbers) :])[:2]
    root = Path(__file__).resolve().parents[3]
    server = subprocess.Popen([sys.executable, "-c", SERVER], cwd=root, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        address = Address(f"ws://127.0.0.1:{int(server.stdout.readline())}/live", "token")
        loop = LiveLoop(address, settle=False)
        random = np.random.default_rng(0)
        image = random.integers(0, 256, (side, side, 3), np.uint8)
        depth = random.integers(0, 65536, (side, side), np.uint16)
        ways: list[float] = []
        sends: list[float] = []
        key = 0
        while loop.statistics.pictures < frames:
            want = loop.poll(key)
            if loop.statistics.failures:
                raise SystemExit(said(loop))
            if want is not None:
                began = time.perf_counter()
                request = Request(Frame(want.id, image, depth), Style(prompt="a castle", width=side, height=side))
                loop.send(request)
                sends.append((time.perf_counter() - began) * 1e3)
            picture = loop.take_picture()
            if picture is not None:
                ways.append((time.perf_counter() - began) * 1e3)
                time.sleep(0.01)
                key += 1  # one frame at a time: what a frame costs, not how many go
            time.sleep(0.0005)
        link = loop._link
        ways_of_planes = "through memory" if link is not None and link.shares_memory else "through the socket"
        data = pack(request)
        loops = 200
        began = time.perf_counter()
        for _ in range(loops):
            unpack(data)
        server_unpack = (time.perf_counter() - began) * 1e3 / loops
        loop.stop()
    finally:
        server.kill()
        server.wait()
    print(
        f"{side} x {side} with depth, {len(data)} bytes out, {frames} frames, masking by {masking()}, {ways_of_planes}"
    )
    for name, (p50, p95) in loop.statistics.stages().items():
        print(f"  {name:12} {p50:7.2f} {p95:7.2f}")
    for name, values in (("send() whole", sends), ("there, back", ways)):
        ordered = sorted(values)
        print(f"  {name:12} {statistics.median(values):7.2f} {ordered[int(len(ordered) * 0.95)]:7.2f}")
    print(f"  unpack of the request: {server_unpack:.3f}; longest poll {max(loop.statistics._stages['poll']):.2f}")


def masking() -> str:
    """Which function masks."""
    from websockets import frames

    return f"{frames.apply_mask.__module__}.{frames.apply_mask.__qualname__}"  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
