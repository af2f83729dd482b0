"""The root is a package only for Blender, which loads it as an extension; for pytest it is a plain folder."""

import os
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HOME_OF_HUB = tempfile.TemporaryDirectory(prefix="hub-home-")
os.environ["HF_HOME"] = HOME_OF_HUB.name  # what the person at this machine has downloaded is no concern of the tests


class RootIsPlain:
    """Collects the root as a plain folder: its ``__init__.py`` would be imported under the folder's name."""

    def pytest_collect_directory(self, path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """Answer for the root only."""
        return pytest.Dir.from_parent(parent, path=path) if path == ROOT else None


def pytest_configure(config: pytest.Config) -> None:
    """Register for the root too: a conftest's own hooks hold for what lies beside and below it."""
    config.pluginmanager.register(RootIsPlain())
