"""The styles in Blender: a choice with thumbnails that is stored with the scene. Imports bpy."""

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import bpy
import bpy.utils.previews
import numpy as np
from numpy.typing import NDArray

from ...keeping import encode
from ...live.shown import ShownPicture
from ...presets import LIMITS, Library, Listed, Preset, PresetError
from ...presets.preset import JPEG, SETTINGS
from ..pictures.folders import styles_folder

THUMBNAIL = 128
NONE = 0
"""The number of the choice that stands for settings of the user's own."""
OWN_NAME = "Your Own"

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
    """Set what the style sets, its prompt around the user's own words; the seed only where it is not locked.

    What was set before the first of several styles is kept, for :func:`restore_own`.
    """
    settings, chosen = scene.draftglass, scene.draftglass_styles
    if applied(scene) is None:
        own = {name: getattr(settings, name) for name in SETTINGS if name != "prompt"}
        chosen.own = json.dumps({**own, "prompt": prompt_of(scene)})
    subject = subject_of(scene)
    for name, value in listed.preset.values.items():
        if name != "seed" or not settings.seed_locked:
            setattr(settings, name, listed.preset.around(subject) if name == "prompt" else value)
    chosen.applied = listed.key


def restore_own(scene: bpy.types.Scene) -> None:
    """Let the settings be as they were before a style was chosen, with the prompt as it was typed since."""
    settings, chosen = scene.draftglass, scene.draftglass_styles
    if applied(scene) is None:
        return
    subject = subject_of(scene)
    own = json.loads(chosen.own) if chosen.own else {}
    for name, value in own.items():
        if name in SETTINGS and (name != "seed" or not settings.seed_locked):
            setattr(settings, name, value)
    if subject or not own:
        settings.prompt = subject
    chosen.applied = chosen.own = ""


def subject_of(scene: bpy.types.Scene) -> str:
    """The user's own words in the scene's prompt: without those of the style, and none where nobody typed any."""
    prompt, last = prompt_of(scene), applied(scene)
    found = last.preset.subject_in(prompt) if last is not None and last.preset.prompt is not None else None
    if found is not None:
        return found
    if prompt == scene.draftglass.bl_rna.properties["prompt"].default:
        return ""
    # a style's text may be there though none is noted as chosen: in a file of before, or from a kept picture
    inside = (one.preset.subject_in(prompt) for one in library().styles if one.preset.prompt)
    return next((words for words in inside if words is not None and words != prompt), prompt)


def prompt_of(scene: bpy.types.Scene) -> str:
    """The scene's prompt; "" for a script's long text, which Blender has cut within a letter."""
    try:
        return str(scene.draftglass.prompt)
    except UnicodeDecodeError:
        return ""


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
        if name == "prompt":
            value = listed.preset.around(subject_of(scene))
        try:
            now = getattr(settings, name)
        except UnicodeDecodeError:  # a script's long text, which Blender has cut within a letter
            return True
        if abs(now - value) > 1e-4 if name in LIMITS else now != value:
            return True
    return False


def name_of(scene: bpy.types.Scene) -> str:
    """What the scene's style is called, and whether it was changed since."""
    last, number = applied(scene), _get(scene.draftglass_styles)
    if number != NONE:
        return library().styles[number - NONE - 1].preset.name
    return f"{last.preset.name}, changed" if last is not None else OWN_NAME


def preset_of(scene: bpy.types.Scene, name: str, with_seed: bool, shown: ShownPicture | None) -> Preset:
    """The scene's settings as a style; ``shown`` gives the thumbnail. Raises PresetError.

    Where the prompt is another style's around the user's own words, it is that style's without them.
    """
    settings, last = scene.draftglass, applied(scene)
    prompt, alone = settings.prompt, None
    if last is not None and last.preset.prompt is not None and last.preset.subject_in(prompt) is not None:
        prompt, alone = last.preset.prompt, last.preset.alone
    values = {
        key: round(getattr(settings, key), 4)
        for key in ("strength", "steps", "settle_steps", "guidance", "depth_weight", "steady")
    }
    values["sampler"] = settings.sampler
    if settings.sampler == "TCD":
        values["eta"] = round(settings.eta, 4)
    if with_seed:
        values["seed"] = settings.seed
    picture = thumbnail(shown.image) if shown is not None else b""
    return Preset(name, prompt, settings.negative_prompt, thumbnail=picture, alone=alone, **values)


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
        _items.append(
            (
                "NONE",
                OWN_NAME,
                "Your own prompt and settings, as they were before a style was chosen",
                _plain_icon(),
                NONE,
            )
        )
        for number, listed in enumerate(library().styles, NONE + 1):
            preset = listed.preset
            _items.append((listed.key, preset.name, preset.around("") or preset.name, _icon(listed), number))
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
    else:
        restore_own(self.id_data)


class DraftglassStyles(bpy.types.PropertyGroup):
    """Which style the scene has; ``bpy.context.scene.draftglass_styles``."""

    applied: bpy.props.StringProperty(name="Style", description="The style that was chosen last", options={"HIDDEN"})
    own: bpy.props.StringProperty(
        name="Own Settings", description="What was set before a style was chosen, as JSON", options={"HIDDEN"}
    )
    chosen: bpy.props.EnumProperty(
        name="Style",
        description="A named look: choosing it sets the prompt and the settings that go with it",
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
