"""The scene's settings for sticking. Imports bpy."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty, PointerProperty, StringProperty

from ..stick.choice import AroundSettings, Way
from ..stick.settings import Layout, StickSettings

SIZES = tuple((str(size), str(size), f"Images of at most {size} x {size} texels") for size in (512, 1024, 2048, 4096))
LAYOUTS = (
    (Layout.OBJECT.value, "One per Object", "Each object gets an image of its own"),
    (Layout.ATLAS.value, "Atlas", "Objects that are textured together for the first time share one image"),
)
WAYS = (
    (Way.AUTO.value, "Automatic", "Whichever view next shows most that is empty"),
    (Way.RING.value, "Ring", "Round what this view shows, at its height"),
    (Way.DOME.value, "Dome", "From all sides and from above"),
    (Way.CAMERAS.value, "Cameras", "From where each of the scene's cameras stands, in the order of their names"),
)


class DraftglassStick(bpy.types.PropertyGroup):
    """How pictures are stuck to the scene; ``bpy.context.scene.draftglass_stick``."""

    size: IntProperty(
        name="Size",
        description="The longer side of the picture that is stuck, in pixels: where it is larger than the settled "
        "picture, a picture is made for this. 0 takes the settled picture",
        default=0,
        min=0,
        max=2048,
        step=64,
        subtype="PIXEL",
    )
    texture_size: EnumProperty(name="Textures", description="The largest image", items=SIZES, default="2048")
    layout: EnumProperty(name="Images", description="What gets an image of its own", items=LAYOUTS)
    emission: BoolProperty(
        name="Unlit",
        description="The material shows its colours as they are, whatever the light; off, it is lit as a base colour",
        default=True,
    )
    as_files: BoolProperty(
        name="As Files", description="Write the images as PNG files instead of packing them into the .blend"
    )
    folder: StringProperty(
        name="Folder",
        description="Where the PNG files go",
        default="//textures/",
        subtype="DIR_PATH",
    )
    flatten: BoolProperty(
        name="Flatten Light",
        description="Divide the viewport's own light and shadow out of the picture, as far as the picture follows them",
    )
    views: IntProperty(name="Views", description="How many views at most, all round", default=8, min=1, max=64)
    way: EnumProperty(name="Around", description="Which views follow this one", items=WAYS)


CLASSES = (DraftglassStick,)


def stick_settings(chosen: DraftglassStick) -> StickSettings:
    """What the scene's settings say."""
    folder = Path(bpy.path.abspath(chosen.folder)) if chosen.as_files else None
    return StickSettings(
        texture_size=int(chosen.texture_size),
        layout=Layout(chosen.layout),
        emission=chosen.emission,
        folder=folder,
        flatten_light=chosen.flatten,
    )


def around_settings(chosen: DraftglassStick) -> AroundSettings:
    """What the scene's settings say."""
    return AroundSettings(views=chosen.views, way=Way(chosen.way))


def attach() -> None:
    """Add the settings to scenes."""
    bpy.types.Scene.draftglass_stick = PointerProperty(type=DraftglassStick)


def detach() -> None:
    """Take them away again."""
    del bpy.types.Scene.draftglass_stick
