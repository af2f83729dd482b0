"""Applies a style's LoRAs, textual inversions and style picture to the model. Standard library, numpy, the wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from addon.problems import Problem
from addon.problems.serving import LoraFailed, LoraMissing, ModelFailed
from addon.wire import Style

from ..engine import EngineError, LoraFile
from ..engine.conditioning.inversion_names import named
from ..engine.conditioning.prompt_weights import loras_named

FindLora = Callable[[str, float], LoraFile]
"""The file of a LoRA by its name in the list of models, with a weight. Raises EngineError when there is none."""
FindEmbeddings = Callable[[], Mapping[str, Path]]
"""All textual inversions that there are, by the names that prompts give them."""


class TakesAdapters(Protocol):
    """An engine that can be given LoRAs and a style picture between two frames."""

    def use_loras(self, loras: tuple[LoraFile, ...]) -> None: ...
    def use_embeddings(self, files: Mapping[str, Path]) -> None: ...
    def use_reference(self, image: NDArray[np.uint8] | None, weight: float = 1.0) -> None: ...


class Adapters:
    """Applies to an engine what each style asks for, and takes it back for the next. One engine's thread only."""

    def __init__(self, find: FindLora | None = None, embeddings: FindEmbeddings | None = None) -> None:
        self._find, self._all_embeddings = find, embeddings
        self._prompts: tuple[str, ...] = ()
        self._named: dict[str, Path] = {}  # of _prompts, for the same reason
        self._names: tuple[str, ...] = ()
        self._files: tuple[LoraFile, ...] = ()  # of _names: the folder is not searched for every frame
        self.clear()

    def clear(self) -> None:
        """The engine is another one, with no adapters applied yet."""
        self._loras = self._reference = self._embeddings = False

    def apply(self, engine: TakesAdapters, styles: Sequence[Style], picture: NDArray[np.uint8] | None) -> None:
        """Give ``engine`` what ``styles`` ask for, which differ in words alone, and name the same LoRAs there.

        Raises EngineError. ``picture``: uint8 H x W x 3.
        """
        style = styles[0]
        embeddings = self._embeddings_of(styles)
        if embeddings or self._embeddings:
            engine.use_embeddings(embeddings)
            self._embeddings = bool(embeddings)
        loras = self._resolve(style)
        if loras or self._loras:
            try:
                engine.use_loras(loras)
            except EngineError as error:
                raise EngineError(self._told(error.problem)) from error
            self._loras = bool(loras)
        weight = 0.0 if style.reference is None else style.reference.weight
        if (picture is not None and weight > 0) or self._reference:
            is_wanted = picture is not None and weight > 0
            engine.use_reference(picture if is_wanted else None, weight)
            self._reference = is_wanted

    def _embeddings_of(self, styles: Sequence[Style]) -> dict[str, Path]:
        """The textual inversions that prompts of ``styles`` name."""
        prompts = tuple(prompt for style in styles for prompt in (style.prompt, style.negative_prompt))
        if prompts != self._prompts:
            every = {} if self._all_embeddings is None else self._all_embeddings()
            self._named = {name: every[name] for prompt in prompts for name in named(prompt, every)}
            self._prompts = prompts
        return self._named

    def _told(self, problem: Problem) -> Problem:
        """``problem`` of LoRAs by the names that clients know them by: where they lie on this machine stays here."""
        if not isinstance(problem, ModelFailed):
            return problem
        detail = problem.detail
        for name, file in zip(self._names, self._files, strict=True):
            for path in (str(file.path), repr(str(file.path))[1:-1]):
                detail = detail.replace(path, name)
        return LoraFailed(", ".join(self._names), detail)

    def _resolve(self, style: Style) -> tuple[LoraFile, ...]:
        """The LoRAs of ``style``, those that its prompt names as A1111's do among them. Raises EngineError."""
        given = [(lora.name, lora.weight) for lora in style.loras]
        given += [(lora.name, lora.weight) for lora in loras_named(style.prompt)]
        wanted = [(name, weight) for name, weight in given if weight]
        names = tuple(name for name, _ in wanted)
        if not names:
            return ()
        if self._find is None:
            raise EngineError(LoraMissing(names[0]))
        if names != self._names or not all(file.path.exists() for file in self._files):
            self._files = tuple(self._find(name, 1.0) for name in names)
            self._names = names
        try:
            files = zip(self._files, wanted, strict=True)
            return tuple(LoraFile(file.path, weight, name) for file, (name, weight) in files)
        except ValueError as error:
            raise EngineError(str(error), "bad_request") from None
