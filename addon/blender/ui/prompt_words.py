"""The words that the embedded model knows, to press, and which of the prompt's it lacks. Imports bpy."""

from __future__ import annotations

from functools import cache
from typing import ClassVar

import bpy
from bpy.props import StringProperty

from ...presets.vocabulary import Vocabulary, read_vocabulary
from ..capture.viewports import characters
from ..live import switch as live
from ..server.process import ROOT
from .setup_panel import draw_text

EMBEDDED = "embedded"


@cache
def vocabulary() -> Vocabulary:
    """The embedded model's words, which come with the extension."""
    return read_vocabulary(ROOT / "server" / "models" / EMBEDDED / "words.json")


def is_small(scene: bpy.types.Scene) -> bool:
    """Whether the pictures are made by the embedded model, as far as is known here."""
    loop = live.loop()
    model = loop.model if loop is not None and loop.model else scene.draftglass.models.model
    return model in ("", EMBEDDED)


def draw_words(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Under the prompt: the words there are, and those that do nothing."""
    if not is_small(context.scene):
        return
    layout.menu("DRAFTGLASS_MT_words", icon="WORDWRAP_ON")
    if unknown := vocabulary().unknown(context.scene.draftglass.prompt):
        draw_text(layout, f"The embedded model does not know: {', '.join(unknown)}", characters(context), "INFO")


class DRAFTGLASS_OT_add_word(bpy.types.Operator):
    """Put this word into the prompt, in place of another of its kind where there is one"""

    bl_idname = "draftglass.add_word"
    bl_label = "Use a Word"
    bl_options: ClassVar[set[str]] = {"UNDO", "INTERNAL"}

    kind: StringProperty(description="What the word says: buildings, ground, sky or medium", options={"SKIP_SAVE"})
    word: StringProperty(description="A word that the embedded model knows", options={"SKIP_SAVE"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Change the prompt."""
        settings = context.scene.draftglass
        settings.prompt = vocabulary().put(settings.prompt, self.kind, self.word)
        return {"FINISHED"}


class DRAFTGLASS_MT_words(bpy.types.Menu):
    """All words that the embedded model knows, by kind."""

    bl_label = "Words It Knows"

    def draw(self, _context: bpy.types.Context) -> None:
        """One column for each kind."""
        row = self.layout.row()
        for kind, words in vocabulary().kinds.items():
            column = row.column()
            column.label(text=kind.capitalize())
            column.separator()
            for word in words:
                button = column.operator("draftglass.add_word", text=word.capitalize())
                button.kind, button.word = kind, word


CLASSES = (DRAFTGLASS_OT_add_word, DRAFTGLASS_MT_words)
