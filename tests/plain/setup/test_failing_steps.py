"""Setups that fail, each with its kind of problem, and nothing left behind. No bpy."""

from __future__ import annotations

import json
import time
import zipfile

import pytest

from addon.problems import Problem
from addon.problems.setup import (
    BadPipArguments,
    EnvironmentFailed,
    FolderUnusable,
    NetworkFailed,
    PackageNotFound,
    PackagesConflict,
    RuntimeMissing,
    SetUpDied,
    SetUpElsewhere,
)
from addon.problems.words import sentence
from addon.setup import Plan, SetUp
from addon.setup.folder import alone, environments, site_packages
from addon.setup.steps import Failed, Steps
from tests.blender.wheels import make_index, make_wheel
from tests.plain.setup.workshop import Workshop, left

FAILING = {
    PackageNotFound: (("no-such-package==3",), None, "no-such-package==3"),
    NetworkFailed: (("small-two",), ("--index-url", "http://127.0.0.1:9/simple"), "Connection refused"),
    BadPipArguments: (("small-two",), ("--no-such-option",), "--no-such-option"),
    PackagesConflict: (("small-one", "small-two==9"), None, "conflict"),
}


@pytest.mark.parametrize("kind", FAILING)
def test_failures_have_their_kind_and_leave_nothing(workshop: Workshop, kind: type[Problem]) -> None:
    required, options, named = FAILING[kind]
    if kind is PackagesConflict:
        make_index(workshop.folder / "index", [make_wheel(workshop.folder / "wheels", "small-two", "9")])
        bad = make_wheel(workshop.folder / "wheels", "small-one", "2.0", requires=("small-two<9",))
        make_index(workshop.folder / "index", [bad])
    run = workshop.run(workshop.plan(*required, options=options))
    assert run.state == "failed" and type(run.problem) is kind
    assert named in sentence(run.problem)
    assert left(workshop.home) == []
    assert "pip install" in run.log.read_text()


def test_packages_that_do_not_fit_together_are_named(workshop: Workshop) -> None:
    """Found by pip's own check after the installation, as a person's own options can lead there."""
    needy = make_wheel(workshop.folder / "wheels", "needy", requires=("small-two>=9",))
    plan = workshop.finished()
    folder = plan.folder
    with zipfile.ZipFile(needy) as archive:
        archive.extractall(site_packages(folder))
    with pytest.raises(Failed) as failed:
        Steps(plan, lambda _: None, workshop.folder / "log")._check(folder)
    assert sentence(failed.value.problem) == (
        "The packages conflict with each other: needy 1.0 has requirement small-two>=9, but you have small-two 2.5."
    )


def test_a_package_that_does_not_import_fails_the_check(workshop: Workshop) -> None:
    wheel = make_wheel(workshop.folder / "wheels", "broken-one", requires=())
    with zipfile.ZipFile(wheel) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    contents["broken_one/__init__.py"] = b"raise ImportError('DLL load failed while importing c10')\n"
    contents["broken_one-1.0.dist-info/RECORD"] = b"broken_one/__init__.py,,\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    make_index(workshop.folder / "index", [wheel])
    run = workshop.run(workshop.plan("broken-one"))
    assert run.state == "failed" and isinstance(run.problem, RuntimeMissing)
    assert "c10" in run.problem.detail and left(workshop.home) == []


def test_two_at_once_are_refused(workshop: Workshop) -> None:
    with alone(workshop.home) as mine:
        assert mine
        run = workshop.run(workshop.plan("small-two"))
    assert (run.state, run.problem) == ("failed", SetUpElsewhere(str(workshop.home)))


def test_a_file_where_the_folder_should_be(workshop: Workshop) -> None:
    workshop.home.mkdir()
    environments(workshop.home).write_text("in the way")
    run = workshop.run(workshop.plan("small-two"))
    assert run.state == "failed" and isinstance(run.problem, FolderUnusable)
    assert str(environments(workshop.home)) in run.problem.place


def test_steps_that_are_killed_are_told(workshop: Workshop) -> None:
    run = SetUp(workshop.plan("small-one", "many-files"), workshop.home / "log")
    while run.fraction < 0.05:
        run.poll()
        time.sleep(0.01)
    run._follower.kill()
    end = time.monotonic() + 60
    while run.is_under_way and time.monotonic() < end:
        run.poll()
        time.sleep(0.01)
    assert run.state == "failed" and isinstance(run.problem, SetUpDied)


def test_a_python_that_makes_no_environment(workshop: Workshop) -> None:
    plan = workshop.plan("small-two")
    stub = workshop.folder / "python"
    stub.write_text("#!/bin/sh\necho 'No module named venv'\nexit 1\n")
    stub.chmod(0o755)
    broken = Plan.from_json(json.dumps(json.loads(plan.to_json()) | {"python": str(stub)}))
    with pytest.raises(Failed) as failed:
        Steps(broken, lambda _: None, workshop.folder / "log").run()
    assert failed.value.problem == EnvironmentFailed(str(stub), "No module named venv")
