"""What a run was like, as values for report.json and as a table. Standard library and numpy only; no bpy, no I/O."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..live.statistics import is_step
from ..version import VERSION
from ..wire import PROTOCOL
from .arguments import Options
from .run import HEARTBEAT, PACING, Outcome, ShotResult

STAGES = {
    "capture": "draw and read back the view",
    "draw": "  of which Blender's own drawing",
    "read": "  of which reading back colours and depth",
    "wire": "pack, the way there, unpack",
    "queue": "lie at the server until its turn",
    "engine": "the model",
    "upload": "  of which draft and depth to the device",
    "encode": "  of which draft to latent",
    "depth": "  of which depth to features",
    "step": "  of which each UNet call",
    "decode": "  of which latent to picture",
    "download": "  of which picture from the device",
    "reply": "hand over, pack, the way back, be noticed, unpack",
    "display": "wait for what is being drawn, convert and upload the picture",
    "whole": "from asking for the view to its picture",
    "overhead": "whole without drawing, queue and engine",
}
"""The stages of a frame's way, in its order, and what each is."""


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which ``part`` (0 to 1) of ``values`` lie, interpolated; 0 of none."""
    return float(np.percentile(np.asarray(values), part * 100)) if len(values) else 0.0


def stage_times(times: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """p50 and p95 in milliseconds of each stage in ``times``, one mapping a frame."""
    names = [*STAGES, *sorted({name for frame in times for name in frame} - set(STAGES), key=_in_order)]
    found = {}
    for name in names:
        values = [frame[name] for frame in times if name in frame]
        if name == "step":  # all of them; each has a line of its own beside it
            values = [value for frame in times for stage, value in frame.items() if is_step(stage)] or values
        if values:
            found[name] = {"p50": round(percentile(values, 0.5), 3), "p95": round(percentile(values, 0.95), 3)}
    return found


def _in_order(name: str) -> tuple[str, int]:
    """Sort ``step 10`` behind ``step 9``."""
    return ("step", int(name[5:])) if is_step(name) else (name, 0)


def overhead(shown: Sequence[ShotResult]) -> dict[str, float]:
    """p50 and p95 of all of a frame's way but queue, engine and Blender's own drawing, and of how many ``frames``.

    Of those whose picture did not come while the next view was being drawn: they would hold some of that drawing.
    """
    taken = [one.times["overhead"] for one in shown if not one.behind] or [one.times["overhead"] for one in shown]
    p50, p95 = (round(percentile(taken, part), 3) for part in (0.5, 0.95))
    return {"p50": p50, "p95": p95, "frames": len(taken)}


def report(
    outcome: Outcome,
    options: Options,
    blender: Mapping[str, str],
    versions: Mapping[str, str],
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Everything about a run as plain values. ``blender``: what draws; ``versions``: of the libraries at work;
    ``notes``: what was said of the scene. ``blender`` is empty where nothing had to be drawn."""
    frames = len(outcome.shown)
    stages = stage_times([shown.times for shown in outcome.shown])
    return {
        "frames": frames,
        "seconds": round(outcome.seconds, 3),
        "frames_per_second": round(frames / outcome.seconds, 3) if outcome.seconds else 0.0,
        "stages_ms": stages,
        "overhead_ms": overhead(outcome.shown),
        "drops": outcome.dropped,
        "frames_sent": outcome.sent,
        "reconnections": outcome.reconnections,
        "bytes_sent": outcome.bytes_sent,
        "bytes_received": outcome.bytes_received,
        "pacing": PACING,
        "heartbeat_ms": HEARTBEAT * 1e3,
        "model": outcome.model,
        "control": outcome.control,
        "device": {
            "engine": options.device,
            "drawing": blender.get("renderer", ""),
            "machine": f"{platform.system()} {platform.machine()}",
            "cores": os.cpu_count(),
        },
        "settings": options.settings(),
        "notes": list(notes),
        "versions": {
            "draftglass": VERSION,
            "protocol": PROTOCOL,
            "server": outcome.server,
            "blender": blender.get("version", ""),
            "python": platform.python_version(),
            **versions,
        },
    }


def table(made: Mapping[str, Any]) -> str:
    """The stage times of a report as lines of text."""
    lines = [f"{'stage':<10} {'p50 ms':>9} {'p95 ms':>9}"]
    for name, about in STAGES.items():
        if name in made["stages_ms"]:
            times = made["stages_ms"][name]
            lines.append(f"{name:<10} {times['p50']:>9.2f} {times['p95']:>9.2f}   {about}")
    rest = made["overhead_ms"]
    lines.append(
        f"Besides drawing, queue and engine a frame takes {rest['p50']:.1f} ms (p95 {rest['p95']:.1f}), "
        f"measured on the {rest['frames']} whose picture met no drawing of the next view"
    )
    lines.append(
        f"{made['frames']} frames in {made['seconds']:.1f} s: {made['frames_per_second']:.2f} frames/s, "
        f"{made['drops']} dropped"
    )
    return "\n".join(lines)
