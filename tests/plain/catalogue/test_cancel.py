"""A download that is cancelled, whenever and however, leaves what was there before, and only that."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from tests.plain.catalogue.user import PATIENCE, User, events, other_program, until_partial


def test_cancel_leaves_what_another_program_has_fetched_meanwhile(user: User) -> None:
    user.hub.hold_after = 12 << 20
    process = user.start("pull", "sd15", "--json")
    until_partial(user, process)
    other_program(user, "vae", "config.json")
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE)
    assert events(out)[-1]["state"] == "cancelled", out + err
    (left,) = [path for path in user.files() if "snapshots" in path.parts]
    assert left.name == "config.json" and left.is_file(), "whole, with its bytes"
    assert user.partials() == []


def test_a_second_signal_does_not_break_off_the_clean_up(user: User) -> None:
    user.hub.hold_after = 12 << 20
    process = user.start("pull", "sd15", "--json")
    until_partial(user, process)
    for _ in range(5):
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert events(out)[-1]["state"] == "cancelled", out + err
    assert user.weights() == [] and user.blobs() == []


def test_cancel_takes_what_an_earlier_try_has_left_too(user: User) -> None:
    user.hub.corrupt = "diffusion_pytorch_model.safetensors"
    assert user.run("pull", "sd15")[0] == 1
    assert user.weights()
    user.hub.corrupt, user.hub.pause = "", 0.2
    process = user.start("pull", "sd15", "--json")
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["total"]:
            break
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    assert user.weights() == [] and user.blobs() == [], "half a model is none"


def test_cancel_before_the_hub_has_answered_takes_that_too(user: User) -> None:
    user.hub.hold_after = 12 << 20
    killed = user.start("pull", "sd15", "--json")
    until_partial(user, killed)
    killed.kill()
    killed.communicate(timeout=PATIENCE)
    user.hub.hold_after, user.hub.hold_lists = None, True
    process = user.start("pull", "sd15", "--json")
    assert process.stdout is not None and "asking the hub" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE)
    user.hub.hold_lists = False
    assert "nothing of it is left" in str(events(out)[-1]["sentence"]), out + err
    assert user.partials() == [] and user.weights() == [] and user.blobs() == []


def test_cancel_while_another_pulls_takes_nothing_of_its(user: User) -> None:
    user.hub.hold_after = 12 << 20
    first = user.start("pull", "sd15", "--json")
    until_partial(user, first)
    second = user.start("pull", "sd15", "--json")
    assert second.stdout is not None and "waiting for it" in second.stdout.readline()
    second.send_signal(signal.SIGTERM)
    out, err = second.communicate(timeout=PATIENCE)
    last = events(out)[-1]
    assert last["state"] == "cancelled" and "what was here before still is" in str(last["sentence"]), out + err
    assert user.partials()
    user.hub.hold_after = None
    first.communicate(timeout=PATIENCE)
    assert first.returncode == 0 and user.run("verify", "sd15")[0] == 0


def test_cancel_by_word_needs_no_signal(user: User) -> None:
    user.hub.hold_after = 12 << 20
    process = user.start("pull", "sd15", "--json", stdin=subprocess.PIPE)
    until_partial(user, process)
    out, err = process.communicate("cancel\n", timeout=PATIENCE)
    assert process.returncode == 130 and events(out)[-1]["state"] == "cancelled", out + err
    assert user.partials() == [] and user.weights() == [] and user.blobs() == []


def test_a_pull_goes_on_when_nobody_is_there_to_cancel_it(user: User) -> None:
    process = user.start("pull", "sd15", "--json", stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.close()
    process.stdin = None
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0 and events(out)[-1]["state"] == "done", out + err


def test_cancel_of_a_repair_leaves_the_rest(user: User) -> None:
    assert user.run("pull", "sd15")[0] == 0
    victim = max((path for path in user.files() if "snapshots" in path.parts), key=user.size)
    victim.resolve().unlink()
    victim.unlink()
    user.hub.hold_after = 12 << 20
    process = user.start("pull", "sd15", "--json")
    until_partial(user, process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    user.hub.hold_after = None
    asked = len(user.hub.asked)
    assert user.run("pull", "sd15")[0] == 0
    assert len(user.hub.asked) == asked + 1, "only the one that lacked"


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM to catch there")
def test_a_check_that_is_cancelled_says_so(user: User) -> None:
    assert user.run("pull", "sd15")[0] == 0
    blob = max(user.blobs(), key=user.size)
    with blob.open("ab") as file:  # much to read: the signal comes in the middle of it
        file.truncate(3 << 30)
    size = blob.stat().st_size
    record = next(path for path in user.files() if path.name == "sd15.json")
    told = json.loads(record.read_text())
    largest = max(told["files"], key=lambda file: file["size"])
    largest["size"] = size
    record.write_text(json.dumps(told))
    process = user.start("verify", "sd15", "--json")
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["done"] > 64 << 20:
            break
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE)
    assert events(out)[-1] == {
        "state": "cancelled",
        "done": 0,
        "total": 0,
        "sentence": "checking sd15 was cancelled",
    }, err
    assert blob.exists(), "nothing is deleted"
