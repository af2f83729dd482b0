"""Write ``addon/licenses``: the licences of what the zip bundles, as its makers put them in. Standard library only.

python -m tools.licences      # anew when a wheel or pip changes; a test compares
"""

from __future__ import annotations

import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "addon" / "licenses"


def texts() -> dict[str, str]:
    """File name -> licence, of each package whose wheels are bundled, and of pip with all that it bundles itself."""
    manifest = tomllib.loads((ROOT / "blender_manifest.toml").read_text("utf-8"))
    bundled = [ROOT / wheel for wheel in manifest["wheels"]]
    # the same package's wheels differ in nothing but the folders that they were built in
    by_package = {wheel.name.split("-")[0]: wheel for wheel in sorted(bundled)}
    by_package["pip"] = ROOT / "addon" / "setup" / "pip.zip"
    return {f"{name}.txt": _licence_of(archive) for name, archive in by_package.items()}


def _licence_of(path: Path) -> str:
    """What lies in ``*.dist-info/licenses`` of a wheel; where there are several files, each under its name."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if ".dist-info/licenses/" in name and not name.endswith("/")]
        found = {name.partition("/licenses/")[2]: archive.read(name).decode("utf-8") for name in sorted(names)}
    found.pop("AUTHORS.txt", None)
    if not found:
        raise ValueError(f"{path} has no licence in it")
    plain = {name: "\n".join(line.rstrip() for line in text.splitlines()).strip() for name, text in found.items()}
    if len(plain) == 1:
        return next(iter(plain.values())) + "\n"
    return "".join(f"{'=' * 20} {name}\n\n{text}\n\n" for name, text in plain.items())


def main() -> int:
    """Run from the command line."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in texts().items():
        (FOLDER / name).write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
