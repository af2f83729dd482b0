"""A setup for real, of small packages, with the process that Blender starts: done, cancelled, failed. No bpy."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from addon.problems import EnvironmentState
from addon.setup import Environment, SetUp
from addon.setup.folder import alone, environments, remove_all, write
from tests.plain.setup.workshop import Workshop, left


def test_a_set_up_tells_its_steps_and_ends_complete(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = workshop.plan("small-one==1.0")
    assert Environment(plan).state == EnvironmentState.ABSENT
    seen: list[tuple[float, str]] = []
    take = SetUp._take

    def noted(run: SetUp, event: dict[str, object]) -> None:
        """Several may come between two polls: each is looked at."""
        take(run, event)
        seen.append((run.fraction, run.words))

    monkeypatch.setattr(SetUp, "_take", noted)
    run = workshop.run(plan)
    assert run.state == "done" and run.problem is None, run.problem
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    words = list(dict.fromkeys(words for _, words in seen))
    assert "Looking up what is needed" in words and "Checking that it works" in words
    environment = Environment(plan)
    assert environment.state == EnvironmentState.COMPLETE
    assert environment.about["version"] == "1" and environment.about["packages"] == "2"
    said = subprocess.run(
        [environment.python, "-c", "import small_one, small_two, sys; print(small_two.__version__, sys.prefix)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout.split() == ["2.5", str(environment.folder)]
    assert not (environment.folder / "tmp").exists()


def test_the_environment_is_its_own(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables and settings that lead pip elsewhere in Blender's own Python don't lead it elsewhere here."""
    monkeypatch.setenv("PIP_TARGET", str(workshop.folder / "elsewhere"))
    monkeypatch.setenv("PIP_USER", "1")
    monkeypatch.setenv("PYTHONPATH", str(workshop.folder / "wheels"))
    plan = workshop.plan("small-two")
    assert workshop.run(plan).state == "done"
    assert not (workshop.folder / "elsewhere").exists()
    tried = subprocess.run(
        [Environment(plan).python, "-s", "-c", "import numpy"], capture_output=True, env={"PATH": os.environ["PATH"]}
    )
    assert tried.returncode != 0, "the packages of the Python that made it are seen"


@pytest.mark.parametrize("moment", [0.02, 0.2, 0.7])
def test_cancel_rolls_back_at_any_moment(workshop: Workshop, moment: float) -> None:
    plan = workshop.plan("small-one", "many-files")

    def cancel(run: SetUp) -> None:
        if run.fraction >= moment:
            run.cancel()

    run = workshop.run(plan, cancel)
    assert run.state == "cancelled"
    assert left(workshop.home) == [] and Environment(plan).state == EnvironmentState.ABSENT


def test_a_set_up_ends_with_the_process_that_started_it(workshop: Workshop) -> None:
    """Blender killed in the middle: the steps see their input end, and roll back."""
    plan = workshop.plan("small-one", "many-files")
    code = (
        "import sys, time; from pathlib import Path; from addon.setup import *\n"
        "run = SetUp(Plan.from_json(sys.argv[1]), Path(sys.argv[2]))\n"
        "while True: run.poll(); print(run.fraction, flush=True); time.sleep(0.05)"
    )
    argv = [sys.executable, "-c", code, plan.to_json(), str(workshop.home / "log")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as blender:
        assert blender.stdout is not None
        while float(blender.stdout.readline()) < 0.1:
            pass
        assert len(left(workshop.home)) == 1 and Environment(plan).state == EnvironmentState.INCOMPLETE
        blender.send_signal(signal.SIGKILL)
    end = time.monotonic() + 120
    while left(workshop.home) and time.monotonic() < end:
        time.sleep(0.1)
    assert left(workshop.home) == []


def test_remains_of_a_killed_set_up_are_incomplete_and_replaced(workshop: Workshop) -> None:
    plan = workshop.plan("small-two")
    plan.folder.mkdir(parents=True)
    write(plan.folder, state=EnvironmentState.INCOMPLETE, version="1")
    (plan.folder / "half").write_text("of a file")
    assert Environment(plan).state == EnvironmentState.INCOMPLETE
    assert workshop.run(plan).state == "done"
    assert Environment(plan).state == EnvironmentState.COMPLETE and not (plan.folder / "half").exists()


@pytest.mark.parametrize("how", ["fails", "is cancelled"])
def test_a_set_up_again_leaves_what_worked_until_the_new_one_does(workshop: Workshop, how: str) -> None:
    plan = workshop.finished()
    (plan.folder / "mine").touch()
    if how == "fails":
        run = workshop.run(workshop.plan("small-two", options=("--index-url", "http://127.0.0.1:9/simple")))
        assert run.state == "failed"
    else:
        run = workshop.run(plan, lambda run: run.cancel() if run.fraction > 0.05 else None)
        assert run.state == "cancelled"
    assert left(workshop.home) == [plan.folder.name] and (plan.folder / "mine").exists()
    environment = Environment(plan)
    assert environment.state == EnvironmentState.COMPLETE
    subprocess.run([environment.python, "-c", "import small_two"], check=True)
    assert workshop.run(plan).state == "done"
    assert left(workshop.home) == [plan.folder.name] and not (plan.folder / "mine").exists()


def test_other_requirements_make_it_outdated_and_the_old_one_goes_at_the_end(workshop: Workshop) -> None:
    old = workshop.finished().folder
    same = workshop.plan("small-two", version="2")
    assert Environment(same).state == EnvironmentState.COMPLETE, (
        "another version of the extension with the same lists needs nothing"
    )
    second = workshop.plan("small-one")
    assert Environment(second).state == EnvironmentState.OUTDATED
    failing = workshop.run(workshop.plan("small-one", "no-such-package"))
    assert failing.state == "failed" and old.exists(), "a failed update must leave the old environment"
    second = workshop.plan("small-one")
    assert workshop.run(second).state == "done"
    assert left(workshop.home) == [second.folder.name]


def test_a_blender_that_was_moved_shows_as_broken(workshop: Workshop) -> None:
    plan = workshop.finished()
    python = Environment(plan).python
    python.unlink()
    python.symlink_to(workshop.folder / "gone" / "python")
    assert Environment(plan).state == EnvironmentState.BROKEN
    python.unlink()
    python.symlink_to(sys.executable)
    settings = python.parent.parent / "pyvenv.cfg"
    settings.write_text(settings.read_text().replace("home = ", "home = /gone"))  # the copy stays on Windows
    assert Environment(plan).state == EnvironmentState.BROKEN
    assert workshop.run(plan).state == "done" and Environment(plan).state == EnvironmentState.COMPLETE


def test_removed_are_all_environments_unless_one_is_being_made(workshop: Workshop) -> None:
    assert remove_all(workshop.home), "there is nothing"
    plan = workshop.finished()
    environments(workshop.home).joinpath("removed-before").mkdir()
    with alone(workshop.home):
        assert not remove_all(workshop.home), "another process sets one up"
    assert Environment(plan).state == EnvironmentState.COMPLETE
    assert remove_all(workshop.home)
    assert Environment(plan).state == EnvironmentState.ABSENT, "at once"
    end = time.monotonic() + 60
    while [path for path in environments(workshop.home).iterdir() if path.is_dir()]:
        assert time.monotonic() < end, "the files stay"
        time.sleep(0.05)
    assert workshop.run(plan).state == "done"
