"""The root is a package only for Blender, which loads it as an extension; for pytest it is a plain folder."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HOME_OF_HUB = tempfile.TemporaryDirectory(prefix="hub-home-")
os.environ["HF_HOME"] = HOME_OF_HUB.name  # what the person at this machine has downloaded is no concern of the tests
# Two programs that compute with two threads each on two cores wait for each other most of the time, and modules as
# small as the tests' are slower on two threads than on one.
os.environ.setdefault("OMP_NUM_THREADS", "1")
SHARED = pytest.StashKey[Path]()
"""The folder of what is made once a run, for all workers."""


class RootIsPlain:
    """Collects the root as a plain folder: its ``__init__.py`` would be imported under the folder's name."""

    def pytest_collect_directory(self, path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """Answer for the root only."""
        return pytest.Dir.from_parent(parent, path=path) if path == ROOT else None


def pytest_configure(config: pytest.Config) -> None:
    """Register for the root too: a conftest's own hooks hold for what lies beside and below it."""
    config.pluginmanager.register(RootIsPlain())
    if hasattr(config, "workerinput"):
        config.stash[SHARED] = Path(config.workerinput["shared"])
    else:
        config.stash[SHARED] = Path(tempfile.mkdtemp(prefix="shared-by-tests-"))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave nothing behind; before Blender's module is left without any clean-up."""
    HOME_OF_HUB.cleanup()
    if not hasattr(config, "workerinput"):
        shutil.rmtree(config.stash[SHARED], ignore_errors=True)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """Tell a worker of pytest-xdist where that folder is."""
    node.workerinput["shared"] = str(node.config.stash[SHARED])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run a test that is marked ``alone`` while no other worker runs one; all others side by side."""
    shared, alone = item.config.stash[SHARED], item.get_closest_marker("alone") is not None
    with open(shared / "turn", "w") as turn, open(shared / "running", "w") as running:
        fcntl.flock(turn, fcntl.LOCK_EX)  # so that one that waits to be alone is the next
        fcntl.flock(running, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(turn, fcntl.LOCK_UN)
        return (yield)


@pytest.fixture(scope="session")
def once(pytestconfig: pytest.Config) -> Callable[[str, Callable[[Path], object]], Path]:
    """once(name, make) -> a folder that ``make(folder)`` has filled, in whichever worker came first."""

    def get(name: str, make: Callable[[Path], object]) -> Path:
        folder = pytestconfig.stash[SHARED] / name
        with open(f"{folder}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                unfinished = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=folder.parent))
                make(unfinished)
                unfinished.rename(folder)
        return folder

    return get
