"""What the server counts, for Prometheus. prometheus_client only."""

from __future__ import annotations

import statistics
import threading
from collections import deque
from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

STAGES = ("queue", "engine", "upload", "text", "recall", "encode", "depth", "unet", "step", "decode", "download")
"""What the server measures."""
TOLD = ("capture", "wire", "reply", "display")
"""What only a client can measure; it tells when it shows the picture."""
_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
MOST_STEPS = 50
"""Steps that the protocol allows, and so names of stages that are kept at most beside those above."""
RECENT = 500
"""Frames over which medians are taken."""


class Recent(Collector):
    """Median and 95th percentile of each stage over the last :data:`RECENT` frames, taken when somebody asks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds: dict[str, deque[float]] = {}

    def add(self, stage: str, seconds: float) -> None:
        """Note one value of ``stage``. From any thread."""
        with self._lock:
            if stage not in self._seconds:
                self._seconds[stage] = deque(maxlen=RECENT)
            self._seconds[stage].append(seconds)

    def collect(self) -> Iterator[Metric]:
        words = f"Time by stage over the last {RECENT} frames: median and 95th percentile"
        family = GaugeMetricFamily("draftglass_stage_recent_seconds", words, labels=["stage", "quantile"])
        with self._lock:
            known = {stage: list(values) for stage, values in self._seconds.items()}
        for stage, values in known.items():
            shares = statistics.quantiles(values, n=20, method="inclusive") if len(values) > 1 else values * 19
            family.add_metric([stage, "0.5"], shares[9])
            family.add_metric([stage, "0.95"], shares[18])
        yield family


class Metrics:
    """The counters of one server, in a registry of its own, so that two servers in a process don't mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.frames = Counter("draftglass_frames", "Requests received", registry=self.registry)
        self.pictures = Counter("draftglass_pictures", "Pictures made for a client", registry=self.registry)
        self.dropped = Counter(
            "draftglass_dropped", "Requests and pictures whose place a newer one took", registry=self.registry
        )
        self.abandoned = Counter(
            "draftglass_abandoned", "Requests whose client left before they were done", registry=self.registry
        )
        self.failures = Counter("draftglass_failures", "Failures sent, by code", ["code"], registry=self.registry)
        self.refused = Counter(
            "draftglass_refused", "Connections and calls refused, by HTTP status", ["status"], registry=self.registry
        )
        self.clients = Gauge("draftglass_clients", "Clients connected", registry=self.registry)
        self.loaded = Gauge("draftglass_model_loaded_ratio", "How much of the model is loaded", registry=self.registry)
        self.compiling = Gauge(
            "draftglass_compiling",
            "1 while frames are served that will be faster once compiled",
            registry=self.registry,
        )
        self.history = Gauge(
            "draftglass_history_bytes", "Kept pictures of all clients, for steady ones", registry=self.registry
        )
        self.stages = Histogram(
            "draftglass_stage_seconds", "Time by stage", ["stage"], buckets=_SECONDS, registry=self.registry
        )
        self.recent = Recent()
        self.registry.register(self.recent)

    def observe(self, timings: Mapping[str, float]) -> None:
        """Count one picture's ``timings``: milliseconds by stage, of each step too. Unknown stages are left out."""
        for name, milliseconds in timings.items():
            stage, _, number = name.partition(" ")  # "step 1", "step 2", ...
            if stage in STAGES and (not number or (number.isdecimal() and int(number) <= MOST_STEPS)):
                self._note(stage, name, milliseconds / 1000)

    def observe_told(self, timings: Mapping[str, float]) -> None:
        """Count what a client measured of a frame it has shown. Unknown stages are left out."""
        for stage in TOLD:
            if stage in timings:
                self._note(stage, stage, timings[stage] / 1000)

    def _note(self, stage: str, name: str, seconds: float) -> None:
        self.stages.labels(stage).observe(seconds)
        self.recent.add(name, seconds)

    def refuse(self, status: int) -> None:
        """Count a connection or call refused with the HTTP ``status``."""
        self.refused.labels(str(status)).inc()

    def text(self) -> bytes:
        """All of it, in Prometheus's text format."""
        return generate_latest(self.registry)
