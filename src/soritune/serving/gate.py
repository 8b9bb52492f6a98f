"""What stands before every route: request ids, keys, limits on bodies, one log line a request.

A plain ASGI application, since it must look at a body before anything reads it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import re
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress

from h11 import LocalProtocolError
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from soritune.serving.errors import ApiError, as_api_error
from soritune.serving.state import State
from soritune.serving.work import STOPS, TOO_MANY

log = logging.getLogger("soritune.serving")

OPEN_PATHS = frozenset({"/", "/health", "/ready", "/favicon.ico", "/openapi.json"})
"""Need no key: what a load balancer asks, and the page, which asks for the key itself."""
OPEN_PREFIXES = ("/page/", "/docs")
WATCHED_PATHS = frozenset({"/health", "/ready", "/metrics"})
"""Are answered to the end: by them others see that the server stops."""
KEY_PROTOCOL = "openai-insecure-api-key."
"""Prefix of the WebSocket subprotocol by which browsers send a key; they cannot set headers."""
_REQUEST_ID = re.compile(r"[\w.-]{1,100}")


class Gate:
    """Wraps the application."""

    def __init__(self, app: ASGIApp, state: State) -> None:
        self.app = app
        self.state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        request_id = _request_id(headers)
        started = time.monotonic()
        status = 0
        self.state.requests += 1

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = request_id
            # A client that has broken the protocol has been answered and cut off by uvicorn.
            with suppress(LocalProtocolError):
                await send(message)

        try:
            self._check_key(scope["path"], _bearer(headers))
            self._check_room(scope)
            body = _Body(receive, headers, self.state)
            body.check_announced()
            await self.app(scope, body.receive, send_named)
        except Exception as error:
            # starlette raises an unexpected error again after answering it, which would close a
            # connection that other requests use.
            if not status:
                await as_api_error(error).response()(scope, receive, send_named)
        finally:
            self.state.requests -= 1
            seconds = time.monotonic() - started
            path = _route(scope)
            self.state.metrics.requests.labels(path, str(status)).inc()
            self.state.metrics.request_seconds.labels(path).observe(seconds)
            log.info("%s %s %d %.3f s %s", scope["method"], path, status, seconds, request_id)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        key = _bearer(headers) or next(
            (
                protocol.removeprefix(KEY_PROTOCOL)
                for protocol in scope.get("subprotocols", ())
                if protocol.startswith(KEY_PROTOCOL)
            ),
            None,
        )
        try:
            self._check_key(scope["path"], key)
        except ApiError as error:
            await error.response()(scope, receive, send)  # in place of the upgrade
            return
        await self.app(scope, receive, send)

    def _check_room(self, scope: Scope) -> None:
        """Refuse, before an upload is kept, what cannot be worked on. Raises ApiError."""
        if self.state.stopping.is_set() and scope["path"] not in WATCHED_PATHS:
            raise self.state.workers.refusal(STOPS)
        # What does not send a body is answered at once, and does not wait for a place.
        if scope["method"] == "POST" and self.state.requests > self.state.settings.max_requests:
            raise self.state.workers.refusal(TOO_MANY)

    def _check_key(self, path: str, key: str | None) -> None:
        keys = self.state.settings.api_keys
        if not keys or path in OPEN_PATHS or path.startswith(OPEN_PREFIXES):
            return
        if key is None or not is_known(key, keys):
            what = "no API key was given" if key is None else "the API key is not known"
            raise ApiError(
                401, f"{what}; send it as Authorization: Bearer KEY", code="invalid_api_key"
            )


def is_known(key: str, keys: Sequence[str]) -> bool:
    """Return whether a key is one of `keys`, in a time that does not depend on which."""
    wanted = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
    found = False
    for each in keys:
        found |= hmac.compare_digest(hashlib.sha256(each.encode()).digest(), wanted)
    return found


class _Body:
    """The body of a request: counted, and given up when it stalls."""

    def __init__(self, receive: Receive, headers: Headers, state: State) -> None:
        self._receive = receive
        self._headers = headers
        self._settings = state.settings
        self._count = 0
        self._whole = False
        self._started = time.monotonic()

    def check_announced(self) -> None:
        """Refuse a body that is announced as too long. Raises ApiError."""
        announced = self._headers.get("content-length", "0")
        if announced.isdigit() and int(announced) > self._settings.max_upload_bytes:
            raise self._too_large()

    async def receive(self) -> Message:
        """Return the next message. Raises ApiError."""
        if self._whole:
            return await self._receive()  # waits for the client to leave
        try:
            message = await asyncio.wait_for(self._receive(), self._patience_s())
        except TimeoutError:
            raise ApiError(408, "the upload stalled", code="upload_timeout") from None
        if message["type"] == "http.request":
            self._count += len(message.get("body", b""))
            if self._count > self._settings.max_upload_bytes:
                raise self._too_large()
            self._whole = not message.get("more_body", False)
        return message

    def _patience_s(self) -> float:
        """Return how long to wait for the next piece: a drop every so often is not an upload."""
        pause_s = self._settings.upload_pause_s
        expected_s = self._count / self._settings.upload_bytes_per_s
        left_s = self._started + pause_s + expected_s - time.monotonic()
        return max(0.0, min(pause_s, left_s))

    def _too_large(self) -> ApiError:
        most = self._settings.max_upload_bytes / (1 << 20)
        return ApiError(
            413,
            f"the request is larger than {most:,.0f} MiB; send a compressed format, or parts",
            param="file",
            code="file_too_large",
        )


def _request_id(headers: Headers) -> str:
    """Return the client's id, where it is harmless in a log, or a new one."""
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else f"req_{uuid.uuid4().hex}"


def _bearer(headers: Headers) -> str | None:
    kind, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if kind.lower() == "bearer" and key.strip() else None


def _route(scope: Scope) -> str:
    """Return the pattern of the route, so that unknown paths do not fill the metrics."""
    route = scope.get("route")
    return str(getattr(route, "path", "unknown"))
