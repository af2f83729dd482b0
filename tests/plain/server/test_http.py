"""Tests of /health, /models, /metrics and /openapi.json over a real socket."""

from __future__ import annotations

import json
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from addon.version import VERSION
from addon.wire import Dropped, Failure, Picture
from server.__main__ import load_from
from server.config import Config
from server.engine import StableDiffusionLcm
from server.serving.metrics import RECENT, Metrics
from tests.plain.server.engines import Held, Lent, Report
from tests.plain.server.rig import Address, make_request, serving, wait_for, wait_ready


def health(address: Address) -> tuple[int, dict[str, object]]:
    status, body = address.get("/health")
    return status, json.loads(body)


def samples(address: Address) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """All samples of /metrics by name and labels, as Prometheus's own parser reads them."""
    families = text_string_to_metric_families(address.get("/metrics")[1])
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def test_health_says_how_far_the_model_is_loaded(engine: StableDiffusionLcm) -> None:
    gate = Held(engine)

    def load(report: Report) -> Lent:
        report(0.426, "reading the unet")
        gate.render(make_request(0))
        return Lent(engine)

    with serving(load) as (address, worker):
        wait_for(lambda: gate.started)
        assert health(address) == (
            200,
            {
                "state": "loading",
                "percent": 43,
                "model": worker.status.model,
                "sentence": "Reading the unet.",
                "version": VERSION,
            },
        )
        assert samples(address)[("draftglass_model_loaded_ratio", ())] == 0.43
        gate.go()
        wait_ready(address)
        status, body = health(address)
        assert (status, body["percent"], body["model"]) == (200, 100, engine.name)


def test_health_says_why_the_real_engine_found_no_model(tmp_path: Path) -> None:
    config = Config(model=str(tmp_path), device="cpu")
    with serving(load_from(config), model=str(tmp_path)) as (address, _):
        wait_for(lambda: health(address)[1]["state"] == "failed")
        status, body = health(address)
        assert status == 503
        assert str(tmp_path) in str(body["sentence"])
        assert json.loads(address.get("/models")[1])["loaded"] is None


def test_the_configured_model_is_loaded_with_its_progress(checkpoint: Path) -> None:
    config = Config(model=str(checkpoint), device="cpu")
    with serving(load_from(config), model=str(checkpoint)) as (address, _):
        wait_ready(address)
        models = json.loads(address.get("/models")[1])
        assert models["loaded"] == health(address)[1]["model"]
        assert models["available"][-1] == {"name": str(checkpoint), "loaded": True}
        with address.client() as client:
            client.send(make_request(1))
            assert client.until(Picture).model == models["loaded"]


def test_metrics_count_frames_drops_failures_clients_and_times(engine: StableDiffusionLcm) -> None:
    held = Held(engine)
    with serving(held.load) as (address, _), address.client() as client:
        client.send(make_request(0))
        wait_for(lambda: held.started)
        for number in (1, 2, 3):
            client.send(make_request(number))
        client.connection.send(b"nonsense")
        assert [client.answer() for _ in range(2)] == [Dropped(1), Dropped(2)]
        client.until(Failure)
        held.go(2)
        assert [client.answer().id, client.answer().id] == [0, 3]
        found = samples(address)
    assert found[("draftglass_frames_total", ())] == 4
    assert found[("draftglass_dropped_total", ())] == 2
    assert found[("draftglass_pictures_total", ())] == 2
    assert found[("draftglass_clients", ())] == 1
    assert sum(value for (name, _), value in found.items() if name == "draftglass_failures_total") == 1
    for stage in ("queue", "engine", "encode", "unet", "decode"):
        labels = (("stage", stage),)
        assert found[("draftglass_stage_seconds_count", labels)] == 2
        assert found[("draftglass_stage_seconds_sum", labels)] > 0
        assert found[("draftglass_stage_seconds_bucket", (("le", "+Inf"), *labels))] == 2
        half, most = (recent(found, stage, quantile) for quantile in ("0.5", "0.95"))
        assert 0 < half <= most
    assert recent(found, "step 1", "0.5") > 0, "of each step too"


def recent(found: dict[tuple[str, tuple[tuple[str, str], ...]], float], stage: str, quantile: str) -> float:
    return found[("draftglass_stage_recent_seconds", (("quantile", quantile), ("stage", stage)))]


def test_medians_are_those_of_the_newest_frames() -> None:
    metrics = Metrics()
    for milliseconds in (5000.0, *range(1, RECENT + 1)):
        metrics.observe({"decode": milliseconds, "step 50": 1.0, "step 51": 1.0, "step x": 1.0, "made up": 1.0})
    text = metrics.text().decode()
    assert 'draftglass_stage_recent_seconds{quantile="0.5",stage="decode"} 0.2505' in text
    assert 'draftglass_stage_recent_seconds{quantile="0.95",stage="decode"} 0.47505' in text
    assert '"step 50"' in text and '"step 51"' not in text and '"step x"' not in text and "made up" not in text


def test_openapi_describes_the_routes_and_the_token(address: Address) -> None:
    described = json.loads(address.get("/openapi.json")[1])
    assert set(described["paths"]) == {"/health", "/models", "/metrics"}
    assert described["info"]["version"] == VERSION
    schemes = described["components"]["securitySchemes"]
    for path in described["paths"].values():
        (used,) = path["get"]["security"]
        assert schemes[next(iter(used))]["scheme"] == "bearer"
    assert set(described["components"]["schemas"]["Health"]["required"]) == {
        "state",
        "percent",
        "model",
        "sentence",
        "version",
    }
