"""`/v1/models`, `/health`, `/ready`, `/metrics`."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from openai.types import Model
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from soritune.serving.served import ServedModel
from soritune.serving.state import State

router = APIRouter()


class ModelList(BaseModel):
    """OpenAI's list of models; its package has no type for the list itself."""

    object: str = "list"
    data: list[Model]


def _record(model: ServedModel) -> Model:
    return Model(id=model.name, created=model.created, object="model", owned_by="soritune")


def _works(model: ServedModel) -> bool:
    return model.ready


@router.get("/v1/models", tags=["models"])
async def models(request: Request) -> ModelList:
    """List the models: the base first, then the adapters."""
    state: State = request.app.state.serving
    return ModelList(data=[_record(model) for model in state.models.by_name.values()])


@router.get("/v1/models/{name:path}", tags=["models"])
async def model(request: Request, name: str) -> Model:
    """Return one model."""
    state: State = request.app.state.serving
    return _record(state.models.find(name))


@router.get("/health", tags=["server"])
async def health() -> dict[str, str]:
    """Return at once while the process lives."""
    return {"status": "ok"}


@router.get(
    "/ready",
    tags=["server"],
    responses={503: {"description": "a model does not work, or the server stops"}},
)
async def ready(request: Request) -> JSONResponse:
    """Say whether requests are answered."""
    state: State = request.app.state.serving
    if state.stopping.is_set():
        return JSONResponse({"status": "stopping"}, 503)
    models = list(state.models.by_name.values())
    work = await asyncio.gather(*(asyncio.to_thread(_works, model) for model in models))
    failed = [model.name for model, works in zip(models, work, strict=True) if not works]
    if failed:
        return JSONResponse({"status": "failed", "models": failed}, 503)
    return JSONResponse({"status": "ready"})


@router.get("/metrics", tags=["server"], response_class=Response)
async def metrics(request: Request) -> Response:
    """Return counters for Prometheus."""
    state: State = request.app.state.serving
    state.metrics.busy.set(state.workers.busy)
    state.metrics.waiting.set(sum(model.waiting for model in state.models.by_name.values()))
    state.metrics.sessions.set(state.sessions)
    return Response(state.metrics.text(), media_type=CONTENT_TYPE_LATEST)
