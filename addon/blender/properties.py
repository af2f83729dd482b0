"""What the user sets with the scene. Imports bpy."""

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from ..wire import Control, Lora, Style
from ..wire.models import MAX_LORAS
from ..wire.style import MAX_SEED

ASPECTS = (
    ("VIEWPORT", "Viewport", "The picture has the 3D View's proportions and shows all of it"),
    ("SQUARE", "Square", "The picture is square and shows the middle of the 3D View"),
    ("CAMERA", "Camera", "The picture has the proportions of the scene's render; in camera view, the camera's frame"),
)
SAMPLERS = (
    ("AUTO", "Automatic", "What the model, or its LoRA for few steps, was trained for"),
    ("LCM", "LCM", "Latent consistency models: each step clears the picture and draws new noise"),
    ("TCD", "TCD", "Trajectory consistency distillation: each step keeps as much of the noise as Eta leaves"),
)
LARGEST_SEED = min(2**31 - 1, MAX_SEED)
"""Blender's whole numbers end there."""


MAX_PROMPT = 4000
"""Bytes, as Blender counts; the wire takes as many characters."""


class DraftglassLora(bpy.types.PropertyGroup):
    """A LoRA of the scene's; ``name`` is that of the server's list."""

    use: BoolProperty(name="Use", description="Whether this LoRA is used", default=True)
    weight: FloatProperty(
        name="Weight",
        description="How strongly this LoRA is applied; below 0 does the opposite",
        default=1.0,
        min=-2.0,
        max=2.0,
        soft_min=0.0,
        soft_max=1.0,
        step=5,
    )


class DraftglassModels(bpy.types.PropertyGroup):
    """Which model the scene's pictures are made with; ``bpy.context.scene.draftglass.models``."""

    model: StringProperty(
        name="Model",
        description="A model from the server's list; empty keeps the one that the server has loaded",
        maxlen=200,
    )
    loras: CollectionProperty(
        name="LoRAs", description="LoRAs that shape the picture in addition to the model's own", type=DraftglassLora
    )


class DraftglassFilm(bpy.types.PropertyGroup):
    """How films of an animation are made; ``bpy.context.scene.draftglass.film``."""

    title: StringProperty(
        name="Name",
        description="Of the film's folder, which is made inside the one for pictures",
        default="film",
        maxlen=200,
    )
    view: EnumProperty(
        name="View",
        description="What the film shows",
        items=(
            ("CAMERA", "Camera", "What the scene's camera sees; where markers hand over to another, the film cuts"),
            ("VIEWPORT", "3D View", "What the 3D View shows now, through all frames"),
        ),
    )
    makes: EnumProperty(
        name="Output",
        description="What is made of the frames",
        items=(
            ("VIDEO", "Video", "An MPEG-4 file, by Blender's own FFmpeg, beside the folder of frames"),
            ("SEQUENCE", "Image Sequence", "A folder with one PNG per frame"),
        ),
    )
    steady: FloatProperty(
        name="Steady",
        description="How firmly surfaces keep their picture from frame to frame; 0 makes each frame anew",
        default=1.0,
        min=0.0,
        max=1.0,
        step=5,
        subtype="FACTOR",
    )
    goes_on: BoolProperty(
        name="Keep Frames",
        description="Reuse frames that were made with the same settings; switch this off after a change to the scene",
        default=True,
    )


