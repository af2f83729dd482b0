"""Values that make no picture are said, never end live, and are forgotten once they are right again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from addon.problems.viewport import BadSettings, CaptureFailed, EngineNotCaptured
from addon.problems.words import sentence
from tests.blender.serving import Server
from tests.bpy.shapes import cube
from tests.bpy.test_out_of_the_way import beat_until, live, rest, server, start

__all__ = ["live", "server"]  # fixtures


def store(group: Any, name: str, value: Any) -> None:
    """Give a property group a value that Blender's own limits would not let through, as a script or a file may."""
    stored = group.bl_system_properties_get(do_create=True) if hasattr(group, "bl_system_properties_get") else group
    stored[name] = value


def long_name(scene: Any) -> None:
    scene.draftglass.models.loras.add().name = "x" * 5000


SPOILED: dict[str, Callable[[Any], None]] = {
    "a prompt that Blender cut within a letter": lambda scene: setattr(scene.draftglass, "prompt", "x" + "ä" * 4000),
    "a guidance that is no number": lambda scene: store(scene.draftglass, "guidance", math.nan),
    "steps beyond all limits": lambda scene: store(scene.draftglass, "steps", 10**6),
    "a size beyond all limits": lambda scene: store(scene.draftglass, "size", 10**6),
    "a seed below zero": lambda scene: store(scene.draftglass, "seed", -5),
    "the name of a LoRA that is too long": long_name,
}


def mend(scene: Any) -> None:
    for name in ("prompt", "guidance", "steps", "seed"):
        scene.draftglass.property_unset(name)
    scene.draftglass.size, scene.draftglass.settle_size = 64, 0
    scene.draftglass.models.loras.clear()


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=list(SPOILED))
def test_a_bad_value_never_ends_live(live: Any, scene: Any, server: Server, spoil: Callable[[Any], None]) -> None:

    cube(scene, (0, 0, 0))
    start(live)
    sent = rest(live)["frames_sent"]
    spoil(scene)
    for _ in range(20):
        live.tick()
    assert live.running(), live.problem()
    assert live.stats()["frames_sent"] == sent
    problem = live.problem()
    assert isinstance(problem, BadSettings)
    assert sentence(problem).endswith(".") and live.sentence() == sentence(problem)
    mend(scene)
    scene.draftglass.prompt = "another"
    beat_until(live, lambda stats: stats["frames_sent"] > sent)
    rest(live)
    assert live.problem() is None


def test_settle_steps_beyond_all_limits(live: Any, scene: Any) -> None:

    store(scene.draftglass, "settle_steps", 10**6)
    start(live)
    beat_until(live, lambda stats: live.problem() is not None)
    assert live.running() and isinstance(live.problem(), BadSettings)
    scene.draftglass.property_unset("settle_steps")
    rest(live)
    assert live.problem() is None


def test_a_view_from_nowhere(live: Any, scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blender itself never takes such a place for a view; an object's matrix may still hold one."""
    from mathutils import Matrix

    from addon.blender.capture import drafts

    start(live)
    sent = rest(live)["frames_sent"]
    with monkeypatch.context() as spoiled:
        spoiled.setattr(drafts, "projection_of", lambda viewport, at_rest: Matrix.Diagonal((math.nan, 1, 1, 1)))
        cube(scene, (0, 0, 0))
        beat_until(live, lambda stats: live.problem() is not None)
        assert live.running() and isinstance(live.problem(), CaptureFailed) and "no number" in live.sentence()
    beat_until(live, lambda stats: stats["frames_sent"] > sent)
    rest(live)
    assert live.problem() is None


def test_frames_that_are_refused_are_forgotten(live: Any, scene: Any) -> None:
    """Each of them holds its planes."""
    start(live)
    rest(live)
    refused = live.stats()["failures"]
    for number in range(4):
        scene.draftglass.models.loras.add().name = f"there is none {number}"
        beat_until(live, lambda stats, least=refused + number: stats["failures"] > least)
    assert len(live._session._drafts.asked) == 0


@pytest.fixture
def narrow(scene: Any) -> Iterator[Any]:
    """A view of which a square picture would take 512 x 10240 pixels."""
    from dataclasses import replace

    from mathutils import Matrix

    from addon.blender.capture.offscreen import view_from_camera

    cube(scene, (0, 0, 0))
    view = view_from_camera(scene, 512, 512)
    yield replace(view, projection_matrix=Matrix.Diagonal((20, 1, 1, 1)) @ view.projection_matrix)


def test_of_a_very_narrow_view_only_the_middle_is_drawn(narrow: Any) -> None:
    from addon.blender.capture import offscreen

    capturer = offscreen.Capturer()
    draft = capturer.draw(narrow, 512, 512)
    assert capturer._size == (512, 512)
    assert draft.image.shape == (512, 512, 3)
    assert draft.projection[0][0] == pytest.approx(draft.projection[1][1])
    # what a smaller picture shows, of which the whole view can be drawn
    small = capturer.draw(narrow, 128, 128)
    assert capturer._size == (128, 2560)
    capturer.free()
    np.testing.assert_allclose(np.array(draft.projection), np.array(small.projection), rtol=1e-3)
    thinned = draft.image[2::4, 2::4].astype(int)
    assert (np.abs(thinned - small.image).max(axis=2) < 16).mean() > 0.98


def test_one_that_can_only_be_drawn_whole_says_so(narrow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from addon.blender.capture import offscreen

    monkeypatch.setattr(offscreen, "takes_only_its_own", lambda space: True)
    capturer = offscreen.Capturer()
    with pytest.raises(offscreen.TooNarrow, match="512 x 10240"):
        capturer.draw(narrow, 512, 512)
    assert capturer._size == (0, 0), "something was made for it"


def test_what_cycles_draws_is_not_taken_for_black(live: Any, scene: Any, server: Server) -> None:
    import bpy

    cube(scene, (0, 0, 0))
    start(live)
    sent = rest(live)["frames_sent"]
    viewport = live.session().followed.find()
    scene.render.engine = "CYCLES"
    viewport.space.shading.type = "RENDERED"
    for _ in range(20):
        live.tick()
    problem = live.problem()
    assert live.running() and live.stats()["frames_sent"] == sent
    assert problem == EngineNotCaptured("Cycles")
    assert bpy.ops.draftglass.use_solid() == {"FINISHED"}
    beat_until(live, lambda stats: live.problem() is None)
    viewport.space.shading.type = "RENDERED"
    scene.render.engine = "BLENDER_WORKBENCH"
    beat_until(live, lambda stats: stats["frames_sent"] > sent)
    rest(live)
    assert live.problem() is None
