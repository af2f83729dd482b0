"""The user's own folder: what is found in it, what each file is, what goes with a checkpoint."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from server.catalogue import Catalogue
from server.catalogue.file_names import named_fast
from server.catalogue.user_files import UserFile, for_depth


def test_the_users_own_files_are_listed_by_what_they_are(tmp_path: Path, repositories: dict[str, Path]) -> None:
    lora = repositories["latent-consistency/lcm-lora-sdv1-5"] / "pytorch_lora_weights.safetensors"
    for folder, name in (("loras", "styles/ink"), ("checkpoints", "mislabelled"), ("loras", "cut off")):
        path = tmp_path / folder / f"{name}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(lora.read_bytes() if name != "cut off" else lora.read_bytes()[:-9])
    (tmp_path / "checkpoints" / "a folder").symlink_to(repositories["Lykon/dreamshaper-7"])
    catalogue = Catalogue(tmp_path)
    entries = {entry.name: entry for entry in catalogue.entries()}
    assert entries["styles/ink"].kind == "lora" and entries["styles/ink"].installed
    assert "This is a LoRA" in entries["mislabelled"].sentence and not entries["mislabelled"].installed
    assert "cut off" in entries["cut off"].sentence
    assert catalogue.model("a folder").base == tmp_path / "checkpoints" / "a folder"
    assert catalogue.lora("styles/ink", 0.5).weight == 0.5
    with pytest.raises(Exception, match=r"There is no LoRA '\.\./\.\./ink' on the server"):
        catalogue.lora("../../ink", 1.0)
    with pytest.raises(Exception, match="There is no model '/etc/passwd' on the server: choose one of embedded"):
        catalogue.model("/etc/passwd")
    with pytest.raises(Exception, match="The model sd15 has not been downloaded yet"):
        catalogue.model("sd15")


def test_a_checkpoint_of_the_users_gets_the_lcm_lora_of_its_family(
    tmp_path: Path, repositories: dict[str, Path]
) -> None:
    (tmp_path / "loras").mkdir()
    for name, width in (("ink", 768), ("LCM for XL", 2048), ("my LCM", 768)):
        save_file(lora_for(width), tmp_path / "loras" / f"{name}.safetensors")
    (tmp_path / "checkpoints").mkdir()
    small = shutil.copytree(repositories["Lykon/dreamshaper-7"], tmp_path / "small")
    config = small / "unet" / "config.json"
    config.write_text(config.read_text().replace('"cross_attention_dim": 32', '"cross_attention_dim": 768'))
    for name in ("mine", "mine_turbo", "ink"):
        (tmp_path / "checkpoints" / name).symlink_to(small)
    catalogue = Catalogue(tmp_path)
    assert [file.path.name for file in catalogue.model("mine").loras] == ["my LCM.safetensors"]
    assert catalogue.find(str(small)).loras == catalogue.model("mine").loras, "by its path, too"
    assert catalogue.model("mine_turbo").loras == ()
    assert {(entry.name, entry.kind) for entry in catalogue.entries()} >= {("ink", "model"), ("ink (lora)", "lora")}


def lora_for(width: int) -> dict[str, np.ndarray]:
    layer = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
    down, up = np.zeros((4, width), np.float32), np.zeros((320, 4), np.float32)
    return {f"{layer}.lora_down.weight": down, f"{layer}.lora_up.weight": up}


def test_folders_of_other_tools_and_names_of_all_kinds(tmp_path: Path) -> None:
    """ComfyUI's and A1111's folders, letters of any case and language, links, names that presets have, pickles."""
    elsewhere = tmp_path / "elsewhere.safetensors"
    save_file(lora_for(768), elsewhere)
    for place in (
        "Lora/Ölfarbe 水彩.safetensors",
        "Lora/LOUD.SAFETENSORS",
        "loras/sd15.safetensors",
        "loras/a/b/c.safetensors",
    ):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).symlink_to(elsewhere)
    for place in ("Stable-diffusion/old.ckpt", "ControlNet/canny.pth"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_bytes(b"\x80\x02 a pickle")
    (tmp_path / "loras" / "loop").symlink_to(tmp_path / "loras")
    (tmp_path / "loras" / "gone.safetensors").symlink_to(tmp_path / "nowhere")
    entries = {entry.name: entry for entry in Catalogue(tmp_path).entries()}
    for name in ("Ölfarbe 水彩", "LOUD", "sd15 (lora)", "a/b/c"):
        assert (entries[name].kind, entries[name].family, entries[name].installed) == ("lora", "SD1.5", True)
    for name, kind in (("old.ckpt", "model"), ("canny.pth", "control")):
        assert entries[name].kind == kind and not entries[name].installed
        assert "is a pickle" in entries[name].sentence
    assert "does not exist" in entries["gone"].sentence
    assert entries["sd15"].kind == "model"


def test_no_odd_file_hides_the_others(tmp_path: Path, repositories: dict[str, Path]) -> None:
    loras, controls = tmp_path / "loras", tmp_path / "controlnet"
    for folder in (loras, controls, controls / "folder"):
        folder.mkdir()
    shutil.copy(repositories["latent-consistency/lcm-lora-sdv1-5"] / "pytorch_lora_weights.safetensors", loras)
    save_file(
        {"conv_in.weight": np.zeros(3, np.float32), "body.0.x": np.zeros(1, np.float32)}, controls / "flat.safetensors"
    )
    header = b'{"x": {"dtype": "F32", "shape": [1e999], "data_offsets": [0, 0]}}'
    (controls / "endless.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    (controls / "folder" / "config.json").write_text('{"_class_name": ["ControlNetModel"]}')
    os.mkfifo(controls / "pipe.safetensors")
    (tmp_path / "checkpoints" / "of no kind").mkdir(parents=True)
    (tmp_path / "checkpoints" / "of no kind" / "config.json").write_text("{}")
    (tmp_path / "checkpoints" / "of no kind" / os.fsdecode(b"caf\xe9.txt")).touch()  # no UTF-8
    entries = {entry.name: entry for entry in Catalogue(tmp_path).entries()}
    assert entries["pytorch_lora_weights"].installed
    for name in ("flat", "endless", "folder", "pipe", "of no kind"):
        assert not entries[name].installed and entries[name].sentence, name


@pytest.mark.parametrize(
    ("name", "fast"),
    [
        ("realvisxlV40_v40LightningBakedvae.safetensors", True),
        ("dreamshaperXL_v21TurboDPMSDE.safetensors", True),
        ("dreamshaper_8LCM.safetensors", True),
        ("photonLCM_v10.safetensors", True),
        ("LCMDreamshaper v7", True),
        ("turbovisionxl.safetensors", True),
        ("sdxl_lightning_4step.safetensors", True),
        ("realisticVisionV60B1_v51HyperVAE.safetensors", True),
        ("Hyper-SDXL-8steps.safetensors", True),
        ("hyper_8step.safetensors", True),
        ("epicrealismXL_DMD2.safetensors", True),
        ("dreamshaper_8_hyper.safetensors", True),
        ("sdxl_4step.safetensors", True),
        ("myMix_TCD_v2.safetensors", True),
        ("lyrical steps.safetensors", False),
        ("hyperRealism_v3.safetensors", False),
        ("Hyperion-sd15.safetensors", False),
        ("dreamshaper_8.safetensors", False),
        ("juggernautXL_v9.safetensors", False),
    ],
)
def test_a_name_tells_that_a_checkpoint_needs_no_lcm_lora(name: str, fast: bool) -> None:
    assert named_fast(name) is fast


def test_the_control_for_depth_is_the_one_that_says_so(tmp_path: Path) -> None:
    def chosen(*names: str) -> str | None:
        found = for_depth([UserFile(name, "control", tmp_path / name) for name in names])
        return found and found.name

    assert chosen("control_v11p_sd15_canny", "mine_depth", "control_v11f1p_sd15_depth") == "control_v11f1p_sd15_depth"
    assert chosen("control_v11p_sd15_canny", "xinsir/controlnet-depth-sdxl-1.0") == "xinsir/controlnet-depth-sdxl-1.0"
    assert chosen("t2iadapter_zoedepth_sd15v1", "mine") == "t2iadapter_zoedepth_sd15v1"
    for other in (
        *("control_sd15_inpaint_depth_hand_fp16", "hand_refiner_depth", "InstantID/ControlNetModel", "mine"),
        *("control_v11p_sd15_normalbae", "control_v1p_sd15_brightness", "control_v11f1e_sd15_tile", "depth_faceid"),
        *("control_boxdepth_LooseControl", "depthcanny", "handDepth", "depth_of_field"),
        *("controlnet-union-sdxl-1.0", "tile-upscaler-depth", "controlnet_face_depth", "control_v11p_sd15_openpose"),
    ):
        assert chosen(other) is None, other


@pytest.mark.parametrize(
    ("metadata", "fast"),
    [({"modelspec.title": "My SDXL Lightning"}, True), ({"modelspec.title": "My SDXL"}, False), (None, False)],
)
def test_metadata_tell_that_a_checkpoint_needs_no_lcm_lora(
    tmp_path: Path, metadata: dict[str, str] | None, fast: bool
) -> None:
    save_file({"x": np.zeros(1, np.float32)}, tmp_path / "mine.safetensors", metadata)
    assert (UserFile("mine", "model", tmp_path / "mine.safetensors").few_steps is not None) is fast


def test_a_unet_that_takes_the_guidance_needs_no_lcm_lora(tmp_path: Path) -> None:
    name = "model.diffusion_model.time_embed.cond_proj.weight"
    save_file({name: np.zeros((4, 4), np.float32)}, tmp_path / "mine.safetensors")
    assert UserFile("mine", "model", tmp_path / "mine.safetensors").few_steps is not None
