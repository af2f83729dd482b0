"""The styles in Blender: a choice with thumbnails that is stored with the scene. Imports bpy."""

import hashlib
import tempfile
from pathlib import Path
from typing import Any

import bpy
import bpy.utils.previews
import numpy as np
from numpy.typing import NDArray

from ...keeping import encode
from ...live.shown import Shown
from ...presets import LIMITS, Library, Listed, Preset, PresetError
from ...presets.preset import JPEG
from ..pictures.folders import styles_folder

THUMBNAIL = 128
NONE = 0
"""The number of the choice that stands for settings of the user's own."""

_library: Library | None = None
_previews: Any = None
_folder: tempfile.TemporaryDirectory[str] | None = None
_items: list[tuple[str, str, str, int, int]] = []  # Blender keeps no reference to the strings


def library() -> Library:
    """The styles there are; the user's own are files beside Blender's settings."""
    global _library
    if _library is None:
        _library = Library(styles_folder())
    return _library


def use_library(found: Library | None) -> None:
    """Take another library; None the user's own, read anew."""
    global _library
    _library = found
    _items.clear()


def apply(scene: bpy.types.Scene, listed: Listed) -> None:
    """Set what the style sets; the seed only where it is not locked."""
    settings = scene.draftglass
    for name, value in listed.preset.values.items():
        if name != "seed" or not settings.seed_locked:
            setattr(settings, name, value)
    scene.draftglass_styles.applied = listed.key


def applied(scene: bpy.types.Scene) -> Listed | None:
    """The style chosen last, also where settings have been changed since."""
    try:
        return library().get(scene.draftglass_styles.applied)
    except PresetError:
        return None


def is_changed(scene: bpy.types.Scene, listed: Listed) -> bool:
    """Whether a setting that the style sets has another value by now."""
    settings = scene.draftglass
    for name, value in listed.preset.values.items():
        if name == "seed" and settings.seed_locked:
            continue
        try:
            now = getattr(settings, name)
        except UnicodeDecodeError:  # a script's long text, which Blender has cut within a letter
            return True
        if abs(now - value) > 1e-4 if name in LIMITS else now != value:
            return True
    return False


def preset_of(scene: bpy.types.Scene, name: str, with_seed: bool, shown: Shown | None) -> Preset:
    """The scene's settings as a style; ``shown`` gives the thumbnail. Raises PresetError."""
    settings = scene.draftglass
    values = {
        key: round(getattr(settings, key), 4)
        for key in ("strength", "steps", "settle_steps", "guidance", "depth_weight")
    }
    if with_seed:
        values["seed"] = settings.seed
    picture = thumbnail(shown.image) if shown is not None else b""
    return Preset(name, settings.prompt, settings.negative_prompt, thumbnail=picture, **values)


def thumbnail(image: NDArray[np.uint8]) -> bytes:
    """A PNG of the middle square of ``image`` (uint8, H x W x 3); each of its pixels is a mean."""
    side = min(image.shape[:2])
    top, left = ((length - side) // 2 for length in image.shape[:2])
    square = image[top : top + side, left : left + side].astype(np.float32)
    size = min(THUMBNAIL, side)
    edges = np.linspace(0, side, size + 1).round().astype(int)
    for axis in (0, 1):
        sums = np.add.reduceat(square, edges[:-1], axis=axis)
        counts = np.diff(edges).reshape([-1 if axis == n else 1 for n in range(3)])
        square = sums / counts
    return encode(np.rint(square).astype(np.uint8))


def changed() -> None:
    """The library is another one: the choices are listed anew."""
    _items.clear()


def _enum_items(_self: Any, _context: bpy.types.Context | None) -> list[tuple[str, str, str, int, int]]:
    if not _items:
        _items.append(("NONE", "Your Own", "Settings that belong to no style", _plain_icon(), NONE))
        for number, listed in enumerate(library().styles, NONE + 1):
            preset = listed.preset
            _items.append((listed.key, preset.name, preset.prompt or preset.name, _icon(listed), number))
    return _items


def _icon(listed: Listed) -> int:
    """Blender's previews are loaded from files: the thumbnail becomes one, by its content."""
    global _folder
    data = listed.preset.thumbnail
    if _previews is None or not data:
        return 0
    name = hashlib.sha256(data).hexdigest()[:24]
    if name not in _previews:
        if _folder is None:
            _folder = tempfile.TemporaryDirectory(prefix="draftglass_styles_", ignore_cleanup_errors=True)
        path = Path(_folder.name) / (name + (".jpg" if data.startswith(JPEG) else ".png"))
        try:
            path.write_bytes(data)
        except OSError:
            return 0  # a full disk costs the thumbnail, not the style
        _previews.load(name, str(path), "IMAGE")
    return _previews[name].icon_id


def _plain_icon() -> int:
    """Three sliders, for settings that have no picture."""
    if _previews is None:
        return 0
    if "NONE" not in _previews:
        pixels = np.full((64, 64, 4), (0.2, 0.2, 0.2, 1.0), np.float32)
        for row, knob in ((16, 40), (32, 20), (48, 32)):
            pixels[row - 1 : row + 1, 10:54, :3] = 0.5
            pixels[row - 5 : row + 5, knob - 3 : knob + 3, :3] = 0.8
        preview = _previews.new("NONE")
        preview.image_size = (64, 64)
        preview.image_pixels_float.foreach_set(pixels.ravel())
    return _previews["NONE"].icon_id


def _get(self: Any) -> int:
    """The style chosen last, else any whose settings these are."""
    found = library().styles
    last = applied(self.id_data)
    for listed in (*((last,) if last is not None else ()), *found):
        if not is_changed(self.id_data, listed):
            return found.index(listed) + NONE + 1
    return NONE


def _set(self: Any, value: int) -> None:
    if value != NONE:
        apply(self.id_data, library().styles[value - NONE - 1])


class DraftglassStyles(bpy.types.PropertyGroup):
    """Which style the scene has; ``bpy.context.scene.draftglass_styles``."""

    applied: bpy.props.StringProperty(name="Style", description="The style that was chosen last", options={"HIDDEN"})
    chosen: bpy.props.EnumProperty(
        name="Style",
        description="A look with a name: choosing it sets the prompt and what belongs to it",
        items=_enum_items,
        get=_get,
        set=_set,
        options={"SKIP_SAVE"},
    )


CLASSES = (DraftglassStyles,)


def attach() -> None:
    """Add the choice to scenes."""
    global _previews
    _previews = bpy.utils.previews.new()
    bpy.types.Scene.draftglass_styles = bpy.props.PointerProperty(type=DraftglassStyles)


def detach() -> None:
    """Take it away again; the files stay."""
    global _previews, _folder
    del bpy.types.Scene.draftglass_styles
    use_library(None)
    if _previews is not None:
        bpy.utils.previews.remove(_previews)
        _previews = None
    if _folder is not None:
        _folder.cleanup()
        _folder = None
