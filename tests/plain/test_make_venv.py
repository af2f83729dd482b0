"""What a machine lacks is said in one line."""

import subprocess
from pathlib import Path

import pytest

from tools import make_venv

ROOT = Path(__file__).resolve().parents[2]


def refuse(*missing: str):
    """Return a loader that does not find the libraries ``missing``."""

    def load(name: str) -> None:
        if name in missing:
            raise OSError(name)

    return load


def test_nothing_missing() -> None:
    assert make_venv.missing_packages(refuse(), lambda pattern: [pattern]) == []


def test_each_missing_library_is_named_by_its_package() -> None:
    load = refuse("libSM.so.6", "libXi.so.6")
    assert make_venv.missing_packages(load, lambda pattern: []) == ["libxi6", "libsm6", "libgl1-mesa-dri"]


def test_missing_libraries_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make_venv, "missing_packages", lambda: ["libgl1", "libsm6"])
    with pytest.raises(make_venv.Lacking, match=r"apt-get install libgl1 libsm6$") as caught:
        make_venv.check((3, 11), "linux")
    assert "\n" not in str(caught.value)
    make_venv.check((3, 11), "darwin")


def test_another_python_is_one_line() -> None:
    with pytest.raises(make_venv.Lacking, match=r"Python 3\.11 is needed.*this is 3\.13") as caught:
        make_venv.check((3, 13), "linux")
    assert "\n" not in str(caught.value)


def test_no_wheel_for_blender_s_module_is_one_line() -> None:
    said = "Looking\nERROR: Could not find a version\nERROR: No matching distribution found for bpy==5.0.1\n"
    assert "has no wheel for Python 3.11 on" in make_venv.reason(said)
    assert make_venv.reason("x\nERROR: disk full\n") == "The environment could not be made: ERROR: disk full"


def test_make_says_so_when_python_is_missing(tmp_path: Path) -> None:
    argv = ["make", "-s", "-C", str(ROOT), "machine", f"PYTHON={tmp_path / 'python3.11'}"]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode != 0
    assert done.stderr.splitlines()[0].startswith("Python 3.11 is needed, and ")
    assert "apt-get install python3.11" in done.stderr
