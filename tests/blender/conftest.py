"""Blenders of two versions, or the installed one that ``BLENDER`` names, each with the extension's zip installed."""

import os
import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from tests.blender.places import RELEASES, ROOT, CannotPrepare, Place, chroot, installed
from tests.blender.window import KeptWindow, Window, install
from tools import make_zip

#: Debian's sid rolls on and may not install on a given day; this version must run.
GATE = "4.3"
SHOTS = Path(os.environ.get("DRAFTGLASS_CACHE") or ROOT / ".cache") / "shots"
FAILED = pytest.StashKey[bool]()
MISSING = pytest.StashKey[dict[str, str]]()
"""Of the session: why a version of Blender is not there."""
NOT_TESTED = "Blender not tested"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test once in each Blender; a file's tests in one version by one worker, as they share a Blender.

    One that is marked ``one_version`` is slow in all but the first.
    """
    if "place" in metafunc.fixturenames:
        blenders = [os.environ["BLENDER"]] if os.environ.get("BLENDER") else list(RELEASES)
        file = metafunc.definition.path.stem
        once = metafunc.definition.get_closest_marker("one_version") is not None
        marked = [
            pytest.param(
                one, marks=[pytest.mark.xdist_group(f"{file} {one}"), *[pytest.mark.slow] * (once and number > 0)]
            )
            for number, one in enumerate(blenders)
        ]
        metafunc.parametrize("place", marked, indirect=True, scope="session")


def version_of(item: pytest.Item) -> str:
    """The Blender that a test runs in; empty for one that needs none."""
    return item.callspec.params.get("place", "") if hasattr(item, "callspec") else ""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember that a test failed: its Blender is in a state that nobody knows. Say of a skipped one why."""
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    why = item.config.stash.get(MISSING, {}).get(version_of(item))
    if report.skipped and why is not None:
        report.user_properties.append((NOT_TESTED, why))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly which Blender could not be tested."""
    reports = terminalreporter.stats.get("skipped", [])
    for told in sorted({told for report in reports for name, told in report.user_properties if name == NOT_TESTED}):
        terminalreporter.section("A BLENDER WAS NOT TESTED", sep="!", red=True, bold=True)
        terminalreporter.line(told)


@pytest.fixture(scope="session")
def place(request: pytest.FixtureRequest, once: Callable[..., Path]) -> Place:
    """A Blender; made first when it is not there."""
    version = request.param
    if os.environ.get("BLENDER"):
        return installed(version)

    def prepare(folder: Path) -> None:
        try:
            chroot(version)
        except CannotPrepare as error:
            (folder / "why not").write_text(str(error))

    why_not = once(f"chroot-{version}", prepare) / "why not"  # tried once a run: it takes minutes
    if not why_not.exists():
        return chroot(version)
    reason = f"Blender {version}: {why_not.read_text()}"
    if version == GATE:
        pytest.fail(f"it must be tested, but {reason}", pytrace=False)
    request.config.stash.setdefault(MISSING, {})[version] = reason
    pytest.skip(reason)


@pytest.fixture(scope="session")
def package(once: Callable[..., Path]) -> Path:
    """The extension's zip, built from the checkout."""
    (path,) = once("package", make_zip.build).glob("*.zip")
    return path


@pytest.fixture(scope="session")
def new_home(place: Place, package: Path, once: Callable[..., Path]) -> Path:
    """The folder of a Blender user who has installed the extension and nothing else: to be copied."""
    return once(f"home-{place.version}", lambda folder: install(place, package, folder))


@pytest.fixture(scope="module")
def home(new_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Such a folder for the tests of a file; what they leave in it is taken out between them."""
    return shutil.copytree(new_home, tmp_path_factory.mktemp("user") / "home", symlinks=True)


@pytest.fixture(scope="module")
def kept_window(place: Place, new_home: Path, home: Path) -> Iterator[KeptWindow]:
    """The screen and the Blender of a file's tests."""
    with KeptWindow(place, new_home, home) as kept:
        yield kept


@pytest.fixture
def window(kept_window: KeptWindow, request: pytest.FixtureRequest) -> Iterator[Window]:
    """A Blender as it is when it was just started for the first time."""
    yield kept_window.get()
    if request.node.stash.get(FAILED, False):
        kept_window.drop()


@pytest.fixture
def shots(place: Place, request: pytest.FixtureRequest) -> Path:
    """A folder for a test's pictures, kept after the run."""
    folder = SHOTS / place.version / request.node.originalname
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    return folder
