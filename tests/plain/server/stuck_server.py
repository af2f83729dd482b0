"""A server whose engine never comes back: run as a script by the tests of how a server ends.

``stuck_server.py loading|rendering ARGUMENTS...``: what it is stuck in, then the server's own arguments. While it
is stuck it sleeps in one native call, as an engine computes in one.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from addon.wire import Request
from server.__main__ import main
from server.net.process import end
from server.serving.worker import Engine, EngineOutput

WHERE = sys.argv.pop(1)


class Stuck:
    """An engine as slow as it is patient."""

    name = "stuck"

    def render(self, request: Request, on_step: Callable[[int, int], None] | None = None) -> EngineOutput:
        if on_step is not None:
            on_step(0, request.style.steps)
        time.sleep(1000)
        raise RuntimeError("the test is long over")

    def close(self) -> None:
        """Nothing to close."""


def load(report: Callable[[float, str], None]) -> Engine:
    print("a library that prints")
    report(0.3, "stuck at 30 per cent")
    if WHERE == "loading":
        time.sleep(1000)
    return Stuck()


if __name__ == "__main__":
    end(main(["--model", __file__, *sys.argv[1:]], load))
