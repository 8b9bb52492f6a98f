"""`/v1/realtime?intent=transcription` and `/v1/realtime/translations`: live over a WebSocket."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from soritune.serving.asked import TRANSLATED_TO
from soritune.serving.errors import INVALID, as_api_error
from soritune.serving.live import LiveSession
from soritune.serving.sessions import SessionSettings
from soritune.serving.state import State

router = APIRouter()

PROTOCOL = "realtime"
TRY_AGAIN = 1013
RESTARTS = 1012
INVALID_DATA = 1008
IDLE_S = 120.0
"""A connection without an event for so long is closed."""


@router.websocket("/v1/realtime")
async def transcription(socket: WebSocket, model: str | None = None) -> None:
    """Transcribe live."""
    await _serve(socket, SessionSettings(model=model))


@router.websocket("/v1/realtime/translations")
async def translation(socket: WebSocket, model: str | None = None) -> None:
    """Translate live, into English unless the session says otherwise."""
    await _serve(socket, SessionSettings(model=model, to=TRANSLATED_TO))


async def _serve(socket: WebSocket, settings: SessionSettings) -> None:
    state: State = socket.app.state.serving
    offered = socket.scope.get("subprotocols", [])
    await socket.accept(PROTOCOL if PROTOCOL in offered else None)
    if state.sessions >= state.settings.max_sessions:
        await _close(socket, TRY_AGAIN, "too many live sessions")
        return
    lock = asyncio.Lock()

    async def send(event: dict[str, Any]) -> None:
        # Two tasks send; that the client has left is for the one that receives to find.
        async with lock:
            with suppress(RuntimeError, WebSocketDisconnect):
                await socket.send_text(json.dumps(event, ensure_ascii=False))

    state.sessions += 1
    try:
        await _session(socket, state, settings, send)
    except WebSocketDisconnect:
        return
    finally:
        state.sessions -= 1
    await _close(socket)


async def _close(socket: WebSocket, code: int = 1000, reason: str = "") -> None:
    """Close a connection that the client, or a server without more time, may have closed before."""
    with suppress(RuntimeError, WebSocketDisconnect):
        await socket.close(code, reason)


async def _session(socket: WebSocket, state: State, settings: SessionSettings, send: Any) -> None:
    try:
        session = LiveSession(state, settings, send)
        await session.start()
    except Exception as error:
        told = as_api_error(error)
        await send({"type": "error", "event_id": "event_0", "error": told.body["error"]})
        await _close(socket, INVALID_DATA, told.message[:100])
        return
    work = asyncio.create_task(session.work())
    stopping = asyncio.create_task(state.stopping.wait())
    try:
        while True:
            coming = asyncio.create_task(_event(socket, send))
            coming.add_done_callback(_noticed)
            done, _ = await asyncio.wait(
                (coming, stopping), timeout=IDLE_S, return_when=asyncio.FIRST_COMPLETED
            )
            if coming not in done:
                coming.cancel()
            if stopping in done:
                await _finish(session, work)
                await _close(socket, RESTARTS, "the server is stopping")
                return
            if not done:
                await _close(socket, INVALID_DATA, f"no event for {IDLE_S:.0f} s")
                return
            event = coming.result()
            if event is not None and not await session.handle(event):
                await _finish(session, work)
                await send({"type": "session.closed", "event_id": "event_closed"})
                return
    finally:
        await session.close()
        work.cancel()
        stopping.cancel()


def _noticed(coming: asyncio.Task[Any]) -> None:
    """Take notice of an end that nobody else may: the server may stop at the same moment."""
    if not coming.cancelled():
        coming.exception()


async def _finish(session: LiveSession, work: asyncio.Task[None]) -> None:
    """Answer what has been heard."""
    await session.finish()
    await work


async def _event(socket: WebSocket, send: Any) -> dict[str, Any] | None:
    """Return the next event; None, and an error to the client, where it is not one."""
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    try:
        event = json.loads(message.get("text") or "")
    except (ValueError, RecursionError):
        event = None
    if isinstance(event, dict):
        return event
    problem = {
        "type": INVALID,
        "code": "invalid_json",
        "message": "an event is a JSON object in a text frame",
        "param": None,
        "event_id": None,
    }
    await send({"type": "error", "event_id": "event_invalid", "error": problem})
    return None
