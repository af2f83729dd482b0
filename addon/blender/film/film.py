"""One film being made: frame after frame through a server, then a video of them. Imports bpy.

Nothing here waits: whoever makes a film calls :meth:`Film.beat` from a timer until it has ended.
"""

from __future__ import annotations

import dataclasses
import subprocess
import time
from collections import deque
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ...keeping import make_png, slug
from ...live import Address, LiveLoop, Want, build_request
from ...live.requests import planes_read
from ...live.shown import Origin, ShownPicture
from ...problems import LiveState, Problem
from ...problems.errors import ProblemError
from ...problems.viewport import BadSettings, FilmNotEncoded, FilmNotWritten, FilmWithoutCamera, NoViewport
from ...problems.words import sentence
from ...version import VERSION
from ...wire import Picture, ProtocolError, Request
from ..capture.cuts import camera_at, cuts
from ..capture.drafts import CANNOT_CAPTURE, why_not_captured
from ..capture.jobs import is_drawing
from ..capture.offscreen import Capturer, ensure_gpu
from ..capture.origin import dump, origin_of
from ..capture.viewports import Followed, Viewport
from ..pictures.keep import keep_folder, recipe_of
from ..properties import style_of
from ..server.process import ManagedServer
from .files import FORMAT, FilmFiles, folder_for
from .shot import film_size, view_through


class FilmState(Enum):
    """How far a film is."""

    BEGINNING = "beginning"
    """The server comes up, or loads its model."""
    FRAMES = "frames"
    ENCODING = "encoding"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


ENDED = frozenset({FilmState.DONE, FilmState.CANCELLED, FilmState.FAILED})


