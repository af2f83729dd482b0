"""``python -m addon``: the live loop over a .blend file, without a window. Imports addon.headless only."""

from __future__ import annotations

import sys

from .headless.supervisor import main

if __name__ == "__main__":
    sys.exit(main())
