"""LoRAs and checkpoints for few steps: known by name, used with the sampler that they were made for, licence said."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.catalogue import Catalogue, read_presets
from server.catalogue.few_steps import few_steps, few_steps_lora
from server.engine.spec import LCM, Sampler
from tests.plain.catalogue.test_trees import LORA, entries, put
from tests.plain.engine.families import place

DDIM = Sampler("tcd", 0.0)


@pytest.mark.parametrize(
    ("name", "title", "sampler", "steps"),
    [
        ("LCM_LoRA_SDv15", "LCM", LCM, 4),
        ("TCD-SD15-LoRA", "TCD", Sampler("tcd", 0.3), 4),
        ("sdxl_lightning_8step_lora", "Lightning", DDIM, 8),
        ("Hyper-SDXL-8steps-lora", "Hyper-SD", DDIM, 8),
        ("Hyper-SD15-1step-lora", "Hyper-SD", Sampler("tcd", 1.0), 1),
        ("dmd2_sdxl_4step_lora_fp16", "DMD2", LCM, 4),
        ("pcm_sd15_smallcfg_4step_converted", "PCM", DDIM, 4),
    ],
)
def test_what_a_lora_wants_follows_from_its_name(name: str, title: str, sampler: Sampler, steps: int) -> None:
    found = few_steps_lora(name)
    assert found is not None and (found.title, found.sampler, found.steps) == (title, sampler, steps)


def test_lightning_bolts_are_none_for_few_steps() -> None:
    for name in ("lightning_storm_style", "hyperrealism", "turbo_car", "ink"):
        assert few_steps_lora(name) is None
    assert few_steps("dreamshaperXL_v21TurboDPMSDE") == few_steps("turbovisionxl")
    for name in ("SDXLFlash", "flash-sd", "sdxs-512", "NitroSD-realism", "segmind-VegaRT"):
        assert few_steps(name) is not None
    for name in ("flashlight_portrait", "vega_v1", "nitro_cars"):
        assert few_steps(name) is None


def test_checkpoints_are_sampled_as_their_lora_was_made(tmp_path: Path) -> None:
    put(tmp_path, **{"checkpoints/mine.safetensors": place("SD1.5", "checkpoint")})
    spec, told = Catalogue(tmp_path, {}).model("mine"), entries(tmp_path)["mine"]
    assert (spec.loras, spec.sampler) == ((), LCM) and told.steps == 20 and "No LCM-LoRA" in told.sentence
    for name, sampler, steps in (("Hyper-SD15-8steps-lora", DDIM, 8), ("lcm-lora-sdv1-5", LCM, 4)):
        put(tmp_path, **{f"loras/{name}.safetensors": LORA})
        spec, told = Catalogue(tmp_path, {}).model("mine"), entries(tmp_path)["mine"]
        assert [lora.path.stem for lora in spec.loras] == [name] and spec.sampler == sampler
        assert (told.steps, told.sampler, told.sentence) == (steps, sampler.name, "")
    assert entries(tmp_path)["Hyper-SD15-8steps-lora"].sentence == (
        "Hyper-SD, for 8 steps with the sampler tcd at eta 0. Its licence: in LICENSE.md of ByteDance/Hyper-SD."
    )
    put(tmp_path, **{"checkpoints/mineHyper_4steps.safetensors": place("SD1.5", "checkpoint")})
    spec, told = Catalogue(tmp_path, {}).model("mineHyper_4steps"), entries(tmp_path)["mineHyper_4steps"]
    assert (spec.loras, spec.sampler, told.steps, told.sampler) == ((), DDIM, 4, "tcd")


def test_presets_say_their_samplers_and_licences(tmp_path: Path) -> None:
    presets = read_presets()
    for name, suits in (("sd15-tcd", Sampler("tcd", 0.3)), ("sdxl-tcd", Sampler("tcd", 0.3)), ("sdxl-lightning", DDIM)):
        preset = presets[name]
        assert preset.suits == suits and ("MIT" in preset.licence) is name.endswith("tcd")
        # all else is what sd15 and sdxl have, so that nothing is downloaded twice
        others = [part for part in presets[name.partition("-")[0]].parts if part.role != "lora"]
        assert [part for part in preset.parts if part.role != "lora"] == others
    listed = {entry.name: entry for entry in Catalogue(tmp_path).entries()}
    assert (listed["sd15-tcd"].sampler, listed["sd15"].sampler) == ("tcd", "lcm")
