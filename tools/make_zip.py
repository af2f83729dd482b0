"""Build the extension's zip from the checkout, without Blender. Standard library only.

It follows ``blender_manifest.toml`` as ``blender --command extension build`` does, and the two are compared
in ``tests/blender``; that way a zip can be made on any machine with Python 3.11.

    python tools/make_zip.py [--out FOLDER]
"""

import argparse
import fnmatch
import os
import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MANIFEST = "blender_manifest.toml"
# A zip's earliest date: the same checkout gives the same bytes whenever it is built.
EPOCH = (1980, 1, 1, 0, 0, 0)


def excluded(path: str, patterns: list[str]) -> bool:
    """Say whether a path is left out of the zip.

    ``path`` is relative to the root, with forward slashes, and ends in one when it is a folder. The patterns
    are the part of gitignore's language that the manifest uses: a leading slash ties a pattern to the root, a
    trailing one makes it match folders only.
    """
    folder = path.endswith("/")
    parts = path.rstrip("/").split("/")
    for pattern in patterns:
        if pattern.endswith("/") and not folder:
            continue
        globs = pattern.strip("/").split("/")
        tied = "/" in pattern.rstrip("/")
        subject = parts if tied else parts[-1:]
        if len(subject) == len(globs) and all(map(fnmatch.fnmatchcase, subject, globs)):
            return True
    return False


def files(root: Path = ROOT) -> list[str]:
    """List the files of the zip, relative to ``root`` and sorted. Links are left out, as Blender does."""
    manifest = tomllib.loads((root / MANIFEST).read_text("utf-8"))
    patterns = manifest["build"]["paths_exclude_pattern"]
    # Blender packs the wheels that the manifest names and no others.
    wheels = {wheel.removeprefix("./") for wheel in manifest.get("wheels", [])}
    found = []
    for folder, folders, names in os.walk(root):
        inside = Path(folder).relative_to(root).as_posix()
        prefix = "" if inside == "." else inside + "/"
        folders[:] = [n for n in folders if not excluded(f"{prefix}{n}/", patterns)]
        for name in names:
            path = prefix + name
            if os.path.islink(root / path) or excluded(path, patterns):
                continue
            if path.endswith(".whl") and path not in wheels:
                continue
            found.append(path)
    missing = wheels.difference(found)
    if missing:
        raise FileNotFoundError(f"the manifest names wheels that are not there: {', '.join(sorted(missing))}")
    return sorted(found)


def build(out: Path, root: Path = ROOT) -> Path:
    """Write ``ID-VERSION.zip`` into the folder ``out`` and return its path."""
    manifest = tomllib.loads((root / MANIFEST).read_text("utf-8"))
    out.mkdir(parents=True, exist_ok=True)
    target = out / f"{manifest['id']}-{manifest['version']}.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files(root):
            entry = zipfile.ZipInfo(path, EPOCH)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, (root / path).read_bytes())
    return target


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Build the extension's zip.")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", metavar="FOLDER")
    target = build(parser.parse_args().out)
    print(f"{target} ({target.stat().st_size / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
