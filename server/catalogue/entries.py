"""Entries of the list of models for the user's own files. No torch, no sockets."""

from __future__ import annotations

from pathlib import Path

from addon.wire import Entry
from addon.wire.models import Kind

from .few_steps import FewSteps, few_steps_lora
from .folders import Purpose
from .user_files import UserFile, for_depth

LONGEST = 1000
"""Characters of an entry's sentence."""
KINDS: dict[Purpose, Kind] = {"model": "model", "lora": "lora", "control": "control", "style": "control", "vae": "vae"}
"""What the list calls files by what they are for; all others are "other"."""


def entry_of(one: UserFile, family: str, wrong: str, few: FewSteps | None, depth: UserFile | None) -> Entry:
    """The entry of the file ``one`` of ``family``; ``wrong``: why it cannot be used, "" where it can.

    ``few``: what a model wants with the LoRA for few steps that it gets, or by itself; None without one. ``depth``: the
    control that models of its family use.
    """
    usable, words = (False, wrong) if wrong else _said(one, family, few, depth)
    where = "of your folder, in diffusers' layout" if one.path.is_dir() else "of your folder"
    kind = KINDS.get(one.purpose, "other")
    wants = few or FewSteps("", steps=20) if one.purpose == "model" else FewSteps("")
    return Entry(
        one.name,
        one.name,
        kind,
        family,
        where,
        usable,
        steps=wants.steps,
        sentence=words[:LONGEST],
        sampler=wants.sampler.name,
    )


def _said(one: UserFile, family: str, few: FewSteps | None, depth: UserFile | None) -> tuple[bool, str]:
    """Whether the file ``one``, in which nothing is wrong, is of use, and what to know of it."""
    if one.purpose == "style":
        return True, "An IP-Adapter: models of its family follow style pictures with it."
    if one.purpose == "embedding":
        return True, f"A textual inversion: prompts that name {Path(one.name).name} use it."
    if one.purpose == "vae":
        return True, "A VAE: checkpoints that have none of their own are loaded with it."
    if one.purpose == "control":
        if depth is not None and depth.name == one.name:
            return True, f"Models of {family or 'its family'} follow the draft's depth by it."
        if depth is None or not for_depth([one]):
            return False, "Its name does not say that it takes depth and nothing else, so it is not used."
        return True, f"{depth.name} is used for depth in its place."
    if one.purpose == "lora":
        lora = few_steps_lora(one.name)
        return True, lora.sentence if lora and lora.title != "LCM" else ""
    if one.purpose == "model" and few is None:
        return True, f"No LCM-LoRA for {family or 'it'} is here, so it takes 20 steps or more: put one into loras."
    return True, ""
