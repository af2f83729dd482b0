"""A client that keeps drawing while others attack, in a process of its own: how long it waits for its pictures."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time

from addon.wire import Picture
from tests.plain.server.rig import ROOT, Address, make_request, wait_for

WARM = 10
"""Pictures that are made before anything counts: the first ones take longer."""


class Witness:
    """Asks for a picture every 50 ms. Any other answer, or a lost connection, is an error."""

    def __init__(self, address: Address) -> None:
        command = [sys.executable, "-m", "tests.attack.witness", str(address.port), address.token]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._at = time.monotonic()
        self._longest = 0.0
        self.pictures = 0
        self._stopped = False
        self._thread = threading.Thread(target=self._listen, daemon=True)

    @property
    def error(self) -> str:
        """What became of it, where it was lost."""
        if self._stopped or self._process.poll() is None:
            return ""
        assert self._process.stderr is not None
        words = self._process.stderr.read().strip().splitlines() or [f"status {self._process.returncode}"]
        return f"the witness was lost after {self.pictures} pictures: {words[-1]}"

    def longest(self) -> float:
        """The longest wait since this was asked last, in seconds; one that goes on counts from then."""
        longest, now = max(self._longest, time.monotonic() - self._at - 0.05), time.monotonic()
        self._longest, self._at = 0.0, now
        return max(0.0, longest)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._longest = max(self._longest, min(float(line), time.monotonic() - self._at))
            self._at = time.monotonic()
            self.pictures += 1

    def __enter__(self) -> Witness:
        self._thread.start()
        wait_for(lambda: self.pictures >= WARM or self.error)
        return self

    def __exit__(self, *_: object) -> None:
        lost = self.error
        self._stopped = not lost
        self._process.kill()
        self._process.wait()
        self._thread.join()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()


def main(port: int, token: str) -> None:
    """Draw, and print the seconds of each wait."""
    with Address(port, token).client() as client:
        number = 0
        while True:
            number += 1
            began = time.monotonic()
            client.send(make_request(number))
            answer = client.answer()
            if not isinstance(answer, Picture):
                sys.exit(f"picture {number} was answered by {answer}")
            print(time.monotonic() - began, flush=True)
            time.sleep(0.05)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
