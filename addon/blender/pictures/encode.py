"""Makes a video or an image sequence of a recording, in a Blender of its own in the background. Imports bpy.

    blender --background --factory-startup --python-exit-code 1 --python encode.py -- recording.json

Run as a script: it imports nothing of the add-on.
"""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import bpy


def write_sequence(told: dict[str, Any], folder: Path) -> None:
    """One PNG a frame; frames that show the same picture are links to one file where the disk has links."""
    target = Path(told["target"])
    target.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(told["frames"], 1):
        source, copy = folder / told["files"][picture], target / f"{number:06d}.png"
        try:
            os.link(source, copy)
        except OSError:
            shutil.copyfile(source, copy)


def write_video(told: dict[str, Any], folder: Path) -> None:
    """H.264 in MPEG-4 by Blender's own FFmpeg: one image strip with an element for each frame."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    render = scene.render
    render.resolution_x, render.resolution_y = told["size"]
    render.resolution_percentage = 100
    render.fps, render.fps_base = max(1, round(told["fps"])), max(1, round(told["fps"])) / told["fps"]
    render.use_compositing, render.use_sequencer = False, True
    scene.view_settings.view_transform, scene.view_settings.look = "Standard", "None"
    editor = scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    files = [told["files"][picture] for picture in told["frames"]]
    strip = strips.new_image("Pictures", str(folder / files[0]), 1, 1)
    for name in files[1:]:
        strip.elements.append(name)
    strip.frame_final_duration = len(files)
    scene.frame_start, scene.frame_end = 1, len(files)
    settings = render.image_settings
    if hasattr(settings, "media_type"):  # since 5.0
        settings.media_type = "VIDEO"
    settings.file_format = "FFMPEG"
    render.ffmpeg.format, render.ffmpeg.codec = "MPEG4", "H264"
    render.ffmpeg.constant_rate_factor, render.ffmpeg.ffmpeg_preset = "HIGH", "GOOD"
    render.ffmpeg.gopsize = max(1, round(told["fps"]))
    render.ffmpeg.audio_codec = "NONE"
    render.use_file_extension = True
    render.filepath = told["target"]
    bpy.ops.render.render(animation=True)
    if not Path(told["target"]).is_file():
        raise RuntimeError(f"no video was written to {told['target']}")
    # a full disk is no error to the encoder: only what can be read again is there
    if bpy.data.movieclips.load(told["target"]).frame_duration < len(files):
        raise RuntimeError(f"the video {told['target']} was not written whole: the disk may be full")


def _remove(target: Path) -> None:
    if target.is_dir():
        shutil.rmtree(target, ignore_errors=True)
    else:
        target.unlink(missing_ok=True)


def main() -> int:
    """Read the list and do what it says; what was recorded is removed once it is in its file."""
    path = Path(sys.argv[-1])
    told = json.loads(path.read_text("utf-8"))
    try:
        {"video": write_video, "sequence": write_sequence}[told["kind"]](told, path.parent)
    except BaseException:  # half a file would pass for the whole
        _remove(Path(told["target"]))
        raise
    shutil.rmtree(path.parent, ignore_errors=True)  # here, as the Blender that recorded may have been closed by now
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    if not bpy.app.binary_path:  # Blender's Python module hangs at its end at times
        os._exit(status)
