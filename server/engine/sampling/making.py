"""Makes one picture over what was painted before, and remembers it. torch and the wire; no models."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from addon.wire import Request

from .anchors import Made, Scene
from .history import History, Recalled
from .repaint import Repaint, composed, painted
from .steady import how_made, plane_of, repaint, scene_of


@dataclass(frozen=True, eq=False)
class Making:
    """``over``: what the picture is made over, None for one that is wholly new. ``after``: the picture it builds on."""

    request: Request
    scene: Scene | None
    recalled: Recalled | None
    over: Repaint | None
    after: int | None

    @classmethod
    def begin(cls, request: Request, draft: torch.Tensor, history: History | None) -> Making:
        """``draft``: uint8 H x W x 3, of the picture's size, on the device."""
        frame, style = request.frame, request.style
        plane = plane_of(frame, draft)
        scene = scene_of(frame, draft) if history is not None else None
        recalled = None
        if history is not None and scene is None:
            history.clear()
        elif history is not None and scene is not None and history.begin(request.after, look_of(request)):
            recalled = history.recall(scene)
            if bool(recalled.known.any()):
                over = repaint(scene, recalled, style.steady, request.settle, plane)
                return cls(request, scene, recalled, over, history.newest)
        return cls(request, scene, None, None if plane is None else painted(draft.float(), plane), None)

    def finish(self, made: torch.Tensor) -> torch.Tensor:
        """The picture, of what the model made; uint8 H x W x 3 both."""
        return made if self.over is None else composed(made, self.over)

    def remember(self, picture: torch.Tensor, history: History) -> None:
        """Keep ``picture`` for the next ones."""
        if self.scene is None:
            return
        if self.recalled is None or self.over is None:
            made, new = Made.wholly(self.scene, self.request.settle), 1.0
        else:
            made = how_made(self.scene, self.recalled, self.over, self.request.settle)
            new = 1 - float(self.recalled.known.float().mean())
        history.keep(self.request.frame.id, self.scene, picture, made, new)


def look_of(request: Request) -> object:
    """All of a request that its picture's look depends on, but for what is seen and how carefully it is made."""
    style = request.style
    return (
        (style.prompt, style.negative_prompt, style.strength, style.guidance, style.seed, style.sampler, style.eta),
        (style.controls, style.loras, style.reference, request.regions, request.panorama),
    )
