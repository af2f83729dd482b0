"""ComfyUI's and A1111's folders as they are installed, given by their root: all that is there, under its kind."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from addon.wire import Entry
from server.catalogue import Catalogue
from server.catalogue.catalogue import UnknownModel
from tests.plain.engine.families import place

LORA = {
    "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight": np.zeros((4, 768), np.float32),
    "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k.lora_up.weight": np.zeros((320, 4), np.float32),
}
CANNY = {"control_model.input_hint_block.0.weight": np.zeros((1, 1, 1, 1), np.float32)}
VAE = {"decoder.conv_in.weight": np.zeros((1, 1, 1, 1), np.float32)}
EMBEDDING = {"emb_params": np.zeros((2, 768), np.float32)}
UPSCALER = {"model.0.weight": np.zeros((1, 1, 1, 1), np.float32)}


def put(root: Path, **files: dict[str, np.ndarray] | Path) -> None:
    """Write ``files``, named by path, of these tensors or as copies."""
    for name, what in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(what, Path):
            shutil.copyfile(what, path)
        else:
            save_file(what, path)


def entries(root: Path) -> dict[str, Entry]:
    return {entry.name: entry for entry in Catalogue(root, {}).entries()}


def assert_listed(found: dict[str, Entry], usable: dict[str, str], useless: dict[str, str]) -> None:
    """That ``usable`` are under their kinds and can be used, that ``useless`` say why not, and that this is all."""
    assert {name: found[name].kind for name in usable if found[name].installed} == usable
    for name, words in useless.items():
        assert words in found[name].sentence and not found[name].installed, (name, found[name].sentence)
    assert found.keys() == usable.keys() | useless.keys()


def test_a1111_by_its_root(tmp_path: Path) -> None:
    put(
        tmp_path,
        **{
            "models/Stable-diffusion/sd/a/b/c/d/deep.safetensors": place("SD1.5", "checkpoint"),
            "models/Stable-diffusion/mine.vae.safetensors": VAE,
            "models/Lora/ink.safetensors": LORA,
            "models/LyCORIS/moss.safetensors": LORA,
            "models/VAE/vae-ft-mse.safetensors": VAE,
            "models/ControlNet/control_v11f1p_sd15_depth.safetensors": place("SD1.5", "controlnet_file"),
            "models/ControlNet/ip-adapter_sd15.safetensors": place("SD1.5", "ip"),
            "extensions/sd-webui-controlnet/models/my_depth.safetensors": place("SD1.5", "controlnet_file"),
            "extensions/sd-webui-controlnet/models/control_v11p_sd15_canny.safetensors": CANNY,
            "embeddings/easynegative.safetensors": EMBEDDING,
            "models/ESRGAN/sharp.safetensors": UPSCALER,
        },
    )
    (tmp_path / "models" / "Stable-diffusion" / "old.ckpt").write_bytes(b"\x80\x02")
    (tmp_path / "models" / "Stable-diffusion" / "Put Stable Diffusion checkpoints here.txt").touch()
    assert_listed(
        entries(tmp_path),
        {
            "sd/a/b/c/d/deep": "model",
            "ink": "lora",
            "moss": "lora",
            "vae-ft-mse": "vae",
            "mine.vae": "vae",
            "control_v11f1p_sd15_depth": "control",
            "my_depth": "control",
            "easynegative": "other",
        },
        {
            "old.ckpt": "is a pickle",
            "ip-adapter_sd15": "image encoder of",
            "control_v11p_sd15_canny": "does not say that it takes depth",
            "sharp": "nothing here uses it",
        },
    )
    assert "is used for depth in its place" in entries(tmp_path)["my_depth"].sentence
    assert "follow the draft's depth by it" in entries(tmp_path)["control_v11f1p_sd15_depth"].sentence


def test_comfyui_by_its_root(tmp_path: Path) -> None:
    comfy, elsewhere = tmp_path / "ComfyUI", tmp_path / "webui"
    encoder = next((place("SD1.5", "ip").parent / "image_encoder").glob("*.safetensors"))
    put(
        comfy,
        **{
            "models/checkpoints/sdxl/base.safetensors": place("SDXL", "checkpoint"),
            "models/loras/ink.safetensors": LORA,
            "models/controlnet/t2iadapter_depth_sd15v2.safetensors": next(
                place("SD1.5", "adapter").glob("*.safetensors")
            ),
            "models/ipadapter/ip-adapter_sd15.safetensors": place("SD1.5", "ip"),
            "models/clip_vision/CLIP-ViT-H-14.safetensors": encoder,
            "models/vae/sdxl_vae.safetensors": VAE,
            "models/embeddings/easynegative.safetensors": EMBEDDING,
        },
    )
    put(elsewhere, **{"models/Lora/moss.safetensors": LORA, "models/LyCORIS/ink.safetensors": LORA})
    (comfy / "extra_model_paths.yaml").write_text(
        f"a111:\n  base_path: {elsewhere}\n  checkpoints: models/Stable-diffusion\n"
        "  loras: |\n    models/Lora\n    models/LyCORIS\nodd: 7\n"
    )
    assert_listed(
        entries(comfy),
        {
            "sdxl/base": "model",
            "ink": "lora",
            "ink (lora)": "lora",
            "moss": "lora",
            "t2iadapter_depth_sd15v2": "control",
            "ip-adapter_sd15": "control",
            "sdxl_vae": "vae",
            "easynegative": "other",
        },
        {},
    )


@pytest.mark.parametrize(
    "said",
    [
        "base_path: ../other\n  loras: more",
        "base_path: ../other/\n  loras: |\n    more/\n    none",
        "base_path: ../other\n  is_default: true\n  loras: [none, more]",
        "loras: ../other/more",
        "base_path: ${ELSEWHERE}\n  lora: more\n  loras: ./more",
        "base_path: ~/other\n  LoRAs: more",
        "base_path: /not/there\n  loras: more\nnothing:\nb:\n  base_path: ../other\n  loras: more",
    ],
)
@pytest.mark.parametrize("given", [".", "models"])
def test_where_comfyui_is_told_of_more(said: str, given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ELSEWHERE", str(tmp_path / "other"))
    put(tmp_path, **{"other/more/ink.safetensors": LORA, "comfy/models/loras/own.safetensors": LORA})
    (tmp_path / "comfy" / "extra_model_paths.yaml").write_text(f"a:\n  {said}\n")
    assert_listed(entries(tmp_path / "comfy" / given), {"ink": "lora", "own": "lora"}, {})


def test_a_link_that_leads_back_and_names_that_are_too_long(tmp_path: Path) -> None:
    loras = tmp_path / "loras"
    folder = loras / ("a" * 120)
    put(folder, **{f"{'b' * 120}{end}.safetensors": LORA for end in "12"})
    (folder / "back").symlink_to(loras)
    found = Catalogue(tmp_path, {}).entries()
    assert len(found) == 2 and all(entry.installed and len(entry.name) <= 200 for entry in found)
    assert {Catalogue(tmp_path, {}).lora(entry.name, 1.0).path.stem[-1] for entry in found} == {"1", "2"}


def test_a_lora_by_its_files_name_as_prompts_have_it(tmp_path: Path) -> None:
    put(
        tmp_path, **{"loras/a/Moss.safetensors": LORA, "loras/a/ink.safetensors": LORA, "loras/b/ink.safetensors": LORA}
    )
    catalogue = Catalogue(tmp_path, {})
    assert catalogue.lora("moss", 0.8).path == tmp_path / "loras" / "a" / "Moss.safetensors"
    with pytest.raises(UnknownModel, match="several LoRAs 'ink': name one of a/ink, b/ink"):
        catalogue.lora("ink", 1.0)


def test_what_cannot_be_used_is_not_suggested(tmp_path: Path) -> None:
    put(tmp_path, **{"checkpoints/good.safetensors": place("SD1.5", "checkpoint"), "checkpoints/bad.safetensors": LORA})
    with pytest.raises(UnknownModel, match=r"choose one of good\."):
        Catalogue(tmp_path, {}).check("gone")


def test_a_checkpoint_without_a_vae_takes_the_users(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    bare = {n: v for n, v in load_file(place("SD1.5", "checkpoint")).items() if not n.startswith("first_stage_model.")}
    put(tmp_path, **{"checkpoints/bare.safetensors": bare})
    assert "has no VAE in it" in entries(tmp_path)["bare"].sentence
    put(tmp_path, **{"vae/sdxl.safetensors": VAE, "vae/mse.safetensors": VAE})
    assert entries(tmp_path)["bare"].installed
    assert Catalogue(tmp_path, {}).model("bare").vae == tmp_path / "vae" / "mse.safetensors"
    put(tmp_path, **{"checkpoints/bare.vae.safetensors": VAE})
    assert Catalogue(tmp_path, {}).model("bare").vae == tmp_path / "checkpoints" / "bare.vae.safetensors"
