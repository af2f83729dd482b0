"""Put the trained parts together as a diffusers folder, float16 safetensors. torch, diffusers and transformers.

python -m tools.training.export [--work DIR] [--out DIR]
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderTiny

from tools.training.modules import Modules, new_modules, new_scheduler, new_tokenizer
from tools.training.stages.distill import LORA_FILE

ROOT = Path(__file__).parents[2]
WORK = ROOT / ".cache" / "training"
OUT = ROOT / "server" / "models" / "embedded"
LIMIT = 48 * 2**20


def load_trained(work: Path) -> Modules:
    """Return the averaged UNet, adapter and text encoder of the checkpoint in `work`."""
    modules = new_modules(new_tokenizer(work / "tokenizer"))
    state = torch.load(work / "diffusion.pt", map_location="cpu", weights_only=True)
    modules.all().load_state_dict(state["average"])
    return modules


def export(work: Path, out: Path) -> int:
    """Write the model in `work` to `out` and return its size in bytes. Raises ValueError when it is above 48 MiB."""
    modules = load_trained(work)
    vae = AutoencoderTiny.from_pretrained(work / "vae")
    scale = torch.load(work / "latents.pt", map_location="cpu", weights_only=True, mmap=True)["scale"]
    vae.register_to_config(scaling_factor=round(float(scale), 6))
    out.mkdir(parents=True, exist_ok=True)
    parts = {"unet": modules.unet, "adapter": modules.adapter, "text_encoder": modules.text_encoder, "vae": vae}
    for name, module in parts.items():
        shutil.rmtree(out / name, ignore_errors=True)
        module.half().save_pretrained(out / name, safe_serialization=True)
    # transformers loads in the precision that the config names, diffusers in float32: they must agree by default
    text_config = out / "text_encoder" / "config.json"
    text_config.write_text(json.dumps(json.loads(text_config.read_text()) | {"dtype": "float32"}, indent=2) + "\n")
    adapter_config = out / "adapter" / "config.json"  # trained on the planes as they come, 0 at infinity
    facts = json.loads(adapter_config.read_text(encoding="utf-8")) | {"depth_range": "near"}
    adapter_config.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    config = out / "vae" / "config.json"  # the one part that was itself loaded from a folder, whose path it keeps
    settings = json.loads(config.read_text(encoding="utf-8"))
    settings.pop("_name_or_path", None)
    config.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    shutil.rmtree(out / "tokenizer", ignore_errors=True)
    shutil.copytree(work / "tokenizer", out / "tokenizer")
    new_scheduler().save_pretrained(out / "scheduler")
    if (work / LORA_FILE).exists():
        shutil.copyfile(work / LORA_FILE, out / LORA_FILE)
    index = {
        "_class_name": "StableDiffusionPipeline",
        "_diffusers_version": "0.42.1",
        "feature_extractor": [None, None],
        "image_encoder": [None, None],
        "requires_safety_checker": False,
        "safety_checker": [None, None],
        "scheduler": ["diffusers", "LCMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderTiny"],
    }
    (out / "model_index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    for path in out.rglob("*.safetensors"):
        path.chmod(0o644)  # they are written for their owner alone
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    if size > LIMIT:
        raise ValueError(f"the model in {out} takes {size} bytes, but {LIMIT} at most are wanted")
    return size


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Write the trained model as a diffusers folder.")
    parser.add_argument("--work", type=Path, default=WORK, help="where training keeps its checkpoints")
    parser.add_argument("--out", type=Path, default=OUT, help="the folder to write")
    arguments = parser.parse_args()
    size = export(arguments.work, arguments.out)
    print(f"{arguments.out}: {size / 2**20:.2f} MiB")


if __name__ == "__main__":
    main()
