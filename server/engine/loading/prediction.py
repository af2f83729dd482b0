"""A single-file checkpoint's prediction type and noise schedule, from the metadata that tools write. No torch.

ComfyUI's users mark a file by the tensors ``v_pred`` and ``ztsnr``; A1111 reads a ``.yaml`` of the same name beside it;
kohya, OneTrainer and others write modelspec's metadata (https://github.com/Stability-AI/ModelSpec), ComfyUI
``predict_key`` there, kohya its own beside them. Where none of these says anything, a name such as ``noobaiXLVpred10``
is believed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import EngineError
from ..yaml_files import read_yaml
from .files import Shapes, read_metadata

V, EPSILON = "v_prediction", "epsilon"
_WORDS = {
    "epsilon": EPSILON,
    "eps": EPSILON,
    "noise": EPSILON,
    "v": V,
    "v_pred": V,
    "vpred": V,
    "v_prediction": V,
    "velocity": V,
    "sample": "sample",
    "x0": "sample",
}
"""What tools call it, and what diffusers does."""
_SCALINGS = {"EpsScaling": EPSILON, "VScaling": V}
"""The same in the configs of Stability's own code, sgm."""
_NAMED_V = re.compile(r"v[-_ ]?pred", re.IGNORECASE)
_NAMED_EPSILON = re.compile(r"(?<![a-z])eps(ilon)?(?![a-z])|eps[-_ ]?pred", re.IGNORECASE)
_NAMED_ZERO = re.compile(r"(?<![a-z])z(t|ero[-_ ]?terminal[-_ ]?)?snr", re.IGNORECASE)
_NOTHING = ("", "none", "null", "unknown", "default")
_ZERO_SNR = ("ztsnr", "zsnr", "zero_terminal_snr", "rescale_betas_zero_snr")


def noise_config(path: Path, shapes: Shapes) -> dict[str, object]:
    """``prediction_type`` and ``rescale_betas_zero_snr`` of the checkpoint ``path``, as diffusers names them.

    Raises EngineError where its tools say something that is not known here, or that LCM cannot sample.
    """
    beside, metadata = _yaml_beside(path), read_metadata(path)
    marked = V if "v_pred" in shapes else ""
    prediction = marked or _of_yaml(beside, path) or _of_metadata(metadata, path) or _of_name(path.stem)
    zero = (
        "ztsnr" in shapes
        or any(_params(beside).get(name) is True for name in _ZERO_SNR)
        or metadata.get("ss_zero_terminal_snr", "").lower() == "true"
        or bool(_NAMED_ZERO.search(path.stem))
    )
    # epsilon cannot be predicted where nothing but noise is left, so that the mark then means nothing, as in ComfyUI
    return {"prediction_type": prediction, "rescale_betas_zero_snr": zero and prediction != EPSILON}


def _of_metadata(metadata: Mapping[str, str], path: Path) -> str:
    flows = metadata.get("modelspec.noise_process", "").lower() in ("flow", "rectified_flow")
    said = (metadata.get("modelspec.prediction_type") or metadata.get("modelspec.predict_key", "")).strip()
    known = _known(said)
    if flows or (said.lower() not in _NOTHING and not known):
        raise EngineError(
            f"{path} says in its metadata that it predicts {said!r}{' of a flow' if flows else ''}, which LCM cannot "
            "sample: take a checkpoint that predicts epsilon, v or the sample"
        )
    return known or (V if metadata.get("ss_v_parameterization", "").lower() == "true" else "")


def _known(said: str) -> str:
    """What diffusers calls the prediction ``said``, "" where it is none that is known."""
    return _WORDS.get(re.sub(r"[-\s]+", "_", said.strip().lower()), "")


def _of_name(name: str) -> str:
    return V if _NAMED_V.search(name) and not _NAMED_EPSILON.search(name) else EPSILON


def _yaml_beside(path: Path) -> Any:
    beside = next((each for end in (".yaml", ".yml") if (each := path.with_suffix(end)).is_file()), None)
    if beside is None:
        return {}
    try:
        return read_yaml(beside)
    except (OSError, ValueError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())[:300]
        raise EngineError(f"{beside} cannot be read ({reason}): correct it, or remove it") from None


def _of_yaml(config: Any, path: Path) -> str:
    params = _params(config)
    said = params.get("parameterization", "")
    scaling = _within(params, "denoiser_config", "params", "scaling_config", "target")
    name = scaling.rpartition(".")[2] if isinstance(scaling, str) else ""
    known = _known(said) if isinstance(said, str) and said else _SCALINGS.get(name, "")
    if (said or name) and not known:
        raise EngineError(
            f"the .yaml beside {path} says that it predicts {said or name!r}, which LCM cannot sample: take a "
            "checkpoint that predicts epsilon or v"
        )
    return known


def _params(config: Any) -> Mapping[str, Any]:
    found = _within(config, "model", "params")
    return found if isinstance(found, dict) else {}


def _within(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value
