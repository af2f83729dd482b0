"""Where Blender is: installed on this machine, or in a Debian chroot made for the tests. Standard library only.

python3.11 -m tests.blender.places      # make the chroots that are not there yet, side by side
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENTER = Path(__file__).with_name("enter.sh")
#: Blender's version -> the Debian release that has it.
RELEASES = {"4.3": "trixie", "5.2": "sid"}
# python3-cattrs: without it 5.2's own extension manager does not register; 4.3's release has no such package,
# and does not need it. Not python3-websockets: it would hide the wheel that the extension brings.
PACKAGES = (
    "blender python3-numpy python3-requests python3-zstandard ?name(^python3-cattrs?$) "
    "xvfb xauth xdotool openbox ca-certificates "
    "libgl1-mesa-dri libegl1 libgl1 libglx-mesa0 libegl-mesa0 mesa-vulkan-drivers libvulkan1"
).split()


class CannotPrepare(Exception):
    """A Blender could not be had on this machine; the text says why and what would help."""


@dataclass(frozen=True)
class Place:
    """A Blender of one version and the way to run commands beside it."""

    version: str
    blender: str
    chroot: Path | None = None

    def command(self, argv: Sequence[str]) -> list[str]:
        """Return ``argv`` as a command of this machine."""
        if self.chroot is None:
            return list(argv)
        seen = dict.fromkeys([Path("/tmp"), ROOT, Path(tempfile.gettempdir()).resolve()])
        return ["unshare", "-m", "sh", str(ENTER), str(self.chroot), *map(str, seen), "--", *argv]


def installed(blender: str) -> Place:
    """Return the place of a Blender that is installed here; ``blender`` is its path or its name."""
    path = shutil.which(blender)
    if path is None:
        raise CannotPrepare(f"BLENDER={blender} is no program")
    missing = [tool for tool in ("Xvfb", "openbox", "xdotool") if shutil.which(tool) is None]
    if missing:
        raise CannotPrepare(f"{', '.join(missing)} not found; on Debian: apt-get install xvfb openbox xdotool")
    shown = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=60, check=True)
    version = re.search(r"^Blender (\d+\.\d+)", shown.stdout, re.MULTILINE)
    if version is None:
        raise CannotPrepare(f"BLENDER={blender} is no Blender: it says {shown.stdout[:200]!r} to --version")
    return Place(version[1], path)


def chroot(version: str) -> Place:
    """Return the place of a Blender in a chroot, making it first when it is not cached: some minutes and 1.5 GB."""
    if version not in RELEASES:
        raise CannotPrepare(f"no Debian release is known for Blender {version}; known: {', '.join(RELEASES)}")
    if os.geteuid() != 0:
        raise CannotPrepare("a chroot needs root; or set BLENDER to a Blender that is installed")
    cache = Path(os.environ.get("DRAFTGLASS_CACHE") or ROOT / ".cache") / "blender"
    cache.mkdir(parents=True, exist_ok=True)
    target = cache / version
    with open(cache / f"{version}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            _make_chroot(target, RELEASES[version])
    return Place(version, "/usr/bin/blender", target)


def _make_chroot(target: Path, release: str) -> None:
    """Install ``release`` into ``target``; it appears under that name only when it is whole."""
    if shutil.which("mmdebstrap") is None:
        raise CannotPrepare("mmdebstrap not found: apt-get install mmdebstrap; or set BLENDER")
    unfinished = target.with_name(target.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    log = target.with_name(target.name + ".log")
    print(f"installing Debian {release} with its Blender into {target}, some minutes; log: {log}", file=sys.stderr)
    argv = [
        "mmdebstrap", "--mode=root", "--variant=apt", "--format=directory",
        "--include=" + ",".join(PACKAGES),
        '--aptopt=APT::Install-Recommends "false"',
        # sid's release file may be past its date.
        '--aptopt=Acquire::Check-Valid-Until "false"',
        "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*",
        # A folder that a cut leaves half made is made anew: nothing need be on the disk at once.
        "--dpkgopt=force-unsafe-io",
        release, str(unfinished), _mirror(),
    ]  # fmt: skip
    with open(log, "w") as out:
        status = subprocess.run(argv, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL).returncode
    if status != 0:
        last = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("E:")]
        raise CannotPrepare(f"Debian {release} could not be installed: {last[0] if last else 'see the log'} ({log})")
    # A release that rolls on may install and still not start: a library that does not match, say.
    tried = subprocess.run(
        ["chroot", str(unfinished), "blender", "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if tried.returncode != 0:
        raise CannotPrepare(f"Blender of Debian {release} does not start: {(tried.stderr or tried.stdout)[-500:]}")
    unfinished.rename(target)


def _mirror() -> str:
    """Return the Debian mirror that this machine's own apt uses."""
    if shutil.which("apt-get") is None:
        raise CannotPrepare("no apt here: set BLENDER to a Blender that is installed")
    rows = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)", "Created-By: Packages"],
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    release = next(
        (
            line.partition("=")[2].strip('"\n')
            for line in open("/etc/os-release")
            if line.startswith("VERSION_CODENAME=")
        ),
        "",
    )
    for row in rows:
        site, _, suite = row.partition(" ")
        if suite in (release, "stable", "testing", "unstable", "sid"):
            return site
    raise CannotPrepare("apt's configuration names no Debian mirror: set BLENDER to a Blender that is installed")


def main() -> int:
    """Run from the command line."""
    failed: list[str] = []

    def make(version: str) -> None:
        try:
            chroot(version)
        except CannotPrepare as error:
            failed.append(version)
            print(f"Blender {version}: {error}", file=sys.stderr)

    threads = [threading.Thread(target=make, args=(version,)) for version in RELEASES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
