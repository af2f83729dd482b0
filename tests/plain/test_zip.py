"""The extension's zip holds what it should, and nothing else."""

import os
import subprocess
import tomllib
import zipfile
from pathlib import Path

import pytest

from tools import licences, make_zip

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = tomllib.loads((ROOT / "blender_manifest.toml").read_text("utf-8"))


def known_to_git() -> list[str]:
    """List the checkout's files, without those that git ignores."""
    argv = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip("not a git checkout")
    return [path for path in done.stdout.split("\0") if path and (ROOT / path).is_file()]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_zip.build(tmp_path_factory.mktemp("zip"))


def test_exact_list_of_files(packed: Path) -> None:
    wanted = {"__init__.py", "blender_manifest.toml", "LICENSE", "constraints.txt"}
    wanted.update(wheel.removeprefix("./") for wheel in MANIFEST["wheels"])
    for path in known_to_git():
        parts = path.split("/")
        if parts[0] in ("addon", "server") and parts[:2] != ["server", "training"]:
            if not any(part.startswith(".") for part in parts):
                wanted.add(path)
    assert sorted(zipfile.ZipFile(packed).namelist()) == sorted(wanted)


def test_the_contents_are_the_checkout_s(packed: Path) -> None:
    with zipfile.ZipFile(packed) as archive:
        assert archive.testzip() is None
        for name in archive.namelist():
            assert archive.read(name) == (ROOT / name).read_bytes(), name


def test_the_name_says_what_it_is(packed: Path) -> None:
    assert packed.name == f"draftglass-{MANIFEST['version']}.zip"


def test_the_same_checkout_gives_the_same_bytes(packed: Path, tmp_path: Path) -> None:
    assert make_zip.build(tmp_path).read_bytes() == packed.read_bytes()


def test_the_root_module_only_passes_on_the_add_on() -> None:
    assert (ROOT / "__init__.py").read_text() == "from .addon import register, unregister\n"


def test_permissions_are_texts_that_blender_accepts() -> None:
    for text in MANIFEST["permissions"].values():
        assert len(text) <= 64
        assert text[-1].isalnum()


@pytest.mark.parametrize(
    ("path", "out"),
    [
        ("tests/", True),
        ("addon/tests/", False),
        ("docs/", True),
        ("README.md", True),
        ("server/README.md", False),
        ("tools/", True),
        ("server/models/embedded/unet/model.safetensors", False),
        ("addon/wire/__pycache__/", True),
        (".venv/", True),
        ("addon/.hidden", True),
        ("old.zip", True),
        ("addon/a.zip", False),
        ("dist", False),
    ],
)
def test_patterns(path: str, out: bool) -> None:
    assert make_zip.excluded(path, MANIFEST["build"]["paths_exclude_pattern"]) is out


def checkout(root: Path, manifest: str) -> Path:
    """Make a small checkout."""
    (root / "addon").mkdir(parents=True)
    (root / "addon" / "__init__.py").touch()
    (root / "wheels").mkdir()
    (root / "wheels" / "a-1-py3-none-any.whl").touch()
    (root / "wheels" / "b-1-py3-none-any.whl").touch()
    (root / "blender_manifest.toml").write_text(manifest)
    return root


def test_wheels_are_those_of_the_manifest_and_links_stay_out(tmp_path: Path) -> None:
    wheels = 'wheels = ["./wheels/a-1-py3-none-any.whl"]\n[build]\npaths_exclude_pattern = []\n'
    root = checkout(tmp_path, wheels)
    os.symlink("__init__.py", root / "addon" / "link.py")
    assert make_zip.files(root) == ["addon/__init__.py", "blender_manifest.toml", "wheels/a-1-py3-none-any.whl"]


def test_a_wheel_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    root = checkout(tmp_path, 'wheels = ["./wheels/c.whl"]\n[build]\npaths_exclude_pattern = []\n')
    with pytest.raises(FileNotFoundError, match=r"wheels/c\.whl"):
        make_zip.files(root)


def test_the_licences_of_what_is_bundled_are_in_it(packed: Path) -> None:
    with zipfile.ZipFile(packed) as archive:
        listed = archive.read("addon/licenses/README.md").decode()
        for name, text in licences.texts().items():
            assert archive.read(f"addon/licenses/{name}").decode() == text, "made anew: python -m tools.licences"
            assert f"`{name}`" in listed
        bundled = {wheel.split("/")[-1].rsplit("-", 3)[0] for wheel in MANIFEST["wheels"]}
        pip = next(
            name for name in zipfile.ZipFile(archive.open("addon/setup/pip.zip")).namelist() if "METADATA" in name
        )
        for package in (*bundled, pip.split(".dist-info")[0]):
            assert package.replace("-", " ") in listed, f"{package} is not listed"
