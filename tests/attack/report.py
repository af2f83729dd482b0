"""What came of the attacks: a row for each kind, its table, and which rows are not as they must be."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE") / 2**20


def memory_mb(pid: int | str = "self") -> float:
    """What a process has in memory, in MB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


@dataclass
class Row:
    """A kind of attack. ``longest_wait``: for its answer or end, in seconds. ``others``: of who draws meanwhile.

    ``memory``: MB more than before, at most. ``longest_poll``: seconds that the client computed.
    """

    target: str
    kind: str
    most_wait: float = 1.0
    tried: int = 0
    refused: int = 0
    served: int = 0
    longest_wait: float = 0.0
    others: float = 0.0
    memory: float = 0.0
    longest_poll: float = 0.0

    def faults(self, most_memory: float, most_poll: float, slow: float) -> list[str]:
        """What is not as it must be, as sentences; ``slow``: how many times longer everything takes here just now."""
        found = []
        if self.longest_wait > self.most_wait * slow:
            found.append(f"its longest wait is {self.longest_wait:.2f} s, more than {self.most_wait:g}")
        if self.others > slow:
            found.append(f"another client waited {self.others:.2f} s")
        if self.memory > most_memory:
            found.append(f"memory grew by {self.memory:.0f} MB")
        if self.longest_poll > most_poll:
            found.append(f"the longest poll took {self.longest_poll * 1e3:.0f} ms")
        return [f"{self.target}, {self.kind}: {fault}" for fault in found]


def table(rows: Iterable[Row]) -> str:
    """The rows in Markdown."""
    lines = ["| at | kind | tried | refused | served | longest wait | others' longest | memory | longest poll |"]
    lines.append("|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        poll = f"{row.longest_poll * 1e3:.1f} ms" if row.longest_poll else ""
        others = f"{row.others:.2f} s" if row.others else ""
        lines.append(
            f"| {row.target} | {row.kind} | {row.tried:,} | {row.refused:,} | {row.served:,} | "
            f"{row.longest_wait:.3f} s | {others} | {row.memory:+.0f} MB | {poll} |"
        )
    return "\n".join(lines)
