"""Small packages for a setup: wheels of nothing but Python, and an index of them in a folder. No bpy."""

import base64
import hashlib
import zipfile
from pathlib import Path


def make_wheel(folder: Path, name: str, version: str = "1.0", files: int = 1, requires: tuple[str, ...] = ()) -> Path:
    """Write a wheel of a package that imports, with ``files`` modules in it, and return its path."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    contents = {f"{module}/__init__.py": f"__version__ = {version!r}\n"}
    contents |= {f"{module}/part_{number}.py": f"VALUE = {number}\n" * 200 for number in range(files - 1)}
    needs = "".join(f"Requires-Dist: {one}\n" for one in requires)
    contents[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}"
    contents[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = ""
    for path, text in contents.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(text.encode())}\n"
    contents[f"{info}/RECORD"] = record + f"{info}/RECORD,,\n"
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in contents.items():
            archive.writestr(path, text)
    return wheel


def make_index(folder: Path, wheels: list[Path]) -> str:
    """Lay out an index of ``wheels`` as pip reads one, and return its address."""
    for wheel in wheels:
        name = wheel.name.split("-")[0].replace("_", "-")
        page = folder / name / "index.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        (page.parent / wheel.name).write_bytes(wheel.read_bytes())
        page.write_text(f'<!DOCTYPE html><html><body><a href="{wheel.name}">{wheel.name}</a></body></html>')
    return folder.as_uri()
