"""What the user sets with the scene. Imports bpy."""

import bpy
from bpy.props import BoolProperty, FloatProperty, IntProperty, PointerProperty, StringProperty

from ..wire import Control, Style

GRID = 32
"""Sides of the picture are multiples of this: what the model's coarsest level needs."""


class DraftglassSettings(bpy.types.PropertyGroup):
    """The style of the scene's pictures; ``bpy.context.scene.draftglass``."""

    prompt: StringProperty(
        name="Prompt",
        description="What the picture should show",
        default="a sandstone castle on grass at noon",
        options={"TEXTEDIT_UPDATE"},
    )
    negative_prompt: StringProperty(
        name="Negative Prompt", description="What it should not show; needs a guidance above 1", default=""
    )
    strength: FloatProperty(
        name="Strength",
        description="How far the picture may leave the viewport's colours: 1 takes only its depth",
        default=0.9,
        min=0.05,
        max=1.0,
        step=5,
        subtype="FACTOR",
    )
    steps: IntProperty(
        name="Steps", description="Denoising steps while the view changes: fewer is faster", default=2, min=1, max=8
    )
    settle: BoolProperty(
        name="Settle When Still",
        description="Make a better picture, with more steps, once the view rests",
        default=True,
    )
    settle_steps: IntProperty(
        name="Settle Steps", description="Denoising steps of the picture for a view at rest", default=4, min=1, max=50
    )
    guidance: FloatProperty(
        name="Guidance",
        description="How closely to follow the prompt; 1 is off and twice as fast",
        default=1.0,
        min=1.0,
        max=15.0,
    )
    seed: IntProperty(
        name="Seed", description="The same seed gives the same picture of the same view", default=0, min=0
    )
    size: IntProperty(
        name="Size",
        description="The longer side of the picture in pixels",
        default=256,
        min=64,
        max=2048,
        step=64,
        subtype="PIXEL",
    )
    depth_weight: FloatProperty(
        name="Depth",
        description="How closely the picture keeps to the scene's shapes; 0 sends no depth",
        default=1.0,
        min=0.0,
        max=2.0,
    )


CLASSES = (DraftglassSettings,)


def attach() -> None:
    """Add the settings to scenes."""
    bpy.types.Scene.draftglass = PointerProperty(type=DraftglassSettings)


def detach() -> None:
    """Take them away again."""
    del bpy.types.Scene.draftglass


def picture_size(longer: int, width: int, height: int) -> tuple[int, int]:
    """Width and height of a picture of a region of ``width`` x ``height``: the region's aspect, to the grid."""
    scale = longer / max(width, height)
    sides = (max(2 * GRID, round(side * scale / GRID) * GRID) for side in (width, height))
    return tuple(sides)  # type: ignore[return-value]


def style_of(settings: DraftglassSettings, size: tuple[int, int]) -> Style:
    """The live style that ``settings`` ask for at a picture of ``size`` (width, height)."""
    controls = (Control("depth", settings.depth_weight),) if settings.depth_weight > 0 else ()
    return Style(
        prompt=settings.prompt,
        negative_prompt=settings.negative_prompt,
        strength=settings.strength,
        steps=settings.steps,
        guidance=settings.guidance,
        seed=settings.seed,
        width=size[0],
        height=size[1],
        controls=controls,
    )
