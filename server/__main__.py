"""``python -m server``: arguments in, a running server out. No torch here: the engine imports it while loading."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from addon.problems import Problem
from addon.problems.serving import ModelMissing, OutOfMemory
from addon.problems.words import remedy, sentence
from addon.version import VERSION

from .catalogue import Catalogue
from .config import DEFAULT_PORT, DEVICES, EMBEDDED, Config, default_models_dir, expanded
from .engine import EngineError
from .engine.limits import free_memory
from .net import logs
from .net.token_file import TokenFile, default_token_file
from .serving.worker import Engine, Load

TORCH_TAKES, TORCH_MAPS = 340_000_000, 400_000_000
"""Bytes of memory that PyTorch and the libraries on it take when they are imported, and of address space beside."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, as everything else that is wrong at the start."""
        self.exit(2, f"{self.prog}: {message}\n")


def parse(arguments: Sequence[str] | None) -> tuple[Config, int | None]:
    """Return the configuration and, if it was given, the process to end with."""
    parser = _Parser(
        "python -m server",
        description="Draftglass's server: drafts in, pictures out.",
        epilog="python -m server models: list, pull, remove and verify models",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (%(default)s: this machine only)")
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help="port to listen at (%(default)s); 0 takes a free one"
    )
    parser.add_argument(
        "--model",
        default=EMBEDDED,
        help="a diffusers folder, a .safetensors file, or a name that 'models list' shows (%(default)s)",
    )
    parser.add_argument("--device", default="auto", help=f"{', '.join(DEVICES)}, cuda:1 (%(default)s)")
    parser.add_argument("--token-file", type=Path, default=None, help=f"default: {default_token_file()}")
    parser.add_argument(
        "--allow-origin", action="append", default=[], metavar="ORIGIN", help="a web page's origin that may connect"
    )
    parser.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME", help="a name that others use for this machine"
    )
    parser.add_argument(
        "--exit-with-parent",
        nargs="?",
        type=int,
        const=os.getppid(),
        metavar="PID",
        help="exit when the process that started this one has ended; give its PID to be certain",
    )
    parser.add_argument(
        "--models-dir",
        type=Path,
        default=default_models_dir(),
        help="your own models, or the root of ComfyUI or A1111 (%(default)s)",
    )
    parser.add_argument(
        "--idle-release",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="release the model's memory after this long without a frame; 0, the default, means never",
    )
    parser.add_argument(
        "--batch",
        type=int,
        default=1,
        metavar="N",
        help="compute up to N pictures of different clients in one go: more per second, each one later (%(default)s)",
    )
    parser.add_argument(
        "--compile",
        action="store_true",
        help="on CUDA, have torch.compile make frames faster, minutes after the start",
    )
    parser.add_argument(
        "--log-level",
        choices=logs.LEVELS,
        default="info",
        help="what to log on standard error: at info, each model loaded, each client, each failure (%(default)s)",
    )
    parser.add_argument("--version", action="version", version=VERSION)
    given = parser.parse_args(arguments)
    models_dir = expanded(given.models_dir)
    if models_dir.is_file():
        parser.error(f"--models-dir is {str(given.models_dir)!r}, which is a file: give a folder")
    try:
        config = Config(
            given.host,
            given.port,
            given.model,
            given.device,
            expanded(given.token_file or default_token_file()),
            tuple(given.allow_origin),
            models_dir,
            given.idle_release,
            given.batch,
            given.compile,
            given.log_level,
            tuple(given.allow_host),
        )
        Catalogue(config.models_dir).check(config.model)
    except ValueError as error:
        parser.error(str(error))
    except EngineError as error:
        parser.error(_words_for_the_console(error.problem))
    return config, given.exit_with_parent


def _words_for_the_console(problem: Problem) -> str:
    if isinstance(problem, ModelMissing):  # here it may be a path, too
        return (
            f"model is {problem.model!r}, but there is neither such a path nor such a name: choose one of "
            f"{problem.known}, or give a diffusers folder or a .safetensors file"
        )
    return f"{sentence(problem)} {remedy(problem)}"


def load_from(config: Config) -> Load:
    """Return what loads the engine that ``config`` names."""

    def load(progress: Callable[[float, str], None]) -> Engine:
        progress(0.0, "The engine is being started.")
        _check_memory()
        from .engine.acceleration.priority import give_way, wait_less

        wait_less()
        from .engine import StableDiffusionLcm  # here, as importing torch takes seconds
        from .engine.devices import choose

        if choose(config.device).device.type == "cpu":
            give_way()
        spec = Catalogue(config.models_dir).find(config.model)
        return StableDiffusionLcm.load(spec, config.device, progress, compiled=config.compile)

    return load


def _check_memory() -> None:
    """Raise EngineError where PyTorch cannot even be imported: that would end in any error, or end the process."""
    free, whose = free_memory(TORCH_MAPS)
    if free < TORCH_TAKES:
        raise EngineError(OutOfMemory("PyTorch", TORCH_TAKES, free, whose))


def main(arguments: Sequence[str] | None = None, load: Load | None = None) -> int:
    """Serve until told to end; return the exit status. ``load`` stands in for the configured engine."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments[:1] == ["models"]:
        from .catalogue.command import main as models

        return models(arguments[1:])
    config, parent = parse(arguments)
    logs.configure(config.log_level)
    from .net.app import create_app
    from .net.process import Process, bind

    try:
        listener = bind(config.host, config.port)
        token_file = TokenFile(config.token_file)
    except OSError as error:
        print(f"python -m server: {error}", file=sys.stderr)
        return 2
    process = Process(create_app(config, token_file.token, load or load_from(config)), token_file.remove)
    process.catch_signals()
    if parent is not None:
        process.end_with_parent(parent)
    if not config.is_loopback:
        print(
            f"python -m server: warning: {config.host} can be reached from other machines; whoever has the token may "
            "connect, and nothing is encrypted",
            file=sys.stderr,
        )
    port = listener.getsockname()[1]
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.host, config.host)
    process.announce(
        sys.stdout,
        host=config.host,
        port=port,
        url=f"ws://{f'[{reachable}]' if ':' in reachable else reachable}:{port}/live",
        token_file=str(token_file.path),
        pid=os.getpid(),
        version=VERSION,
    )
    try:
        with contextlib.redirect_stdout(sys.stderr):  # whatever a library prints: standard output has just the line
            process.run(sockets=[listener])
    finally:
        token_file.remove()
    return 0


if __name__ == "__main__":
    from .net.process import end

    end(main())
