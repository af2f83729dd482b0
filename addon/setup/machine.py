"""What this machine has, found without torch, and the build of PyTorch that fits it. Standard library only; no bpy.

Builds and the drivers they need: PyTorch's and NVIDIA's release notes. CUDA 12 runs on drivers from 525, CUDA 13 on
those from 580; the builds of CUDA 13 leave out GPUs before compute capability 7.5, that of CUDA 12.6 those from 10.
"""

from __future__ import annotations

import contextlib
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

INDEX = "https://download.pytorch.org/whl"
"""PyTorch's own index of its builds, as its install instructions give it; one folder for each build."""
SMI_SECONDS = 8.0
MB = 1_000_000
CUDA_13, CUDA_12 = 580, 525
"""The oldest NVIDIA drivers that run programs of CUDA 13 and of CUDA 12."""


@dataclass(frozen=True)
class Build:
    """A build of PyTorch.

    ``folder``: its part of :data:`INDEX`, and its local version; "" for the build that pip finds by itself.
    ``download``, ``disk``: bytes that it takes with all else that the server needs; about, as they change with
    each version.
    """

    name: str
    words: str
    folder: str
    download: int
    disk: int


BUILDS = {
    build.name: build
    for build in (
        Build("cuda130", "CUDA 13.0 (NVIDIA)", "cu130", 2800 * MB, 6000 * MB),
        Build("cuda129", "CUDA 12.9 (NVIDIA)", "cu129", 3900 * MB, 8200 * MB),
        Build("cuda126", "CUDA 12.6 (NVIDIA)", "cu126", 3100 * MB, 6800 * MB),
        Build("rocm", "ROCm 7.2 (AMD)", "rocm7.2", 4200 * MB, 16000 * MB),
        Build("mps", "Metal (Apple)", "", 160 * MB, 900 * MB),
        Build("cpu", "CPU only", "cpu", 270 * MB, 1300 * MB),
        Build("pip", "the build that pip finds", "", 270 * MB, 1300 * MB),
    )
}
"""Sizes of the CPU's build and of CUDA 13.0's download as measured with PyTorch 2.13; the others' are estimates."""


@dataclass(frozen=True)
class Gpu:
    """One NVIDIA GPU. ``driver``: major version; ``capability``: compute capability as 8.9, 0 when not told."""

    name: str
    driver: int
    capability: float = 0.0


@dataclass(frozen=True)
class Machine:
    """``system`` and ``architecture`` as :mod:`platform` names them; ``amd``: the GPU's gfx name, "" for none."""

    system: str
    architecture: str
    nvidia: tuple[Gpu, ...] = ()
    amd: str = ""

    def as_json(self) -> dict[str, object]:
        """Plain values, which :meth:`from_json` takes."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, object]) -> Machine:
        """Undo :meth:`as_json`."""
        gpus = values.get("nvidia") or ()
        assert isinstance(gpus, Iterable)
        return cls(
            str(values["system"]), str(values["architecture"]), tuple(Gpu(**gpu) for gpu in gpus), str(values["amd"])
        )


@dataclass(frozen=True)
class Choice:
    """The build for a machine. ``words``: what was found; ``hint``: the code of what would make it better, or ""."""

    build: Build
    words: str
    hint: str = ""


def choose(machine: Machine) -> Choice | None:
    """Return the build for ``machine``, or None where PyTorch has none."""
    arm = machine.architecture.lower() in ("arm64", "aarch64")
    if machine.system == "Darwin":
        return Choice(BUILDS["mps"], "an Apple GPU") if arm else None
    if machine.architecture.lower() not in ("x86_64", "amd64") and not arm:
        return None
    if machine.nvidia:
        gpu = max(machine.nvidia, key=lambda one: one.capability)
        build = _cuda(gpu, arm)
        if build is not None:
            return Choice(build, gpu.name)
        return Choice(_cpu(machine.system), f"{gpu.name}, whose driver {gpu.driver} is too old", "old_driver")
    if machine.amd:
        if machine.system == "Linux" and not arm:
            return Choice(BUILDS["rocm"], f"an AMD GPU ({machine.amd})")
        return Choice(_cpu(machine.system), f"an AMD GPU ({machine.amd})", "amd_elsewhere")
    return Choice(_cpu(machine.system), "no GPU that PyTorch can use", "no_gpu")


def _cpu(system: str) -> Build:
    """On Windows what pip finds by itself is the CPU's build; on Linux that is one with gigabytes of CUDA."""
    return BUILDS["cpu"] if system == "Linux" else Build("cpu", "CPU only", "", 270 * MB, 1300 * MB)


def _cuda(gpu: Gpu, arm: bool) -> Build | None:
    if gpu.driver >= CUDA_13 and (gpu.capability >= 7.5 or not gpu.capability):
        return BUILDS["cuda130"]
    if gpu.driver < CUDA_12 or arm:
        return None
    return BUILDS["cuda129"] if gpu.capability >= 10 else BUILDS["cuda126"]


def detect(
    run: Callable[[list[str]], str] | None = None,
    system: str = "",
    architecture: str = "",
    root: Path = Path("/"),
) -> Machine:
    """Look what the machine has. Takes up to some seconds, as NVIDIA's tool may wake the GPU: not for Blender's thread.

    ``run`` runs a command and returns what it printed, "" when it failed; ``root`` is where the file system begins.
    """
    run = run or _run
    system, architecture = system or platform.system(), architecture or platform.machine()
    nvidia = _nvidia(run(["nvidia-smi", "--query-gpu=name,driver_version,compute_cap", "--format=csv,noheader"]))
    return Machine(system, architecture, nvidia, "" if nvidia else _amd(system, root, run))


def _nvidia(printed: str) -> tuple[Gpu, ...]:
    gpus = []
    for line in printed.splitlines():
        parts = [part.strip() for part in line.split(",")]
        driver = re.match(r"(\d+)\.", parts[1]) if len(parts) == 3 else None
        if driver:
            capability = float(parts[2]) if re.fullmatch(r"\d+\.\d+", parts[2]) else 0.0
            gpus.append(Gpu(parts[0], int(driver[1]), capability))
    return tuple(gpus)


def _amd(system: str, root: Path, run: Callable[[list[str]], str]) -> str:
    """The gfx name of the first AMD GPU, from the kernel's own account of it; "Radeon" on Windows."""
    if system == "Windows":
        words = ["powershell", "-NoProfile", "-Command", "(Get-CimInstance Win32_VideoController).Name"]
        return next((line.strip() for line in run(words).splitlines() if "Radeon" in line), "")
    for node in sorted(root.glob("sys/class/kfd/kfd/topology/nodes/*/properties")):
        with contextlib.suppress(OSError):
            found = re.search(r"^gfx_target_version (\d+)$", node.read_text(), re.MULTILINE)
            if found and int(found[1]):
                number = int(found[1])
                return f"gfx{number // 10000}{number // 100 % 100:x}{number % 100:x}"
    return ""


def _run(command: list[str]) -> str:
    path = shutil.which(command[0])
    if path is None:
        return ""
    try:
        done = subprocess.run(
            [path, *command[1:]], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SMI_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return ""
    return done.stdout if done.returncode == 0 else ""
