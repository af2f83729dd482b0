"""A server whose engine gives the draft back, so that a test can tell what the picture must be. No torch, no bpy.

    python -m tests.blender.stand_in [--delay S] [the server's own arguments]

A prompt with the word "negative" in it inverts the draft's colours; ``--delay`` makes each picture take that long.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy
from PIL import Image

from addon.wire import Request
from server.__main__ import main
from server.net.process import end


@dataclass(frozen=True)
class Rendered:
    """What the engine made."""

    image: numpy.ndarray
    timings: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class StandIn:
    """The engine."""

    delay_s: float = 0.0
    name: str = "stand-in"

    def render(self, request: Request, on_step: Callable[[int, int], None] | None = None) -> Rendered:
        """Return the draft at the size asked for."""
        for step in range(request.style.steps):
            if on_step is not None:
                on_step(step, request.style.steps)
            time.sleep(self.delay_s / request.style.steps)
        size = (request.style.width, request.style.height)
        image = numpy.asarray(Image.fromarray(request.frame.image).resize(size, Image.Resampling.BILINEAR))
        return Rendered(255 - image if "negative" in request.style.prompt else image)

    def close(self) -> None:
        """Nothing to free."""


if __name__ == "__main__":
    arguments = sys.argv[1:]
    delay = 0.0
    if arguments[:1] == ["--delay"]:
        delay, arguments = float(arguments[1]), arguments[2:]
    # --model names a file that exists: the stand-in reads none.
    end(main([*arguments, "--model", __file__], load=lambda progress: StandIn(delay)))
