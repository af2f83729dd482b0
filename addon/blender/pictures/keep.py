"""Keeping a picture: a packed Image, and a PNG that knows how it was made; and the way back from it. Imports bpy."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path

import bpy

from ...keeping import KeepError, Recipe, free_path, make_png, read_recipe, slug, write_whole
from ...live.shown import ShownPicture
from ...untrusted.png import is_bomb
from ...untrusted.regular import read_regular
from ...version import VERSION
from ..capture.origin import restore_group, restore_view
from ..capture.viewports import Followed
from ..live import switch as live
from .folders import pictures_folder

MOST_BYTES = 256 * 1024 * 1024
"""A file larger than this is no picture of ours, and is not read."""
FOLDER = "pictures"
LAST_FRAME = 1048574
"""Blender's own limit."""
_MARK = "draftglass_picture"
"""The property of an Image that tells which picture it holds: another file may have one of the same name."""


class Bomb(KeepError):
    """A picture that unpacks to far more than it is."""


def recipe_of(shown: ShownPicture) -> Recipe:
    """All that ``shown`` was made from."""
    frame, origin = shown.request.frame, shown.origin
    return Recipe(
        style=dataclasses.asdict(shown.request.style),
        settings=origin.settings,
        view={"matrix": frame.view, "projection": frame.projection, "near": frame.near, **origin.view},
        model=shown.model,
        made={"draftglass": VERSION, "blender": bpy.app.version_string, "server": shown.server},
        scene=origin.scene,
        frame=origin.frame,
        shown=time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(shown.at)),
        settled=shown.settled,
        timings=shown.timings,
    )


def keep_folder(scene: bpy.types.Scene) -> Path:
    """Where pictures are kept: the scene's choice, else a folder beside the .blend, else in the user's Pictures.

    A choice that is no whole path is meant from there, too. Raises KeepError for a home folder that there is not.
    """
    chosen, blend = scene.draftglass_keep.folder.strip(), Path(bpy.data.filepath)
    try:
        path = Path(chosen.removeprefix("//")).expanduser()
    except RuntimeError:
        raise KeepError(
            f"The folder {chosen!r} belongs to a user who does not exist on this machine: choose another."
        ) from None
    if bpy.data.filepath:
        return Path(os.path.normpath(blend.parent / (path if chosen else f"{blend.stem}_{FOLDER}")))
    return path if chosen and path.is_absolute() and not chosen.startswith("//") else pictures_folder()


def stem_of(shown: ShownPicture) -> str:
    """The beginning of a file's name for ``shown``."""
    return slug(shown.request.style.prompt)


def keep(shown: ShownPicture, scene: bpy.types.Scene) -> tuple[bpy.types.Image, Path]:
    """Write ``shown`` to a new file, and to an Image of its own with that file packed in it. Returns both.

    Raises KeepError where the folder cannot be written to; the Image is there all the same.
    """
    data = make_png(shown.image, recipe_of(shown), shown.request)
    image = image_of(shown) or packed_image(shown, data)
    folder = keep_folder(scene)
    try:
        path = _write(folder, stem_of(shown), data)
    except OSError as error:
        reason = error.strerror or str(error)
        raise KeepError(
            f"The picture is kept in this file as the Image {image.name!r}, but not in the folder {folder}: {reason}."
        ) from None
    image.filepath_raw, image.use_fake_user = str(path), True
    return image, path


def _write(folder: Path, stem: str, data: bytes) -> Path:
    """A new file of ``data`` in ``folder``; none where the disk gets full meanwhile. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    path = free_path(folder, stem)
    write_whole(path, data)
    return path


def packed_image(shown: ShownPicture, data: bytes | None = None, keep: bool = True) -> bpy.types.Image:
    """A new Image of ``shown`` with its PNG packed in it, recipe included.

    ``keep``: it stays in the file whoever uses it; else only as long as an editor shows it.
    """
    data = data or make_png(shown.image, recipe_of(shown), shown.request)
    image = bpy.data.images.new(stem_of(shown), *shown.size)
    image.source = "FILE"
    image.pack(data=data, data_len=len(data))
    image.use_fake_user = keep
    image[_MARK] = _mark_of(shown)
    return image


def is_picture(image: bpy.types.Image) -> bool:
    """Whether ``image`` is one of a picture, kept or opened."""
    return image.library is None and image.get(_MARK) is not None


def image_of(shown: ShownPicture) -> bpy.types.Image | None:
    """The Image of ``shown`` in the file that is open, whatever its name is by now."""
    mark = _mark_of(shown)
    return next((image for image in bpy.data.images if image.library is None and image.get(_MARK) == mark), None)


def _mark_of(shown: ShownPicture) -> str:
    return f"{shown.at:.6f} {shown.request.frame.id}"


def read_file(path: Path) -> Recipe:
    """The recipe in the PNG at ``path``. Raises KeepError with a sentence, :class:`Bomb` where none should open it."""
    try:
        data = read_regular(path, MOST_BYTES)
    except OSError as error:
        raise KeepError(f"{path.name} cannot be read: {error.strerror or error}.") from None
    try:
        return read_recipe(data)
    except KeepError:
        if is_bomb(data):
            raise Bomb(
                f"{path.name} would take far more memory than its {len(data)} bytes: it is not opened."
            ) from None
        raise


def restore(recipe: Recipe, context: bpy.types.Context) -> list[str]:
    """Let the settings and the view be again as they were for ``recipe``. Returns names of settings not restored.

    The settings go to the context's scene; the view to the context's 3D View, else to the one that live follows,
    else to the largest.
    """
    scene = context.scene
    missed = restore_group(scene.draftglass, recipe.settings or _settings_of(recipe))
    if recipe.scene == scene.name and recipe.frame != scene.frame_current:
        if abs(recipe.frame) <= LAST_FRAME:
            scene.frame_set(recipe.frame)
        else:
            missed.append("frame")
    session = live.session()
    is_there = context.area is not None and context.area.type == "VIEW_3D"
    followed = session.followed if session is not None and not is_there else Followed(context.area, context.region)
    viewport = followed.find()
    if viewport is not None:
        restore_view(viewport.space, viewport.view, recipe.view)
        viewport.area.tag_redraw()
    return missed


def _settings_of(recipe: Recipe) -> dict[str, object]:
    """The settings that a style implies, where the recipe has none of the scene's."""
    style = recipe.style
    names = ("prompt", "negative_prompt", "strength", "steps", "guidance", "seed")
    found = {name: style[name] for name in names if name in style}
    if isinstance(sampler := style.get("sampler"), str):
        found["sampler"] = sampler.upper() or "AUTO"
    return found if style.get("eta") is None else found | {"eta": style["eta"]}
