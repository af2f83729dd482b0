"""The add-on as a test sees it: its state from inside Blender, its picture from the screen. No bpy."""

import time
from pathlib import Path

import numpy

from tests.blender.serving import Server
from tests.blender.window import EXTENSION, Window

PATIENCE_S = 300.0
"""A test machine may be slow and busy; only a failure waits for so long."""
STILL_S = 0.6
"""The view at rest gets its settle frame after half of that, and whatever else is due is asked for at once."""
BEGIN = f"""
import importlib
live = importlib.import_module("{EXTENSION}.addon.blender.live.switch")
settings = bpy.context.scene.draftglass
settings.settle_size = 0
preferences = bpy.context.preferences.addons["{EXTENSION}"].preferences
import time
_still = [None, 0.0, 0]  # what a heartbeat saw last, since when it is so, and heartbeats since it has been so for long
def _look():
    stats, now = live.stats(), time.perf_counter()
    seen = [stats.get(name) for name in ("frames_sent", "pictures_shown", "pictures", "dropped", "failures", "ignored")]
    if seen != _still[0] or live.is_running() and live.session().moving:
        _still[:] = [seen, now, 0]
    elif now - _still[1] > {STILL_S}:
        _still[2] += 1
live.on_beat.append(_look)
"""


class Live:
    """Drives one session of the add-on in a window and keeps numbered pictures of it in a folder."""

    def __init__(self, window: Window, shots: Path) -> None:
        self.window = window
        self._shots = shots
        self._count = 0
        window.run(BEGIN)

    def connect_to(self, server: Server) -> None:
        """Name the server in the add-on's preferences."""
        self.window.run(f"preferences.server_url = {server.url!r}\npreferences.token_file = {str(server.token_file)!r}")

    def stats(self) -> dict:
        """Return the add-on's own statistics."""
        return self.window.run("live.stats()")

    def wait_for(self, what: str, condition, patience_s: float = PATIENCE_S) -> dict:
        """Wait until ``condition(stats)`` holds, and return those statistics."""
        patience_s = max(patience_s, PATIENCE_S)
        until = time.monotonic() + patience_s
        while not condition(stats := self.stats()):
            if time.monotonic() > until:
                self.shot("waited for " + what)
                raise AssertionError(f"{what}: not within {patience_s:.0f} s; {stats}")
            time.sleep(0.1)
        return stats

    def rest(self, answers: bool = True, quiet_s: float = STILL_S, patience_s: float = PATIENCE_S) -> dict:
        """Wait until every frame has its answer, and heartbeats saw nothing sent, shown or moving for ``quiet_s``.

        Heartbeats from now on, by Blender's clock: where Blender is slow, what is due comes late.
        Without ``answers``, for when a server died with frames, those are not waited for.
        """
        until = time.monotonic() + patience_s
        self.window.run("_still[:] = [None, time.perf_counter(), 0]")
        while time.monotonic() < until:
            stats, beats, quiet = self.window.run("[live.stats(), _still[2], time.perf_counter() - _still[1]]")
            answered = sum(stats[name] for name in ("pictures", "dropped", "failures", "ignored"))
            if beats > 2 and quiet > quiet_s and (stats["frames_sent"] <= answered or not answers):
                return stats
            time.sleep(0.05)
        raise AssertionError(f"frames did not come to rest within {patience_s:.0f} s; {stats}")

    def shot(self, name: str) -> numpy.ndarray:
        """Return a picture of the screen and keep it."""
        self._count += 1
        return self.window.screen.shot(self._shots / f"{self._count:02d} {name}.png")

    def area(self, kind: str, name: str) -> numpy.ndarray:
        """Return what the screen shows in the middle of an area, half as wide and high as it is."""
        rectangle = self.window.rectangle(kind)
        assert rectangle is not None, f"no {kind} is open"
        left, top, width, height = rectangle
        picture = self.shot(name)
        return picture[top + height // 4 : top + 3 * height // 4, left + width // 4 : left + 3 * width // 4]

    def picture(self, name: str) -> numpy.ndarray:
        """Return the middle of the Image Editor."""
        return self.area("IMAGE_EDITOR", name)

    def orbit(self, by: tuple[int, int] = (140, 30), tries: int = 3) -> None:
        """Orbit the 3D View by a real drag of the mouse; Blender may miss one."""
        look = "[round(x, 5) for row in bpy.context.space_data.region_3d.view_matrix for x in row]"
        before = self.window.run(look)
        left, top, width, height = self.window.rectangle("VIEW_3D")
        for _ in range(tries):
            self.window.screen.drag((left + width // 2, top + height // 2), by)
            self.window.catch_up()
            if self.window.run(look) != before:
                return
        raise AssertionError(f"the mouse did not orbit the view in {tries} tries")


def difference(a: numpy.ndarray, b: numpy.ndarray) -> float:
    """Return how far two pictures are apart: the mean over all their values, 0 to 255."""
    return float(numpy.abs(a.astype(int) - b.astype(int)).mean()) if a.shape == b.shape else 255.0


def commonest(picture: numpy.ndarray) -> tuple[int, ...]:
    """Return the colour that most pixels of a picture have."""
    colours, counts = numpy.unique(picture.reshape(-1, 3), axis=0, return_counts=True)
    return tuple(int(value) for value in colours[counts.argmax()])
