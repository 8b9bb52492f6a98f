"""The application: routes, what stands before them, start and stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from fastapi import FastAPI

from soritune import __version__
from soritune.serving import description, general, page, realtime, transcriptions
from soritune.serving.errors import add_error_handlers
from soritune.serving.gate import Gate
from soritune.serving.metrics import Metrics
from soritune.serving.served import ServedModel, ServedModels
from soritune.serving.settings import ServerSettings
from soritune.serving.state import State
from soritune.serving.work import Workers

CLOSE_S = 3.0
"""For a model to end what nobody waits for any more, at its next token."""


def make_app(
    settings: ServerSettings, make_models: Callable[[Metrics], Sequence[ServedModel]]
) -> Gate:
    """Return the server's application.

    Args:
        make_models: loads the models; called here, so that a bad folder ends the start.
    """
    metrics = Metrics()
    state = State(settings, ServedModels(make_models(metrics)), Workers(settings), metrics)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        state.workers.close()
        models = state.models.by_name.values()
        await asyncio.gather(*(asyncio.to_thread(model.close, CLOSE_S) for model in models))

    app = FastAPI(
        title="soritune",
        version=__version__,
        description="Speech to text with OpenAI's audio API, on one machine.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.openapi = lambda: description.describe(app)  # type: ignore[method-assign]
    app.state.serving = state
    for router in (general.router, transcriptions.router, realtime.router, description.router):
        app.include_router(router)
    if settings.page:
        app.include_router(page.router)
    add_error_handlers(app)
    return Gate(app, state)
