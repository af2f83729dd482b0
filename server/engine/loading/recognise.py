"""What a .safetensors file is, by the names and shapes of its tensors. Standard library only: no torch.

Files of models are renamed, mixed up and put into the wrong folder all the time; their tensors do not lie.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import EngineError
from .files import Shapes, check_safetensors

UNET = "model.diffusion_model."
FAMILIES = {768: "SD1.5", 1024: "SD2", 2048: "SDXL"}
"""Width of the text embeddings that the cross-attention of a family takes."""
WORDS_WIDE = (768, 1024, 1280)
"""Widths of a word in the text encoders of any family."""
TEXT_TAKEN = re.compile(
    r"(attn2[._](processor[._])?to_[kv](_lora)?(\.lora)?[._]"
    r"(weight|(lora_)?down\.weight|lora_A(\.\w+)?\.weight|hada_w[12]_b|diff)|1\.to_k_ip\.weight)$"
)
"""Names of tensors whose last side is the width of the text."""
REFINER = 2560
"""What SDXL's refiner takes beside the text; its base model takes 2816."""
ADAPTERS = {64: "SD1.5", 192: "SD1.5", 256: "SDXL", 768: "SDXL"}
"""Channels that the T2I-Adapters of a family take: one or three, of squares of 8 or 16 pixels."""

LORAS = (
    *("lora_down", "lora_up", "lora_A", "lora_B", "lora.down.", "lora.up.", "lora_linear_layer.", "lora_embedding_A"),
    *(".hada_w", ".lokr_w", ".dora_scale", "lora_magnitude_vector"),
)
"""Parts of the names in LoRAs and in what is computed like them: LoHa, LoKr and DoRA."""
OTHER_ADAPTERS = {
    "oft": (".oft_blocks", ".oft_diag", ".oft_R", ".oft_r", ".boft_R", ".boft_s"),
    "ia3": (".on_input", ".ia3_l"),
    "glora": (".a1.weight", ".b1.weight", ".a2.weight", ".b2.weight"),
    "vera": (".vera_lambda",),
    "other_peft": (".hra_u", ".randlora_", ".fourierft_spectrum", ".bone_block", ".miss_block", ".c3a_kernel"),
}
"""Parts of the names of what changes a model as LoRAs do, by other sums, by its kind."""

WORDS = {
    "checkpoint": "a whole checkpoint",
    "unet": "a UNet without text encoder and VAE",
    "lora": "a LoRA",
    "oft": "an OFT of LyCORIS or peft, which multiplies weights, not a LoRA",
    "ia3": "an (IA)\u00b3 of LyCORIS or peft, which multiplies weights, not a LoRA",
    "glora": "a GLoRA of LyCORIS, not a LoRA",
    "vera": "a VeRA of peft, not a LoRA",
    "other_peft": "an adapter of peft of a kind that is not known here, not a LoRA",
    "control_lora": "a Control-LoRA, not a whole ControlNet",
    "control_union": "a ControlNet of the union kind, not a plain one",
    "lllite": "a ControlNet-LLLite, not a whole ControlNet",
    "language_model": "a language model",
    "controlnet": "a ControlNet",
    "t2i_adapter": "a T2I-Adapter",
    "ip_adapter": "an IP-Adapter",
    "vae": "a VAE",
    "tiny_vae": "a tiny autoencoder (TAESD)",
    "text_encoder": "a text encoder",
    "embedding": "a textual inversion",
    "other": "of a kind that is not known here",
}


@dataclass(frozen=True)
class Found:
    """What a file is: a ``kind`` of :data:`WORDS`, and its ``family`` (SD1.5, SD2, SDXL, Flux, ...; "" unknown)."""

    kind: str
    family: str

    @property
    def words(self) -> str:
        """For a sentence, such as "a LoRA for SDXL"."""
        if self.kind == "other" and self.family:
            return f"a part of {self.family}"
        return WORDS[self.kind] + (f" for {self.family}" if self.family else "")


def recognise(path: Path) -> tuple[Found, Shapes]:
    """What the file ``path`` is, and the shapes in it. Raises EngineError when it is no whole safetensors file."""
    shapes = check_safetensors(path)
    return Found(_kind(shapes), _family(shapes)), shapes


