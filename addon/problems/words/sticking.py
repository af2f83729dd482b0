"""The words about sticking pictures to surfaces. Standard library only; no bpy."""

from __future__ import annotations

from .. import sticking
from .entry import says

STICKING = (
    says(
        sticking.NoMesh,
        lambda p: f"{p.thing} is no mesh but a {p.kind.lower().replace('_', ' ')}, so it has no UV map.",
        "Object > Convert > Mesh makes it one.",
    ),
    says(sticking.NoFaces, lambda p: f"{p.thing} has no faces.", "Add faces, or leave it out."),
    says(
        sticking.OnlyInstances,
        lambda p: f"{p.thing} is seen as instances only, which would all show the same picture.",
        "Object > Apply > Make Instances Real gives each a surface of its own.",
    ),
    says(
        sticking.LinkedObject,
        lambda p: f"{p.thing} is linked from {p.library} and cannot be changed here.",
        "Object > Relations > Make Local brings it into this file.",
    ),
    says(
        sticking.Overridden,
        lambda p: f"{p.thing} is a library override of {p.library}, and would lose its textures with the next save.",
        "Object > Relations > Make Local > Selected Objects and Data brings it into this file.",
    ),
    says(
        sticking.LinkedMesh,
        lambda p: f"The mesh of {p.thing} is linked from {p.library}, and lacks a UV map or a material slot.",
        "Object > Relations > Make Local > Selected Objects and Data brings it into this file.",
    ),
    says(
        sticking.SharedInAtlas,
        lambda p: f"The mesh of {p.thing} is shared by {p.count} objects, and has only one place in an atlas.",
        "Object > Relations > Make Single User > Object & Data, or an image for each object.",
    ),
    says(
        sticking.CopiedByModifier,
        lambda p: f"The modifier {p.modifier} of {p.thing} makes copies that would all show the same picture.",
        "Apply the modifier, and stick again.",
    ),
    says(
        sticking.NoMapAfterModifier,
        lambda p: f"What the modifier {p.modifier} makes of {p.thing} has no UV map.",
        "Apply the modifier, and stick again.",
    ),
    says(sticking.BeingEdited, lambda p: f"{p.thing} is being edited.", "Leave Edit Mode, and stick again."),
    says(
        sticking.TooManyMaps,
        lambda p: f"The mesh of {p.thing} has no room for one more UV map.",
        "Remove one of its UV maps.",
    ),
    says(
        sticking.NothingToStickTo,
        lambda p: f"{'Nothing that is selected' if p.selected else 'No mesh'} can be seen in the view.",
        "Turn the view to what is to be textured, or select something else.",
    ),
    says(
        sticking.NoPicture,
        lambda _: "There is no picture of the view at rest to stick.",
        "Start live, and wait until the view has settled.",
    ),
    says(
        sticking.TexturesNotWritten,
        lambda p: f"The textures cannot be written to the folder {p.folder}: {p.detail}.",
        "Choose another folder, or pack the textures into the file.",
    ),
)
"""What each report says."""