class DraftglassSettings(bpy.types.PropertyGroup):
    """The style of the scene's pictures; ``bpy.context.scene.draftglass``."""

    prompt: StringProperty(
        name="Prompt",
        description="What the picture should show, and how: what things are made of, the light, the medium",
        default="a sandstone castle on grass at noon",
        maxlen=MAX_PROMPT,
        options={"TEXTEDIT_UPDATE"},
    )
    negative_prompt: StringProperty(
        name="Negative Prompt",
        description="What the picture should not show; only takes effect with a guidance above 1",
        default="",
        maxlen=MAX_PROMPT,
        options={"TEXTEDIT_UPDATE"},
    )
    strength: FloatProperty(
        name="Strength",
        description="How far the picture may depart from the viewport's colours; at 1, only the scene's shapes count",
        default=0.7,
        min=0.05,
        max=1.0,
        step=5,
        subtype="FACTOR",
    )
    steps: IntProperty(
        name="Steps",
        description="Denoising steps while the view changes: fewer is faster, more is cleaner",
        default=2,
        min=1,
        max=20,
        soft_max=8,
    )
    settle: BoolProperty(
        name="Settle at Rest",
        description="Once the view is at rest, make one more picture of it with more steps",
        default=True,
    )
    settle_steps: IntProperty(
        name="Settle Steps",
        description="Denoising steps of the picture for a view at rest; never fewer than while it changes",
        default=4,
        min=1,
        max=50,
        soft_max=20,
    )
    guidance: FloatProperty(
        name="Guidance",
        description="How closely to follow the prompt; 1 is off and twice as fast. LCM models work best at 2 or below",
        default=1.0,
        min=1.0,
        max=15.0,
        soft_max=4.0,
        step=10,
        precision=1,
    )
    sampler: EnumProperty(name="Sampler", description="How each step removes noise", items=SAMPLERS)
    eta: FloatProperty(
        name="Eta",
        description="How much of the noise TCD replaces at each step: 0 none, 1 all of it",
        default=0.3,
        min=0.0,
        max=1.0,
        step=5,
        subtype="FACTOR",
    )
    seed: IntProperty(
        name="Seed",
        description="The same seed gives the same picture of the same view",
        default=0,
        min=0,
        max=LARGEST_SEED,
    )
    seed_locked: BoolProperty(
        name="Lock Seed",
        description="Keep this seed: neither the dice nor a style changes it",
        default=False,
    )
    size: IntProperty(
        name="Size",
        description="The longer side of the picture in pixels; the model works best at the size that it was made for",
        default=256,
        min=64,
        max=2048,
        soft_min=256,
        soft_max=1024,
        step=64,
        subtype="PIXEL",
    )
    settle_size: IntProperty(
        name="Settle Size",
        description="The longer side of the picture for a view at rest, in pixels; never less than while it "
        "changes. 0 is as large as then",
        default=512,
        min=0,
        max=2048,
        soft_max=1024,
        step=64,
        subtype="PIXEL",
    )
    aspect: EnumProperty(name="Aspect", description="The proportions of the picture", items=ASPECTS)
    depth_weight: FloatProperty(
        name="Depth",
        description="How closely the picture keeps to the scene's shapes; 0 sends no depth",
        default=1.0,
        min=0.0,
        max=2.0,
        step=5,
        subtype="FACTOR",
    )
    steady: FloatProperty(
        name="Steady",
        description="How firmly surfaces keep their picture while the view moves; 0 makes each picture anew",
        default=0.0,
        min=0.0,
        max=1.0,
        step=5,
        subtype="FACTOR",
    )
    models: PointerProperty(
        name="Model and LoRAs",
        description="The model and the LoRAs that the picture is made with",
        type=DraftglassModels,
    )
    film: PointerProperty(name="Film", description="How films of the animation are made", type=DraftglassFilm)


CLASSES = (DraftglassLora, DraftglassModels, DraftglassFilm, DraftglassSettings)


def attach() -> None:
    """Add the settings to scenes."""
    bpy.types.Scene.draftglass = PointerProperty(type=DraftglassSettings)


def detach() -> None:
    """Take them away again."""
    del bpy.types.Scene.draftglass


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
        loras=loras_of(settings.models),
        steady=settings.steady,
        sampler="" if settings.sampler == "AUTO" else settings.sampler.lower(),
        eta=settings.eta if settings.sampler == "TCD" else None,
    )


def loras_of(settings: DraftglassModels) -> tuple[Lora, ...]:
    """The scene's LoRAs as a request has them; what does not act is left out."""
    acting = [lora for lora in settings.loras if lora.use and lora.weight and lora.name]
    return tuple(Lora(lora.name, lora.weight) for lora in acting[:MAX_LORAS])
