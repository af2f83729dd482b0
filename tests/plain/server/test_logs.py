"""What the server logs: a line for each model, client and failure, and no flood. Over real sockets, in this process."""

from __future__ import annotations

import logging

import pytest

from addon.problems.serving import OutOfMemory
from addon.wire import Failure, Hello, Picture, Request, pack
from server.config import Config
from server.engine import EngineError, StableDiffusionLcm
from server.net.logs import LEVELS, REPEAT_SECONDS, NoRepeats
from tests.plain.server.engines import EngineOutput, Lent, OnStep
from tests.plain.server.rig import make_request, serving, wait_for


class Short(Lent):
    """Has too little memory for odd frames."""

    def render(self, request: Request, on_step: OnStep = None) -> EngineOutput:
        if request.frame.id % 2:
            raise EngineError(OutOfMemory("a picture of 64 x 64"))
        return super().render(request, on_step)


def test_a_line_for_the_model_each_client_and_each_failure(
    engine: StableDiffusionLcm, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "server")
    with serving(Short(engine).load) as (address, _), address.client() as client:
        client.send(make_request(2))
        client.until(Picture)
        client.send(make_request(3))
        client.until(Failure)
        with address.connect() as other:
            other.send(pack(Hello(client="an odd\nclient")))
            wait_for(lambda: "an odd client" in caplog.text)
    lines = [(record.levelname, record.getMessage()) for record in caplog.records if record.name.startswith("server")]
    assert lines[0] == ("INFO", f"the model {engine.name} is loaded")
    assert [level for level, text in lines if "client" in text] == ["INFO", "INFO"]
    assert [(level, text) for level, text in lines if "picture" in text] == [
        ("ERROR", "a frame has no picture: There is too little memory for a picture of 64 x 64: use a smaller size, "
        "close other programs or run the server with --device cpu.")
    ]  # fmt: skip
    assert all("\n" not in text for _, text in lines)


def test_the_same_line_again_and_again_is_left_out() -> None:
    now = 0.0
    quiet = NoRepeats(lambda: now)

    def passes(text: str) -> bool:
        return quiet.filter(logging.LogRecord("server", logging.ERROR, "", 0, text, (), None))

    assert passes("it broke")
    assert not any(passes("it broke") for _ in range(1000))
    assert passes("something else") and passes("it broke")
    now = REPEAT_SECONDS
    assert passes("it broke")


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_is_one_of_loggings(level: str) -> None:
    assert Config(log_level=level).log_level == level and isinstance(logging.getLevelName(level.upper()), int)
