"""The gallery in Blender's module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bpy.pictures import show, shown


@pytest.fixture
def addon(scene: Any, tmp_path: Path) -> Iterator[Any]:
    """The add-on, registered, which keeps to a folder of the test's."""
    from addon.blender import registration

    registration.register()
    scene.draftglass_keep.folder = str(tmp_path / "kept")
    yield scene
    registration.unregister()


def test_the_gallery_holds_what_settled_and_what_was_kept(addon: Any) -> None:
    import bpy

    from addon.blender.pictures import gallery

    show(shown(settle=False))
    assert gallery.entries() == ()
    first = show(shown())
    second = show(shown(prompt="a tower"))
    assert [entry.shown for entry in gallery.entries()] == [second, first]
    assert gallery.selected().shown is second, "the newest is selected"
    sizes = [tuple(preview.image_size) for preview in gallery._previews.values()]
    assert sizes == [(96, 64)] * 2, "each has its thumbnail"
    bpy.context.window_manager.draftglass_gallery = str(gallery.entries()[1].number)
    assert gallery.selected().shown is first
    bpy.ops.draftglass.keep(number=gallery.entries()[1].number)
    entry = gallery.entries()[1]
    assert entry.kept and entry.path.exists() and gallery._items[1][1] == "Kept: a castle"
    assert bpy.ops.draftglass.open_picture(number=gallery.entries()[0].number) == {"FINISHED"}
    assert bpy.data.images["a_tower"].packed_file is not None
    assert bpy.ops.draftglass.delete_picture(number=entry.number) == {"FINISHED"}
    assert entry.path.exists() and "a_castle" not in bpy.data.images, "the file stays unless asked for"
    assert [one.shown for one in gallery.entries()] == [second]
    with pytest.raises(RuntimeError, match="not in the gallery any more"):
        bpy.ops.draftglass.restore_picture(number=entry.number)
    with pytest.raises(RuntimeError, match="not in the gallery any more"):
        bpy.ops.draftglass.keep(number=entry.number)


def test_an_image_of_the_same_name_in_another_file_is_left_alone(addon: Any) -> None:
    import bpy

    from addon.blender.pictures import gallery

    show(shown())
    bpy.ops.draftglass.keep()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    other = bpy.data.images.new("a_castle", 8, 8)
    assert bpy.ops.draftglass.open_picture() == {"FINISHED"}
    assert {image.name for image in bpy.data.images} == {"a_castle", "a_castle.001"}
    assert bpy.ops.draftglass.delete_picture() == {"FINISHED"}
    assert list(bpy.data.images) == [other] and gallery.entries() == ()


def test_deleting_the_file_too(addon: Any) -> None:
    import bpy

    from addon.blender.pictures import gallery

    show(shown())
    bpy.ops.draftglass.keep()
    path = gallery.entries()[0].path
    bpy.ops.draftglass.delete_picture(file=True)
    assert not path.exists() and gallery.entries() == ()


def test_the_gallery_has_room_for_so_much(addon: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from addon.blender.pictures import gallery

    kept = gallery.add(shown())
    kept.kept = True
    monkeypatch.setattr(gallery, "MOST", 3)
    for number in range(6):
        gallery.add(shown(number=number))
    assert len(gallery.entries()) == 3 and kept in gallery.entries()
    assert len(gallery._previews) == 3 and len(gallery._items) == 3


def press(operator: Any, **values: Any) -> set[str]:
    """Call ``operator`` as a button does: what is not given is what the last press gave, where Blender keeps that."""
    return operator("INVOKE_DEFAULT", True, **values)


def test_a_button_without_a_number_does_not_take_that_of_the_last_press(addon: Any, tmp_path: Path) -> None:
    import bpy

    from addon.blender.pictures import gallery

    older, newest = show(shown()), show(shown(prompt="a tower"))
    assert press(bpy.ops.draftglass.keep, number=gallery.find(older).number) == {"FINISHED"}
    assert press(bpy.ops.draftglass.keep) == {"FINISHED"}
    kept = sorted(path.name for path in (tmp_path / "kept").iterdir())
    assert gallery.find(newest).kept and kept == ["a_castle_001.png", "a_tower_001.png"]
    assert press(bpy.ops.draftglass.open_picture, number=gallery.find(older).number) == {"FINISHED"}
    bpy.data.images.remove(bpy.data.images["a_tower"])
    assert press(bpy.ops.draftglass.open_picture) == {"FINISHED"}
    assert "a_tower" in bpy.data.images, "the one selected is the newest"


def test_that_a_file_was_deleted_once_is_no_wish_for_the_next(addon: Any) -> None:
    import bpy

    properties = bpy.ops.draftglass.delete_picture.get_rna_type().properties
    assert properties["file"].is_skip_save, "the dialog would come with it ticked"
