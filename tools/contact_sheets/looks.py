"""What a contact sheet shows: one look in two of its settings. No torch, no bpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from addon.wire import Control, Style
from tools.contact_sheets.captures import CASTLE


@dataclass(frozen=True)
class Look:
    """All that one picture depends on. ``scene``: a .blend, or a name of ``blockouts``; ``size``: pixels a side."""

    scene: str = str(CASTLE)
    prompt: str = "a sandstone castle town on grass at noon"
    strength: float = 0.7
    steps: int = 4
    size: int = 512
    depth: float = 1.0
    seed: int = 0

    def style(self) -> Style:
        """As the settings in Blender would ask for it."""
        controls = (Control("depth", self.depth),) if self.depth > 0 else ()
        return Style(
            prompt=self.prompt,
            strength=self.strength,
            steps=self.steps,
            seed=self.seed,
            width=self.size,
            height=self.size,
            controls=controls,
        )


@dataclass(frozen=True)
class Axis:
    """A setting of a look, and the values that it takes along a side of the sheet."""

    setting: str
    values: Sequence[Any]

    @staticmethod
    def parse(words: Sequence[str]) -> Axis:
        """Of ``strength 0.6 0.8``. Raises ValueError, with a sentence, for what is no setting or no value of it."""
        setting, *values = words
        kinds = {name: type(value) for name, value in vars(Look()).items()}
        if setting not in kinds or not values:
            raise ValueError(f"{' '.join(words)!r} is no axis: say one of {', '.join(kinds)}, then its values")
        try:
            return Axis(setting, [kinds[setting](value) for value in values])
        except ValueError:
            raise ValueError(f"{', '.join(values)!r} are not values of {setting}: numbers are wanted") from None


@dataclass(frozen=True)
class Sheet:
    """A grid: ``rows`` downwards, ``columns`` to the right; ``base`` says all else."""

    name: str
    rows: Axis
    columns: Axis
    base: Look = field(default_factory=Look)

    def looks(self) -> list[list[Look]]:
        """The looks, row by row."""
        rows, columns = self.rows, self.columns
        return [
            [replace(self.base, **{rows.setting: r, columns.setting: c}) for c in columns.values] for r in rows.values
        ]