class Film:
    """The film of the scene's frame range that a 3D View's window shows, under the scene's settings."""

    def __init__(
        self,
        followed: Followed,
        address: Callable[[], Address | None],
        process: ManagedServer | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """``address``: the server's, None while it comes up; ``process``: where it is one of our own, to be ended.

        Raises ProblemError where no film can be made of this.
        """
        self.state, self.problem, self.result = FilmState.BEGINNING, None, Path()
        self._followed, self._address, self._process, self._clock = followed, address, process, clock
        viewport = self._viewport()
        scene = viewport.scene
        chosen = scene.draftglass.film
        self._frames = range(scene.frame_start, scene.frame_end + 1, scene.frame_step)
        self._camera = chosen.view == "CAMERA" or viewport.view.view_perspective == "CAMERA"
        if self._camera and not all(camera_at(scene, frame) for frame in self._frames[:1]):
            raise ProblemError(FilmWithoutCamera(scene.name))
        self.size = film_size(viewport, self._camera)
        try:
            style = style_of(scene.draftglass, self.size)
            self._style = dataclasses.replace(
                style, steps=max(style.steps, scene.draftglass.settle_steps), steady=chosen.steady
            )
        except (ProtocolError, ValueError) as error:  # a text that Blender has cut within a letter is one, too
            raise ProblemError(BadSettings(str(error))) from None
        self._home, self._before = keep_folder(scene), scene.frame_current
        self._cuts = cuts(scene, self._frames) if self._camera else set()
        self._fps = scene.render.fps / scene.render.fps_base
        self._settings = self._written_down(viewport)
        self._makes_video, self._goes_on, self._name = chosen.makes == "VIDEO", chosen.goes_on, chosen.title
        self._loop: LiveLoop | None = None
        self._files: FilmFiles | None = None
        self._capturer = Capturer(patient=True)
        self._todo: deque[int] = deque()
        self._asked: tuple[int, Request, Origin] | None = None
        self._made, self._began = 0, clock()
        self._encoder: tuple[subprocess.Popen[bytes], Path] | None = None

    @property
    def total(self) -> int:
        """Frames of the whole film."""
        return len(self._frames)

    @property
    def done(self) -> int:
        """Frames that are there."""
        return 0 if self.state is FilmState.BEGINNING else self.total - len(self._todo)

    @property
    def seconds_left(self) -> float | None:
        """For the frames that are missing, by those made so far; None before there is one."""
        return (self._clock() - self._began) / self._made * len(self._todo) if self._made else None

    @property
    def sentence(self) -> str:
        """How it stands."""
        if self.state is FilmState.FAILED:
            assert self.problem is not None
            return sentence(self.problem)
        if self.state is FilmState.ENCODING:
            return f"All {self.total} frames are there; making the video."
        if self.state is FilmState.DONE:
            return f"The film is done: {self.result}."
        if self.state is FilmState.CANCELLED:
            return f"Cancelled: {self.done} of {self.total} frames are in {self.result}; render again to go on."
        if self.state is FilmState.BEGINNING or (self._loop is not None and self._loop.state is not LiveState.LIVE):
            return "Starting the server." if self._loop is None else sentence(self._loop.report)
        left = self.seconds_left
        return f"Frame {self.done + 1} of {self.total}" + ("." if left is None else f", {duration(left)} left.")

    def beat(self) -> FilmState:
        """Do what is due now, and return how far the film is."""
        if self.state in ENDED:
            return self.state
        try:
            self._encode() if self.state is FilmState.ENCODING else self._paint()
        except ProblemError as error:
            self._fail(error.problem)
        except CANNOT_CAPTURE as error:
            self._fail(why_not_captured(error))
        except OSError as error:
            folder = self._files.folder if self._files is not None else self._home
            self._fail(FilmNotWritten(str(folder), error.strerror or str(error)))
        return self.state

    def cancel(self) -> None:
        """End; the frames made so far stay, and the same film goes on with them."""
        if self.state not in ENDED:
            self._end(FilmState.CANCELLED)

    def _paint(self) -> None:
        address = self._address()
        if self._process is not None and self._process.has_failed:
            assert self._process.problem is not None
            raise ProblemError(self._process.problem)
        if self._loop is None:
            if address is None:
                return
            client = f"draftglass-film {VERSION}, Blender {bpy.app.version_string}"
            self._loop = LiveLoop(address, client, settle=False)
        loop = self._loop
        if address is not None:
            loop.address = address
        loop.absent = address is None
        # each frame is a view of its own, one that is sent again too
        key = loop.statistics.frames_sent if self._todo else None
        want = loop.poll(key, can_capture=self._asked is None and not is_drawing())
        if self._process is not None:
            self._process.watch(loop.unanswered > 0, loop.state is LiveState.LOADING)
        if loop.statistics.failures and loop.last_failure is not None:
            raise ProblemError(loop.last_failure)
        if loop.state is LiveState.FAILED and loop.problem is not None:
            raise ProblemError(loop.problem)
        picture = loop.take_picture()
        if picture is not None and self._asked is not None and picture.id == self._asked[1].frame.id:
            self._take(picture, loop)
        elif self._asked is not None and self._asked[1].frame.id not in loop.under_way:
            self._asked = None  # dropped, or lost with the connection
        if self._files is None:
            if loop.state is LiveState.LIVE:
                self._open(loop.model)
        elif want is not None:
            self._shoot(want, loop)
        elif not self._todo:
            self._finish()

    def _open(self, model: str) -> None:
        """Find the folder, and what is there already."""
        self._settings["model"] = model
        self.result = folder_for(self._home, slug(self._name, "film"), self._settings, self._goes_on)
        self._files = FilmFiles(self.result, self._settings)
        self._todo = deque(self._files.missing(self._frames))
        self.state, self._began = FilmState.FRAMES, self._clock()

    def _shoot(self, want: Want, loop: LiveLoop) -> None:
        frame, viewport = self._todo[0], self._viewport()
        if viewport.scene.frame_current != frame:
            viewport.scene.frame_set(frame)
        viewport.view_layer.update()
        ensure_gpu()
        planes = planes_read(self._style)
        view = view_through(viewport, self._camera)
        ids, depth = "ids" in planes, "inverse_depth" in planes
        draft = self._capturer.draw(view, *self.size, depth or ids, ids)
        # One after the other: each builds on the very one before it, so that the same film comes out again.
        after = None if frame in self._cuts else loop.newest
        request = build_request(want.id, draft, self._style, captured=time.perf_counter(), after=after)
        loop.send(request)
        self._asked = frame, request, origin_of(viewport)

    def _take(self, picture: Picture, loop: LiveLoop) -> None:
        assert self._asked is not None and self._files is not None
        frame, request, origin = self._asked
        self._asked = None
        image = np.array(picture.image)
        shown = ShownPicture(image, request, picture.model, loop.server, time.time(), dict(picture.timings), origin)
        loop.shown()
        self._files.add(frame, make_png(image, recipe_of(shown)))
        self._todo.popleft()
        self._made += 1

    def _finish(self) -> None:
        assert self._files is not None
        if not self._makes_video:
            self._end(FilmState.DONE)
            return
        self._encoder, self.state = self._files.encode(self._frames, self._fps, self.size), FilmState.ENCODING

    def _encode(self) -> None:
        assert self._encoder is not None and self._files is not None
        process, part = self._encoder
        status = process.poll()
        if status is None:
            return
        self._encoder = None
        if status != 0 or not part.is_file():
            raise ProblemError(FilmNotEncoded(str(self._files.folder)))
        self.result = self._files.encoded(part)
        self._end(FilmState.DONE)

    def _fail(self, problem: Problem) -> None:
        self.problem = problem
        self._end(FilmState.FAILED)

    def _end(self, state: FilmState) -> None:
        self.state = state
        if self._loop is not None:
            self._loop.stop()
        if self._process is not None:
            self._process.stop()
        if self._encoder is not None:
            self._encoder[0].kill()
            self._encoder = None
        self._capturer.free()
        viewport = self._followed.find()
        if viewport is not None and viewport.scene.frame_current != self._before:
            viewport.scene.frame_set(self._before)

    def _viewport(self) -> Viewport:
        """The 3D View whose looks the film has. Raises ProblemError."""
        viewport = self._followed.find()
        if viewport is None:
            raise ProblemError(NoViewport())
        return viewport

    def _written_down(self, viewport: Viewport) -> dict[str, Any]:
        """All that makes the same film again, as plain values."""
        scene = viewport.scene
        told: dict[str, Any] = {"perspective": "CAMERA"}
        if not self._camera:
            view = view_through(viewport, False)
            matrices = {"matrix": view.view_matrix, "projection": view.projection_matrix}
            rows = {name: [list(row) for row in matrix] for name, matrix in matrices.items()}
            told = {**origin_of(viewport).view, **rows}
        return {
            "format": FORMAT,
            "made": {"draftglass": VERSION, "blender": bpy.app.version_string},
            "file": bpy.data.filepath,
            "scene": scene.name,
            "view_layer": viewport.view_layer.name,
            "shading": viewport.space.shading.type,
            "frames": [scene.frame_start, scene.frame_end, scene.frame_step],
            "cuts": sorted(self._cuts),
            "fps": self._fps,
            "style": dataclasses.asdict(self._style),
            "view": told,
            "settings": dump(scene.draftglass),
        }


def duration(seconds: float) -> str:
    """``seconds`` as people say them: ``40 s``, ``12 min``, ``3 h 5 min``."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{round(seconds)} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
