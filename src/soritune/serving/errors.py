"""Errors in OpenAI's form, `{"error": {"message", "type", "param", "code"}}`, for every status."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from soritune.audio import AudioError
from soritune.errors import UserError

log = logging.getLogger("soritune.serving")

INVALID = "invalid_request_error"
OF_SERVER = "server_error"


class ApiError(Exception):
    """A request that cannot be answered, as the client is told."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code
        self.retry_after_s = retry_after_s

    @property
    def body(self) -> dict[str, Any]:
        """The JSON body."""
        return error_body(self.status, self.message, self.param, self.code)

    @property
    def headers(self) -> dict[str, str]:
        """Headers that belong to the status."""
        if self.retry_after_s is None:
            return {}
        return {"Retry-After": str(self.retry_after_s)}

    def response(self) -> JSONResponse:
        """Return the whole answer."""
        return JSONResponse(self.body, self.status, headers=self.headers)


def error_body(status: int, message: str, param: str | None, code: str | None) -> dict[str, Any]:
    """Return OpenAI's error object."""
    kind = OF_SERVER if status >= 500 else INVALID
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def as_api_error(error: Exception) -> ApiError:
    """Return what a client is told of an exception; nothing of our insides is in it."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, AudioError):
        status = 413 if error.reason == "too-long" else 400
        code = f"audio_{error.reason.replace('-', '_')}"
        return ApiError(status, str(error), param="file", code=code)
    if isinstance(error, UserError):
        return ApiError(400, str(error), code="invalid_request")
    log.error("unexpected error", exc_info=error)
    # 503 is the one status by which clients and load balancers try again elsewhere.
    return ApiError(503, "the server could not answer this request", code="internal")


def add_error_handlers(app: FastAPI) -> None:
    """Let every error of an app have OpenAI's form."""

    async def known(_: Request, error: Exception) -> JSONResponse:
        return as_api_error(error).response()

    async def invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return _of_validation(error.errors()).response()

    async def of_http(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        # FastAPI makes a 400 of whatever is raised while a body is read.
        if isinstance(error.__cause__, ApiError):
            return error.__cause__.response()
        body = error_body(error.status_code, str(error.detail), None, None)
        return JSONResponse(body, error.status_code, headers=dict(error.headers or {}))

    for kind in (ApiError, UserError, Exception):
        app.add_exception_handler(kind, known)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, of_http)


def _of_validation(problems: Sequence[Mapping[str, Any]]) -> ApiError:
    first = problems[0]
    param = next((str(part) for part in first["loc"][1:] if isinstance(part, str)), None)
    if first["type"] == "missing":
        return ApiError(400, f"{param}: is missing", param=param, code="missing_parameter")
    return ApiError(400, f"{param}: {first['msg']}", param=param, code="invalid_value")