def require(path: Path, kinds: tuple[str, ...], purpose: str) -> tuple[Found, Shapes]:
    """As :func:`recognise`, but raises EngineError unless the file is one of ``kinds``; ``purpose``: what for."""
    found, shapes = recognise(path)
    if found.kind not in kinds:
        wanted = " or ".join(WORDS[kind] for kind in kinds)
        raise EngineError(f"{path} is {found.words}, but {purpose} must be {wanted}")
    return found, shapes


def _kind(shapes: Shapes) -> str:
    def some(*parts: str) -> bool:
        return any(part in name for name in shapes for part in parts)

    def starts(*parts: str) -> bool:
        return any(name.startswith(parts) for name in shapes)

    if starts("image_proj.") and starts("ip_adapter."):  # before LoRAs: those for faces hold one
        return "ip_adapter"
    if "lora_controlnet" in shapes:
        return "control_lora"
    if starts("lllite_"):
        return "lllite"
    for kind, parts in OTHER_ADAPTERS.items():
        if some(*parts):
            return kind
    if some(*LORAS) or any(name.endswith((".diff", ".diff_b", ".w_norm", ".b_norm")) for name in shapes):
        return "lora"
    if "task_embedding" in shapes:
        return "control_union"
    if some("control_model.", "zero_convs.", "input_hint_block.", "controlnet_cond_embedding."):
        return "controlnet"
    if starts(UNET, "double_blocks.", "joint_blocks."):
        text = starts("cond_stage_model.", "conditioner.embedders.", "text_encoders.")
        return "checkpoint" if text else "unet"
    if some("time_embed.0.weight", "time_embedding.linear_1.weight"):
        return "unet"
    if starts("adapter.body.", "body.0."):
        return "t2i_adapter"
    if starts("decoder.layers.", "taesd_decoder."):
        return "tiny_vae"
    if starts("decoder.conv_in.", "decoder.mid.", "decoder.mid_block.", "first_stage_model."):
        return "vae"
    if some("embeddings.token_embedding", "token_embedding.weight", "resblocks.0.attn"):
        return "text_encoder"
    if len(shapes) <= 4 and some("emb_params", "clip_l", "clip_g", "string_to_param"):
        return "embedding"
    if some("embed_tokens.weight", "tok_embeddings.weight", "lm_head.weight", "self_attn.q_proj.weight"):
        return "language_model"
    return "embedding" if _word(shapes) in WORDS_WIDE else "other"


def _word(shapes: Shapes) -> int:
    """The width of a textual inversion for models with one text encoder; 0 where it is none.

    diffusers saves it as the only tensor, under the word that it stands for.
    """
    names = ("emb_params", "string_to_param.*", *(shapes if len(shapes) == 1 else ()))
    found = next((shapes[name] for name in names if name in shapes), ())
    return found[-1] if len(found) in (1, 2) else 0


def _family(shapes: Shapes) -> str:
    if any("double_blocks" in name or "single_transformer_blocks" in name for name in shapes):
        return "Flux"
    if "clip_g" in shapes:  # a textual inversion
        return "SDXL"
    if (word := _word(shapes)) in FAMILIES:
        return FAMILIES[word]
    if any("joint_blocks" in name for name in shapes):
        return "SD3"
    if shapes.get(f"{UNET}label_emb.0.0.weight", ())[-1:] == (REFINER,):
        return "SDXL's refiner"
    if "conv_in.weight" in shapes and any(name.startswith(("adapter.body.", "body.0.")) for name in shapes):
        return ADAPTERS.get(shapes["conv_in.weight"][1], "")
    for first in ("adapter.conv_in.weight", "adapter.body.0.in_conv.weight"):  # of full ones, of light ones
        if len(shape := shapes.get(first, ())) == 4:
            return ADAPTERS.get(shape[1], "")
    if any(
        name.startswith(("add_embedding.", "control_model.label_emb.", "model.control_model.label_emb."))
        for name in shapes
    ):
        return "SDXL"
    if any(name.startswith(("conditioner.", "lora_te1_", "lora_te2_", f"{UNET}label_emb.")) for name in shapes):
        return "SDXL"
    for name, shape in shapes.items():
        if TEXT_TAKEN.search(name) and shape and shape[-1] in FAMILIES:
            return FAMILIES[shape[-1]]
    return "SD1.5" if any(name.startswith("cond_stage_model.transformer.") for name in shapes) else ""
