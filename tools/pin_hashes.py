"""Write ``server/hashes.txt``: SHA-256 of what the server's environment is installed from. Standard library, and uv.

uv resolves ``server/requirements.txt`` under ``constraints.txt`` for all systems at once, with what only some of them
need. To be run anew whenever a pin changes; a test holds the list to the pins.

    python -m pip install uv && python -m tools.pin_hashes
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "server" / "hashes.txt"
HEADER = "# Made by tools/pin_hashes.py from server/requirements.txt and constraints.txt: not to be edited.\n"
COMMAND = (
    *("pip", "compile", "server/requirements.txt", "--constraints", "constraints.txt"),
    *("--universal", "--python-version", "3.11", "--generate-hashes"),
    *("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"),
)


def main() -> int:
    """Run from the command line."""
    found = shutil.which("uv")
    uv = [found] if found else [sys.executable, "-m", "uv"]
    done = subprocess.run([*uv, *COMMAND], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        print(f"uv failed: {done.stderr.strip()}", file=sys.stderr)
        return 1
    TARGET.write_text(HEADER + done.stdout, "utf-8")
    print(f"{TARGET}: {done.stdout.count('==')} packages, {done.stdout.count('--hash=')} files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
