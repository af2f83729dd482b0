"""Make the environment for demo and tests, or say in one line what this machine lacks. Standard library only.

Run by Python 3.11, the only one that Blender's module has wheels for at this version.

    python3.11 tools/make_venv.py [--check]     # --check: look at the machine only
"""

import argparse
import ctypes
import glob
import os
import platform
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "ready"
#: What Blender's module loads from the system: a library, and the Debian package that has it.
LIBRARIES = {
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libXrender.so.1": "libxrender1",
    "libXi.so.6": "libxi6",
    "libXfixes.so.3": "libxfixes3",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libSM.so.6": "libsm6",
}
# OpenGL itself is a driver, found by one of these.
DRIVERS = ("/usr/lib/*/dri/*_dri.so", "/usr/lib*/dri/*_dri.so", "/usr/lib/*/libEGL_nvidia.so.0")
DRIVER_PACKAGE = "libgl1-mesa-dri"


class Lacking(Exception):
    """This machine lacks something; the text is one line that says what to do."""


def missing_packages(
    load: Callable[[str], object] = ctypes.CDLL, find: Callable[[str], list[str]] = glob.glob
) -> list[str]:
    """List the Debian packages of the system libraries that Blender's module would not find here."""
    missing = []
    for library, package in LIBRARIES.items():
        try:
            load(library)
        except OSError:
            missing.append(package)
    if not any(find(pattern) for pattern in DRIVERS):
        missing.append(DRIVER_PACKAGE)
    return missing


def check(version: tuple[int, ...] = sys.version_info[:2], system: str = sys.platform) -> None:
    """Raise :class:`Lacking` when this machine cannot run Blender's module."""
    if version != (3, 11):
        raise Lacking(
            "Python 3.11 is needed, as Blender's module has a wheel for no other; this is "
            f"{'.'.join(map(str, version))}: install 3.11 and say make PYTHON=/path/to/python3.11"
        )
    missing = missing_packages() if system == "linux" else []
    if missing:
        raise Lacking(
            "System libraries that Blender's module needs are missing; on Debian and Ubuntu: "
            f"apt-get install {' '.join(missing)}"
        )


def reason(pip_said: str) -> str:
    """Turn pip's words on a failed install into one line."""
    if "No matching distribution found for bpy" in pip_said:
        return (
            f"Blender's module (bpy) has no wheel for Python 3.11 on {platform.system()} {platform.machine()}: "
            "use Linux or Windows on x86-64 or macOS on arm64, or install the extension into Blender instead"
        )
    errors = [line for line in pip_said.splitlines() if line.startswith("ERROR:")]
    return f"The environment could not be made: {errors[-1] if errors else pip_said.strip()[-500:]}"


def install() -> None:
    """Make ``.venv`` and install what ``tests/requirements.txt`` names, in the versions of ``constraints.txt``."""
    python = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        try:
            venv.create(VENV, with_pip=True)
        except subprocess.CalledProcessError:
            # Else the next try would find a Python there, and no pip.
            shutil.rmtree(VENV)
            raise Lacking(
                "Python 3.11 has no ensurepip; on Debian and Ubuntu: apt-get install python3.11-venv"
            ) from None
    # Not uv: it does not know where pip's own settings say that wheels lie.
    # Bytecode is made of what is imported, when it is: pip would take a minute for all of it.
    argv = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-compile",
            "-r", "tests/requirements.txt", "-c", "constraints.txt"]  # fmt: skip
    done = subprocess.run(argv, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Lacking(reason(done.stderr))
    tried = subprocess.run([str(python), "-c", "import bpy"], capture_output=True, text=True)
    if tried.returncode != 0:
        raise Lacking(f"Blender's module does not load: {tried.stderr.strip().splitlines()[-1]}")
    STAMP.touch()


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Make the environment of the demo and the tests.")
    parser.add_argument("--check", action="store_true", help="look at the machine only")
    options = parser.parse_args()
    try:
        check()
        if not options.check:
            install()
    except Lacking as lacking:
        print(lacking, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
