"""The OpenAPI description, with errors as they are, and its page, which asks no other host."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from starlette.responses import FileResponse, HTMLResponse
from swagger_ui_bundle import swagger_ui_path

from soritune.serving.errors import ApiError

router = APIRouter(include_in_schema=False)

PARTS = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}
STATUSES = {
    "400": "what is wrong with the request",
    "401": "no key, or an unknown one",
    "404": "no such model",
    "408": "the upload stalled",
    "413": "too many bytes or seconds",
    "503": "the server is full or stops; Retry-After says when to try again",
}


class Problem(BaseModel):
    """OpenAI's error object."""

    message: str
    type: str
    param: str | None
    code: str | None


class Error(BaseModel):
    """Body of every answer that is not a success."""

    error: Problem


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the description; FastAPI's own 422 is answered as 400 here."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        parts = schema.setdefault("components", {}).setdefault("schemas", {})
        for name in ("HTTPValidationError", "ValidationError"):
            parts.pop(name, None)
        for name, part in parts.items():
            if name.startswith("Body_"):
                _without_null(part["properties"])
        found = Error.model_json_schema(ref_template="#/components/schemas/{model}")
        parts.update(found.pop("$defs"))
        parts["Error"] = found
        content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
        for path, operations in schema["paths"].items():
            for operation in operations.values():
                answers = operation["responses"]
                answers.pop("422", None)
                if path.startswith("/v1/"):
                    for status, words in STATUSES.items():
                        answers[status] = {"description": words, "content": content}
        app.openapi_schema = schema
    return app.openapi_schema


def _without_null(fields: dict[str, Any]) -> None:
    """Leave out, from a form's fields, a null that no form can send."""
    for field in fields.values():
        kinds = [kind for kind in field.pop("anyOf", ()) if kind != {"type": "null"}]
        if kinds:
            field.update(*kinds)


@router.get("/docs")
async def docs() -> HTMLResponse:
    """Return the page of the description."""
    return get_swagger_ui_html(
        openapi_url="/openapi.json",
        title="soritune",
        swagger_js_url="/docs/swagger-ui-bundle.js",
        swagger_css_url="/docs/swagger-ui.css",
        swagger_favicon_url="/page/icon.svg",
    )


@router.get("/docs/{name}")
async def part(name: str) -> FileResponse:
    """Return one of the page's files."""
    if name not in PARTS:
        raise ApiError(404, "there is no such file", code="not_found")
    return FileResponse(str(swagger_ui_path / name), media_type=PARTS[name])
