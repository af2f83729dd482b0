"""What file names suggest: few steps, depth, SDXL. Standard library only."""

from __future__ import annotations

import re

FAST = ("lcm", "turbo", "lightning", "dmd")
"""Begins or ends a word in the name of a checkpoint that was made for few steps and needs no LCM-LoRA."""
FAST_WORDS = frozenset({"pcm", "tcd"})
"""The same, where it is a word by itself."""
HYPER = re.compile(
    r"hyper[-_ ]?(sd|vae|xl|\d+[-_ ]?step)|(sd|xl|[-_ .])hyper(?=$|[-_ .]|VAE|v?\d)|\d[-_ ]?steps?(?![a-z])"
    r"|(sd|xl)[-_ ]?flash|flash[-_ ]?(sd|xl)|(?<![a-z])sdxs|nitro[-_ ]?(sd|fusion)|vega[-_ ]?rt(?![a-z])|perflow",
    re.IGNORECASE,
)
"""The same of Hyper-SD, of any that say their steps, and of some that are rare; "hyper" alone also begins hyperrealism,
and a flash is a lamp, too."""
WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
"""The words of names such as realisticV40_v51LightningBakedVAE."""
OTHER_CONTROLS = frozenset(
    "canny hed softedge pose openpose dwpose densepose seg segmentation ade normal normals normalbae bae tile tiles "
    "paint inpaint inpainting outpaint repaint mlsd shuffle ip ip2p pix2pix sketch scribble line lineart lines edge "
    "edges pidi color colour qr qrcode monster blur deblur recolor style reference brightness illumination light "
    "lighting relight hand hands handrefiner refiner face faces faceid facial mediapipe landmark landmarks instantid "
    "instant id keypoints identity union promax upscale upscaler upscaling sr superresolution gray grayscale mask "
    "alpha anytest loose loosecontrol box field".split()
)
"""Words in the name of a control that takes something else than depth, or depth of something else, hands for one."""
WELL_KNOWN = (
    r"control_v11f1p_sd15_depth",
    r"t2i-?adapter[-_]depth[-_](sd15v2|midas[-_]sdxl|sd14v1|zoe[-_](sd15v1|sdxl))",
    r"controlnet[-_]depth[-_]sdxl|diffusers_xl_depth|sd[-_]controlnet[-_]depth",
    r"control_(v1p_|lora_)?sd15_depth",
)
"""Controls for depth that many use and that were tried, the best first."""


def named_fast(name: str) -> bool:
    """Whether ``name`` says that a checkpoint was made for few steps: LCM, Turbo, Lightning, DMD2, Hyper-SD."""
    words = [word.lower() for word in WORDS.findall(name)]
    fast = any(word.startswith(FAST) or word.endswith(FAST) or word in FAST_WORDS for word in words)
    return fast or bool(HYPER.search(name))


def named_depth(name: str) -> bool:
    """Whether ``name`` says that a control takes the depth of whole pictures, and nothing else."""
    words = {word.lower() for word in WORDS.findall(name)}
    parts = {part for word in words for part in word.split("depth")}  # depthcanny, boxdepth
    return any("depth" in word or word == "zoe" for word in words) and not (words | parts) & OTHER_CONTROLS


def depth_rank(name: str) -> int:
    """The place of a control for depth among the well-known ones, by its ``name``; after them all for any other."""
    found = (rank for rank, pattern in enumerate(WELL_KNOWN) if re.search(pattern, name, re.IGNORECASE))
    return next(found, len(WELL_KNOWN))


def named_sdxl(name: str) -> bool:
    """Whether ``name`` is that of a VAE for SDXL; its tensors do not tell."""
    return bool(re.search(r"xl|pony|illustrious|noob", name, re.IGNORECASE))
