"""``python -m tests.plain.live.measure_rate [SECONDS]``: the whole loop's frame rate beside the engine's own.

The embedded model at 256 x 256, 2 steps, with depth. The engine alone draws one frame after the other in this process;
then the real server does, in a process of its own, for a live loop whose view changes at every heartbeat: over the
socket and over shared memory, in turns. Prints medians of the turns.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from addon.live import Address, LiveLoop
from addon.problems import LiveState
from addon.transport import shared_memory
from addon.wire import Control, Frame, Request, Style
from tests.plain.live.servers import said

ROOT = Path(__file__).resolve().parents[3]
SIDE, STEPS, TURNS = 256, 2, 3
HEARTBEAT = 0.004
FOLDER = shared_memory.memory_folder


def request(number: int, rest: np.ndarray) -> Request:
    """A frame unlike the one before."""
    image = np.roll(rest, number, axis=1)
    depth = image[..., 0].astype(np.uint16) * 257
    style = Style("a castle", steps=STEPS, width=SIDE, height=SIDE, controls=(Control(),))
    return Request(Frame(number, image, depth), style)


def alone(seconds: float, rest: np.ndarray) -> float:
    """Frames a second of the engine by itself."""
    from server.engine import StableDiffusionLcm

    engine = StableDiffusionLcm.load(ROOT / "server" / "models" / "embedded", "cpu")
    for number in range(5):
        engine.render(request(number, rest))
    began, frames = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        engine.render(request(frames, rest))
        frames += 1
    rate = frames / (time.perf_counter() - began)
    engine.close()
    return rate


def looped(address: Address, seconds: float, rest: np.ndarray, shared: bool) -> tuple[float, float, dict[str, float]]:
    """Pictures a second, the engine's frames a second by its own timings, and the median of each stage."""
    shared_memory.memory_folder = FOLDER if shared else lambda: None
    loop = LiveLoop(address, settle=False)
    began = None
    while began is None or time.perf_counter() - began < seconds:
        want = loop.poll(time.perf_counter())
        if want is not None:
            drawn = request(want.id, rest)
            loop.send(drawn)
        if loop.statistics.failures or loop.state == LiveState.FAILED:
            raise SystemExit(said(loop))
        if loop.take_picture() is not None and began is None and loop.statistics.pictures > 10:
            began, first = time.perf_counter(), loop.statistics.pictures
        time.sleep(HEARTBEAT if loop.state == LiveState.LIVE else 0.02)
    rate = (loop.statistics.pictures - first) / (time.perf_counter() - began)
    stages = {name: p50 for name, (p50, _) in loop.statistics.stages().items()}
    loop.stop()
    return rate, 1000 / stages["engine"], stages


def main() -> None:
    """Print the table."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 6.0
    rest = noise()
    child = [sys.executable, "-c", f"from tests.plain.live.measure_rate import *; print(alone({seconds}, noise()))"]
    by_itself = float(subprocess.run(child, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()[-1])
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "server", "--port", "0", "--device", "cpu", "--token-file", f"{folder}/token"]
        server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            said = json.loads(server.stdout.readline())
            address = Address(said["url"], token_file=Path(said["token_file"]))
            turns = [(shared, looped(address, seconds, rest, shared)) for _ in range(TURNS) for shared in (False, True)]
        finally:
            server.terminate()
            server.wait()
    print(f"{SIDE} x {SIDE}, {STEPS} steps, depth; the engine alone: {by_itself:.2f} frames/s")
    for shared in (False, True):
        rates = [turn for way, turn in turns if way is shared]
        whole, engine = (statistics.median(rate[index] for rate in rates) for index in (0, 1))
        part = statistics.median(rate[0] / rate[1] for rate in rates)
        way = "memory" if shared else "the socket"
        print(f"  over {way}: {whole:.2f} frames/s, the engine in it {engine:.2f}: {part:.0%}")
        stages = {name: statistics.median(rate[2].get(name, 0) for rate in rates) for name in rates[0][2]}
        print("   ", ", ".join(f"{name} {stages[name]:.2f}" for name in sorted(stages)))


def noise() -> np.ndarray:
    """The picture that is moved along."""
    return np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)


if __name__ == "__main__":
    main()
