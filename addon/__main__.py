"""``python -m addon``: the live loop over a .blend file, without a window. Imports addon.headless only."""

from __future__ import annotations

from .headless.main import end, main

if __name__ == "__main__":
    end(main())
