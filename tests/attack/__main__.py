"""``python -m tests.attack --minutes 5``: all kinds of attacks, in turn, until the time is up, and a table of them.

A server of its own, with the embedded model, is attacked while a client draws; then a client, by a hostile server.
It ends with status 1 where an attack took longer than it may, memory grew, a poll was long, or somebody was lost.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.attack import files, on_client, on_server
from tests.attack.report import Row, memory_mb, table
from tests.attack.witness import Witness
from tests.plain.server.rig import Address, Spawned, slowness, wait_ready

Choose = Callable[[dict[str, Any]], dict[str, Any]]
MOST_MEMORY = 200.0
"""MB more than before the attacks."""
MOST_LOG = 2_000_000
MANY = 10**9
"""Tries, where their number is not bounded."""
CLIENT_SHARE, CLIENT_SECONDS = 0.4, 1.5
SLOW_KINDS = {
    "more requests than credits, of 12 MB": 10.0,
    "1,000 idle connections": 10.0,
    "unfinished messages": 10.0,
    "200 connections of nonsense": 10.0,
    "a body in chunks": 7.0,
    "100 questions about models": 7.0,
}
"""Kinds that consist of many: their seconds are for all of these together."""


def once(row: Row, act: on_server.Attack, address: Address) -> str:
    """Attack once; returns what is wrong, if it had no end."""
    began, wrong = time.monotonic(), ""
    try:
        served = act(address)
        row.served, row.refused = row.served + served, row.refused + (not served)
    except Exception as error:
        wrong = f"{row.target}, {row.kind}: {type(error).__name__} {error}"
    row.tried += 1
    row.longest_wait = max(row.longest_wait, time.monotonic() - began)
    return wrong


def attack_server(folder: Path, seconds: float, tries: int, choose: Choose, rows: list[Row]) -> list[str]:
    """Attack a server for ``seconds``, or ``tries`` times with each kind that ``choose`` leaves; once at least."""
    names, wrong = files.lay_out(folder / "models"), []
    arguments = ("--models-dir", str(folder / "models"), "--device", "cpu")
    with Spawned(folder, *arguments) as server:
        address = server.address()
        wait_ready(address)
        kinds = choose({**on_server.KINDS, **on_server.of_files(names)})
        alone, deaf = Row("server", "none, for comparison"), Row("server", "a picture that nobody reads", 40.0)
        own = [Row("server", kind, SLOW_KINDS.get(kind, 1.0)) for kind in kinds]
        rows += [alone, *own]
        with Witness(address) as witness:
            waited: list[str] = []
            unread = threading.Thread(target=lambda: waited.append(once(deaf, on_server.unread, address)))
            witness.longest()
            time.sleep(min(5.0, seconds / 4))
            alone.others = witness.longest()
            if seconds > 60:
                rows.append(deaf)
                unread.start()
            before, ends = memory_mb(server.process.pid), time.monotonic() + seconds
            acts: dict[str, on_server.Attack] = {}
            first = True
            while first or (time.monotonic() < ends and own[-1].tried < tries):
                for row in own:
                    acts[row.kind] = acts.get(row.kind) or kinds[row.kind]()
                    witness.longest()
                    wrong.append(once(row, acts[row.kind], address))
                    row.others = max(row.others, witness.longest())
                    row.memory = max(row.memory, memory_mb(server.process.pid) - before)
                    if not first and time.monotonic() > ends:
                        break
                first = False
            if unread.ident is not None:
                unread.join(60)
            wrong += [*waited, witness.error]
        if server.stderr.stat().st_size > MOST_LOG:
            wrong.append(f"the server's log has {server.stderr.stat().st_size} bytes")
        if server.process.poll() is not None:
            wrong.append("the server has ended")
    return [sentence for sentence in wrong if sentence]


def attack_client(seconds: float, tries: int, choose: Choose, rows: list[Row]) -> None:
    """Attack a client for ``seconds``, or ``tries`` times with each kind that ``choose`` leaves; once at least."""
    kinds = choose(dict.fromkeys(on_client.KINDS))
    each = max(0.2, min(CLIENT_SECONDS, seconds / len(kinds) / (tries if tries < MANY else 1)))
    with on_client.hostile() as port:
        own = [Row("client", kind, 10.0) for kind in kinds]
        rows += own
        ends, first = time.monotonic() + seconds, True
        while first or (time.monotonic() < ends and own[-1].tried < tries):
            for row in own:
                on_client.attack(port, row.kind, row, each)
            first = False


def attack_files(tries: int, rows: list[Row]) -> None:
    """Open each picture and style that hurts as the add-on does, ``tries`` times."""
    for what, found, act in (
        ("picture", files.PICTURES, files.open_picture),
        ("style", files.STYLES, files.open_style),
    ):
        for name, data in found.items():
            row, before = Row(what, name), memory_mb()
            for _ in range(tries):
                began = time.monotonic()
                served = act(data)
                row.tried, row.served, row.refused = row.tried + 1, row.served + served, row.refused + (not served)
                row.longest_wait = max(row.longest_wait, time.monotonic() - began)
                row.memory = max(row.memory, memory_mb() - before)
            rows.append(row)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m tests.attack", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--minutes", type=float, default=5.0, help="how long (%(default)s); each kind at least once")
    parser.add_argument("--tries", type=int, default=MANY, help="of each kind, at most, whatever the time")
    parser.add_argument("--out", type=Path, help="where to write the table")
    parser.add_argument("--share", type=float, default=1.0, help="of the kinds, for a short run (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="which kinds those are (%(default)s)")
    given = parser.parse_args(arguments)
    rows: list[Row] = []

    def choose(kinds: dict[str, Any]) -> dict[str, Any]:
        names = random.Random(given.seed).sample(sorted(kinds), max(1, round(len(kinds) * given.share)))
        return {name: kind for name, kind in kinds.items() if name in names}

    slow = slowness()
    with tempfile.TemporaryDirectory(prefix="draftglass-attack-") as folder:
        attack_files(given.tries if given.tries < MANY else 1, rows)
        seconds, began = given.minutes * 60, time.monotonic()
        attack_client(seconds * CLIENT_SHARE, given.tries, choose, rows)
        left = seconds - (time.monotonic() - began)
        wrong = attack_server(Path(folder), max(left, seconds * (1 - CLIENT_SHARE)), given.tries, choose, rows)
    # on a machine where processes wait for a processor all take longer by as much
    slow = 1.0 if max(slow, slowness()) < 1.2 else 2 * max(slow, slowness())
    wrong += [fault for row in rows for fault in row.faults(MOST_MEMORY, on_client.LONGEST_POLL, slow)]
    shown = table(rows)
    print(shown)
    if given.out is not None:
        given.out.write_text(shown + "\n", encoding="utf-8")
    print("\n".join(wrong) or f"{sum(row.tried for row in rows):,} attacks, nothing gave way", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
