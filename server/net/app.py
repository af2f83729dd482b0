"""The ASGI app: the WebSocket and the HTTP routes. FastAPI; no torch, no sockets of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Literal

from fastapi import APIRouter, FastAPI, Response, Security, WebSocket
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from pydantic import BaseModel

from addon.version import VERSION
from addon.wire import Status

from ..catalogue import Catalogue
from ..config import Config
from ..engine import ModelSpec
from ..serving.adapters import Adapters
from ..serving.metrics import Metrics
from ..serving.model_in_use import Engine, Load, OnProgress
from ..serving.model_service import ModelService
from ..serving.worker import Worker
from .auth import Guard
from .client_session import ClientSession
from .identity import Identity

MOST_CLIENTS = 64
STOP_SECONDS = 0.4
"""How long the end of the app waits for a frame under way; after that its process ends without it."""


class Health(BaseModel):
    """Whether pictures can be had, and if not, why."""

    state: Literal["loading", "ready", "failed"]
    percent: float
    model: str
    sentence: str
    version: str


class Model(BaseModel):
    """A model that the server can be started with."""

    name: str
    loaded: bool


class ModelList(BaseModel):
    """The model in use, once it is loaded, and those that can be had by ``--model``."""

    loaded: str | None
    available: list[Model]


def load_spec(spec: ModelSpec, config: Config) -> Load:
    """Return what loads the engine of ``spec`` as ``config`` has it."""

    def load(progress: OnProgress) -> Engine:
        progress(0.0, "The engine is being started.")
        from ..engine import StableDiffusionLcm  # here, as importing torch takes seconds

        return StableDiffusionLcm.load(spec, config.device, progress, compiled=config.compile)

    return load


def create_app(config: Config, token: str, load: Load) -> FastAPI:
    """Return the app for ``config``, guarded by ``token``; it loads its engine by ``load`` when it starts.

    ``app.state.worker`` is its :class:`~server.serving.worker.Worker`. ``app.state.cut`` may be set by what serves it:
    called with host and port of a client, it ends that connection at once, unsent bytes or not. So may
    ``app.state.trust``: called in the same way, it takes note that the client knows the token; and
    ``app.state.holds``, called with what and how many bytes besides, that so much is held for it.
    """
    metrics = Metrics()
    sessions: set[ClientSession] = set()
    loops: list[asyncio.AbstractEventLoop] = []

    def broadcast(_: Status) -> None:  # in the worker's thread
        def tell() -> None:  # the status of this moment: one that came in between mustn't be taken back
            for session in sessions:
                session.deliver(worker.status)

        with contextlib.suppress(RuntimeError):  # the loop has been closed: the server is ending
            loops[0].call_soon_threadsafe(tell)

    catalogue = Catalogue(config.models_dir)
    adapters = Adapters(catalogue.lora, catalogue.embeddings)
    worker = Worker(load, config.model, metrics, broadcast, config.idle_release, adapters, config.batch)
    metrics.compiling.set_function(lambda: worker.compiling)
    model_service = ModelService(catalogue, worker, lambda spec: load_spec(spec, config))

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        loops.append(asyncio.get_running_loop())
        worker.start()
        try:
            yield
        finally:
            await model_service.close()
            await asyncio.to_thread(worker.stop, STOP_SECONDS)

    # no pages of documentation: they would fetch scripts from elsewhere; /openapi.json is there for any viewer
    app = FastAPI(title="Draftglass", version=VERSION, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.worker = worker
    app.state.cut = app.state.trust = lambda client: None
    app.state.holds = lambda client, what, count: None
    app.add_middleware(
        Guard,
        token=token,
        allow_origins=config.allow_origins,
        allow_hosts=(config.host, *config.allow_hosts),
        on_refused=metrics.refuse,
        on_trusted=lambda scope: app.state.trust(scope["client"]),
    )
    # the guard has checked the token already; this tells readers of openapi.json how to send it
    routes = APIRouter(dependencies=[Security(HTTPBearer(auto_error=False))])

    @routes.get("/health", responses={503: {"model": Health, "description": "The model could not be loaded"}})
    async def health(response: Response) -> Health:
        status = worker.status
        if status.state == "failed":
            response.status_code = 503
        return Health(
            state=status.state,
            percent=status.percent,
            model=status.model,
            sentence=status.sentence,
            version=VERSION,
        )

    @routes.get("/models")
    def models() -> ModelList:  # in a thread: it looks at files
        loaded = worker.status.model if worker.status.state == "ready" else None
        names = [entry.name for entry in catalogue.entries() if entry.kind == "model" and entry.installed]
        if config.model not in names:
            names.append(config.model)
        return ModelList(
            loaded=loaded,
            available=[Model(name=name, loaded=loaded is not None and name == worker.model) for name in names],
        )

    @routes.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def prometheus() -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.websocket("/live")
    async def live(socket: WebSocket) -> None:
        name = f"draftglass-server {VERSION}"
        if len(sessions) >= MOST_CLIENTS:
            words = f"{len(sessions)} clients are connected, and the server takes no more: end one of them"
            await socket.send_denial_response(JSONResponse({"detail": words}, 503))
            return
        identity = Identity(socket.scope, token)
        session = ClientSession(socket, worker, metrics, name, model_service, identity)
        session.holds = lambda what, count: app.state.holds(socket.client, what, count)
        session.on_trusted, session.cut = (lambda: app.state.trust(socket.client)), lambda: app.state.cut(socket.client)
        try:
            with metrics.clients.track_inprogress():
                await session.run(lambda: sessions.add(session))
        finally:
            sessions.discard(session)

    @app.websocket("/{path:path}")
    async def nowhere(socket: WebSocket, path: str) -> None:  # Starlette's own answer, 403, reads like a wrong token
        await socket.send_denial_response(JSONResponse({"detail": f"there is no {path[:200]!r} here"}, 404))

    app.include_router(routes)
    return app
