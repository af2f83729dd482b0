"""The prompts of styles, and whatever else goes into each UNet call, computed once and cached. torch."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from addon.wire import Style

from ..sampling.batching import join_guides
from ..sampling.pipeline import Guide
from .conditions import KeptFor
from .inputs import Inputs
from .prompt_weights import check_composed, check_words
from .style_picture import StylePicture
from .text import PromptEncoder

KEPT_GUIDES = 16


class Guides:
    """Makes guides of styles. ``guidance_width``: of the UNet's input for the guidance, or None where it has none."""

    def __init__(
        self, text: PromptEncoder, inputs: Inputs, guidance_width: int | None, picture: StylePicture | None
    ) -> None:
        self._text, self._inputs, self._width, self._picture = text, inputs, guidance_width, picture
        self._kept: KeptFor[Guide] = KeptFor(KEPT_GUIDES)
        self._joined: KeptFor[Guide | None] = KeptFor(KEPT_GUIDES)

    def of(self, styles: Sequence[Style], loras: Collection[str]) -> Guide | None:
        """The guide of frames with ``styles`` that are made in one go; None where their texts differ in length.

        ``loras``: the names of those in use, as :func:`check_words` has them. Raises EngineError where a prompt names
        what is not there.
        """
        for style in styles:
            check_composed(style.prompt)
            for prompt in (style.prompt, style.negative_prompt):
                check_words(self._text.inversions.put(prompt), loras)
        guides = [self._guide(style) for style in styles]
        return guides[0] if len(guides) == 1 else self._joined.get(guides, lambda: join_guides(guides))

    def clear(self) -> None:
        self._kept.clear()
        self._joined.clear()

    def _guide(self, style: Style) -> Guide:
        inputs = self._inputs
        # a UNet that was distilled to take the guidance as an input needs no second row
        embedded = None if self._width is None else inputs.guidance_embedding(style.guidance, self._width)
        guidance = inputs.number(style.guidance) if embedded is None and style.guidance > 1 else None
        if guidance is None:
            prompt = self._text.encode(style.prompt)
        else:
            prompt = self._text.pair(style.negative_prompt, style.prompt)
        rows = prompt.text.shape[0]
        times = None if prompt.pooled is None else inputs.times(style.height, style.width, rows)
        picture = None if self._picture is None else self._picture.rows(rows)
        made = prompt.text, prompt.pooled, times, picture, guidance, embedded
        return self._kept.get(made, lambda: Guide(*made))
