"""Cancels the process of a download, on every platform. Standard library only.

Windows has no signal that another program could send, so the process of a pull takes a word on its standard input.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading

CANCEL = b"cancel\n"


def listen() -> None:
    """From now on CANCEL on standard input is what Ctrl-C is. To be called in the main thread."""
    if sys.stdin is not None:
        threading.Thread(target=_wait_for_word, args=(sys.stdin.fileno(),), daemon=True).start()


def _wait_for_word(stdin: int) -> None:
    said = b""
    while CANCEL not in said:
        more = os.read(stdin, 64)  # not by sys.stdin, whose lock would be held when Python ends
        if not more:
            return  # whoever started this has nothing more to say
        said += more
    if hasattr(signal, "pthread_kill"):
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, signal.SIGINT)  # also ends what it waits for
    else:
        _thread.interrupt_main()
