"""``python -m addon.headless``: the run itself, as ``python -m addon`` starts it. Imports addon.headless only."""

from __future__ import annotations

from .main import end, main

if __name__ == "__main__":
    end(main())
