"""Which build of PyTorch fits which machine; what the machine says about itself. No bpy."""

from __future__ import annotations

from pathlib import Path

import pytest

from addon.setup.machine import BUILDS, Gpu, Machine, choose, detect

LINUX, WINDOWS = ("Linux", "x86_64"), ("Windows", "AMD64")


def nvidia(driver: int, capability: float) -> tuple[Gpu, ...]:
    return (Gpu("NVIDIA X", driver, capability),)


@pytest.mark.parametrize(
    ("machine", "build", "folder", "hint"),
    [
        (Machine(*LINUX), "cpu", "cpu", "no_gpu"),
        (Machine(*WINDOWS), "cpu", "", "no_gpu"),  # pip's own is the CPU's there
        (Machine("Linux", "aarch64"), "cpu", "cpu", "no_gpu"),
        (Machine("Darwin", "arm64"), "mps", "", ""),
        (Machine(*LINUX, nvidia(580, 8.9)), "cuda130", "cu130", ""),
        (Machine(*WINDOWS, nvidia(581, 12.0)), "cuda130", "cu130", ""),
        (Machine(*LINUX, nvidia(580, 6.1)), "cuda126", "cu126", ""),  # CUDA 13 has no code for it
        (Machine(*LINUX, nvidia(570, 12.0)), "cuda129", "cu129", ""),  # CUDA 12.6 has none for this one
        (Machine(*LINUX, nvidia(535, 8.6)), "cuda126", "cu126", ""),
        (Machine(*LINUX, nvidia(470, 8.6)), "cpu", "cpu", "old_driver"),
        (Machine(*LINUX, nvidia(590, 0.0)), "cuda130", "cu130", ""),
        (Machine(*LINUX, (), "gfx1100"), "rocm", "rocm7.2", ""),
        (Machine(*WINDOWS, (), "Radeon RX 7900"), "cpu", "", "amd_elsewhere"),
    ],
)
def test_the_build_fits(machine: Machine, build: str, folder: str, hint: str) -> None:
    choice = choose(machine)
    assert choice is not None
    assert (choice.build.name, choice.build.folder, choice.hint) == (build, folder, hint)
    assert 1e8 < choice.build.download < choice.build.disk
    assert Machine.from_json(machine.as_json()) == machine


@pytest.mark.parametrize(
    "machine", [Machine("Darwin", "x86_64"), Machine("Linux", "riscv64"), Machine("Windows", "x86")]
)
def test_where_pytorch_has_no_build(machine: Machine) -> None:
    assert choose(machine) is None


def test_the_best_of_two_gpus_decides() -> None:
    gpus = (Gpu("old", 580, 6.1), Gpu("new", 580, 8.9))
    choice = choose(Machine(*LINUX, gpus))
    assert choice is not None and choice.words == "new" and choice.build is BUILDS["cuda130"]


@pytest.mark.parametrize(
    ("printed", "gpus"),
    [
        ("NVIDIA GeForce RTX 4090, 580.95.05, 8.9\n", (Gpu("NVIDIA GeForce RTX 4090", 580, 8.9),)),
        ("A, 535.1, 8.6\nB, 535.1, 7.5\n", (Gpu("A", 535, 8.6), Gpu("B", 535, 7.5))),
        ("Tesla K80, 470.1, [N/A]\n", (Gpu("Tesla K80", 470, 0.0),)),
        ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n", ()),
        ("", ()),
    ],
)
def test_nvidia_is_read_from_its_own_tool(printed: str, gpus: tuple[Gpu, ...], tmp_path: Path) -> None:
    assert detect(lambda _: printed, *LINUX, root=tmp_path).nvidia == gpus


def test_amd_is_read_from_the_kernel(tmp_path: Path) -> None:
    nodes = tmp_path / "sys/class/kfd/kfd/topology/nodes"
    for number, version in enumerate((0, 110000, 90012)):  # the first is the CPU
        (nodes / str(number)).mkdir(parents=True)
        (nodes / str(number) / "properties").write_text(f"cpu_cores_count 0\ngfx_target_version {version}\n")
    assert detect(lambda _: "", *LINUX, root=tmp_path).amd == "gfx1100"
    (nodes / "1" / "properties").unlink()
    assert detect(lambda _: "", *LINUX, root=tmp_path).amd == "gfx90c"


def test_this_machine_can_be_looked_at() -> None:
    found = detect()
    assert found.system and found.architecture
