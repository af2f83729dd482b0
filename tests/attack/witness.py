"""A client that keeps drawing while others attack: how long it waits for its pictures."""

from __future__ import annotations

import threading
import time

from addon.wire import Hello, Picture, Welcome, pack
from tests.plain.server.rig import Address, Client, make_request


class Witness:
    """Asks for a picture every 50 ms, in a thread of its own. Any other answer, or a lost connection, is an error."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._stop = threading.Event()
        self._asked: float | None = None
        self._longest = 0.0
        self.pictures = 0
        self.error = ""
        self._thread = threading.Thread(target=self._run, daemon=True)

    def longest(self) -> float:
        """The longest wait since this was asked last, in seconds."""
        asked, longest = self._asked, self._longest
        self._longest = 0.0
        return longest if asked is None else max(longest, time.monotonic() - asked)

    def __enter__(self) -> Witness:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        try:
            with self._address.connect() as connection:
                client = Client(connection)
                connection.send(pack(Hello(client="witness")))
                client.until(Welcome)
                while not self._stop.wait(0.05):
                    self._asked = time.monotonic()
                    client.send(make_request(self.pictures + 1))
                    answer = client.answer()
                    self._longest = max(self._longest, time.monotonic() - self._asked)
                    self._asked = None
                    if not isinstance(answer, Picture):
                        raise RuntimeError(f"it was answered by {answer}")
                    self.pictures += 1
        except Exception as error:  # told at the end, by who watches it
            self.error = f"the witness was lost after {self.pictures} pictures: {type(error).__name__} {error}"
