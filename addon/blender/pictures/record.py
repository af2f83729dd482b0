"""Recording: every picture that is shown meanwhile, made into a video or an image sequence afterwards. Imports bpy.

While recording, each picture is written as it is shown. The video is made by a Blender of its own in the background,
so that this one goes on; a timer looks after it only until it is done.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import time
from pathlib import Path

import bpy

from ...keeping import KeepError, Recording, free_path
from ...live.shown import ShownPicture
from ..live import switch as live
from .keep import keep_folder, stem_of

ENCODE = Path(__file__).with_name("encode.py")
LOOK_SECONDS = 0.5
LOG = "encode.log"


class Recorder:
    """One at a time: recording, then making; ``sentence`` says how it stands."""

    def __init__(self) -> None:
        self.sentence = ""
        self.failed = False
        self.result: Path | None = None
        """The video, or the folder of the sequence, once it is made."""
        self._recording: Recording | None = None
        self._kind, self._stem = "video", "recording"
        self._folder = self._spool = self._target = Path()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def recording(self) -> bool:
        """Whether pictures are being recorded."""
        return self._recording is not None

    @property
    def making(self) -> bool:
        """Whether the last recording is still being made into its file."""
        return self._process is not None

    @property
    def count(self) -> int:
        """Pictures recorded so far."""
        return len(self._recording) if self._recording is not None else 0

    def start(self, scene: bpy.types.Scene) -> None:
        """Begin. Raises KeepError where the folder cannot be written to."""
        if self.recording or self.making:
            raise KeepError("A recording is under way already.")
        chosen = scene.draftglass_keep
        self._folder, self._kind = keep_folder(scene), chosen.record_as.lower()
        try:
            spool = free_path(self._folder, "recording", ".draftglass")
            self._recording = Recording(spool, chosen.record_fps)
        except OSError as error:
            raise KeepError(f"Nothing can be recorded to {self._folder}: {error.strerror or error}.") from None
        self._stem, self.result, self.failed, self.sentence = "recording", None, False, ""
        live.on_picture.append(self._add)
        live.on_beat.append(self._end_with_live)
        on_show = live.picture() if live.is_running() else None
        if on_show is not None:
            self._add(on_show)

    def stop(self) -> None:
        """End, and begin to make the video or the sequence. Raises KeepError where nothing was recorded."""
        if self._recording is None:
            return
        recording, self._recording = self._recording, None
        self._listen_no_more()
        suffix = ".mp4" if self._kind == "video" else ""
        try:
            target = free_path(self._folder, self._stem, suffix)
            told = recording.finish(time.perf_counter(), self._kind, target)
            with (recording.folder / LOG).open("wb") as log:
                self._process = subprocess.Popen(
                    command(told), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
                )
        except ValueError:
            shutil.rmtree(recording.folder, ignore_errors=True)
            self._fail("Nothing was recorded, because no picture was shown in the meantime.")
        except OSError as error:
            self._fail(f"The recording could not be finished: {error.strerror or error}; see {recording.folder}.")
        self._spool, self._target = recording.folder, target
        self.sentence = f"Making {target.name} of {len(recording)} pictures."
        if not bpy.app.timers.is_registered(self._look):
            bpy.app.timers.register(self._look, first_interval=LOOK_SECONDS, persistent=True)

    def poll(self) -> bool:
        """Whether the last recording is done, one way or the other."""
        if self._process is None:
            return True
        status = self._process.poll()
        if status is None:
            return False
        self._process = None
        if status == 0 and self._target.exists():
            shutil.rmtree(self._spool, ignore_errors=True)
            self.result, self.sentence = self._target, f"Recorded {self._target.name}."
        else:
            self.failed = True
            self.sentence = f"The recording could not be made into a file; its pictures and log are in {self._spool}."
        return True

    def close(self) -> None:
        """Blender ends, or the add-on is switched off: finish what was recorded, without waiting for it."""
        try:
            self.stop()
        except KeepError:
            pass
        self._process = None
        if bpy.app.timers.is_registered(self._look):
            bpy.app.timers.unregister(self._look)

    def _add(self, shown: ShownPicture) -> None:
        if self._recording is None:
            return
        try:
            self._recording.add(shown.image, time.perf_counter())
        except OSError as error:
            self._break_off(error)
            return
        if len(self._recording) == 1:
            self._stem = stem_of(shown)

    def _break_off(self, error: OSError) -> None:
        """The disk took no more: list what it took, so that it can still be made into a file."""
        assert self._recording is not None
        recording, self._recording = self._recording, None
        self._listen_no_more()
        folder, kept = recording.folder, ""
        with contextlib.suppress(OSError, ValueError):
            suffix = ".mp4" if self._kind == "video" else ""
            recording.finish(time.perf_counter(), self._kind, free_path(self._folder, self._stem, suffix))
            kept = f" What was recorded before ({len(recording)}) is there, with its list."
        self.failed = True
        self.sentence = f"Recording stopped, because {folder} cannot be written to: {error.strerror or error}.{kept}"

    def _end_with_live(self) -> None:
        """Live was stopped: there will be no more pictures."""
        if not live.is_running():
            with contextlib.suppress(KeepError):  # said in the panel
                self.stop()

    def _listen_no_more(self) -> None:
        for callbacks, callback in ((live.on_picture, self._add), (live.on_beat, self._end_with_live)):
            if callback in callbacks:
                callbacks.remove(callback)

    def _look(self) -> float | None:
        return None if self.poll() else LOOK_SECONDS

    def _fail(self, sentence: str) -> None:
        self.failed, self.sentence = True, sentence
        raise KeepError(sentence) from None


def command(told: Path) -> list[str]:
    """What makes a recording into its file: this Blender, without a window; or Python, where Blender is its module."""
    if not bpy.app.binary_path:
        return [sys.executable, str(ENCODE), str(told)]
    options = ["--background", "--factory-startup", "--python-exit-code", "1"]
    return [bpy.app.binary_path, *options, "--python", str(ENCODE), "--", str(told)]


recorder = Recorder()
