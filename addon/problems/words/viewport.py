"""The words about Blender's own side. Standard library only; no bpy."""

from __future__ import annotations

from .. import viewport
from ..actions import Action
from .entry import says, written

VIEWPORT = (
    says(
        viewport.CaptureFailed,
        lambda p: f"The viewport could not be captured: {p.detail}.",
        "Solid shading can be captured everywhere.",
        Action.USE_SOLID_SHADING,
    ),
    says(
        viewport.ViewTooNarrow,
        lambda p: (
            "The 3D View is too narrow or too low for the picture's aspect: "
            f"{p.width} x {p.height} pixels would have to be drawn."
        ),
        "Make the 3D View larger, set the picture's aspect to Viewport, or use Solid shading.",
        Action.USE_SOLID_SHADING,
    ),
    says(
        viewport.EngineNotCaptured,
        lambda p: f"What {p.engine} draws in Rendered shading cannot be captured.",
        "Use Solid shading, or Material Preview.",
        Action.USE_SOLID_SHADING,
    ),
    says(viewport.BadSettings, lambda p: written(p.detail), "Correct the setting it names."),
    says(
        viewport.NoViewport,
        lambda _: "No 3D View is open: open one, and live follows it.",
        "Split an area, or change the type of one.",
    ),
    says(
        viewport.FilmWithoutCamera,
        lambda p: f"The scene {p.scene!r} has no camera that a film could be taken with.",
        "Add one, or take the film from the 3D View.",
    ),
    says(
        viewport.FilmNotWritten,
        lambda p: f"The film cannot be written to {p.folder}: {p.detail}.",
        "Make room, or choose another folder under Pictures in the sidebar; the frames that are there are taken over.",
    ),
    says(
        viewport.FilmNotEncoded,
        lambda p: f"Blender's encoder made no video of the frames in {p.folder}; encode.log there says why.",
        "Render again: the frames are there, and only the video is made anew. Or use the frames as an image sequence.",
    ),
    says(
        viewport.LiveCrashed,
        lambda p: f"Live was stopped by an error in the add-on: {p.detail}.",
        "Start it again; if it happens again, please report it with this sentence and your version of Blender.",
        Action.START_LIVE,
        Action.OPEN_LOG,
    ),
)
