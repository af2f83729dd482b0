"""Blenders of two versions, or the installed one that ``BLENDER`` names, each with the extension's zip installed."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.blender.places import RELEASES, ROOT, CannotPrepare, Place, chroot, installed
from tests.blender.screen import Screen
from tests.blender.window import install
from tools import make_zip

#: Debian's sid rolls on and may not install on a given day; this version must run.
GATE = "4.3"
SHOTS = Path(os.environ.get("DRAFTGLASS_CACHE") or ROOT / ".cache") / "shots"
_not_tested: dict[str, str] = {}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test once in each Blender."""
    if "place" in metafunc.fixturenames:
        blenders = [os.environ["BLENDER"]] if os.environ.get("BLENDER") else list(RELEASES)
        metafunc.parametrize("place", blenders, indirect=True, scope="session")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly which Blender could not be tested."""
    for version, reason in _not_tested.items():
        terminalreporter.section(f"BLENDER {version} WAS NOT TESTED", sep="!", red=True, bold=True)
        terminalreporter.line(reason)


@pytest.fixture(scope="session")
def place(request: pytest.FixtureRequest) -> Place:
    """A Blender; made first when it is not there."""
    if os.environ.get("BLENDER"):
        return installed(request.param)
    if request.param in _not_tested:
        pytest.skip(_not_tested[request.param])
    try:
        return chroot(request.param)
    except CannotPrepare as error:
        if request.param == GATE:
            pytest.exit(f"Blender {GATE} must be tested, but: {error}", returncode=1)
        _not_tested[request.param] = str(error)
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The extension's zip, built from the checkout."""
    return make_zip.build(tmp_path_factory.mktemp("zip"))


@pytest.fixture
def home(place: Place, package: Path, tmp_path: Path) -> Path:
    """The folder of a Blender user who has installed the extension and nothing else."""
    install(place, package, tmp_path)
    return tmp_path


@pytest.fixture
def screen(place: Place, home: Path) -> Iterator[Screen]:
    """An empty screen."""
    with Screen(place, home) as opened:
        yield opened


@pytest.fixture
def shots(place: Place, request: pytest.FixtureRequest) -> Path:
    """A folder for a test's pictures, kept after the run."""
    folder = SHOTS / place.version / request.node.originalname
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    return folder
