"""Connections that may not wait for ever: a request's headers have to come in time."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADERS_S = 30.0
"""From the connection, or the answer before, until the headers of a request are there."""


class Connection(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, which waits for headers without an end."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        self._wait_for_headers()

    def on_response_complete(self) -> None:
        """See `H11Protocol`."""
        super().on_response_complete()
        self._wait_for_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        super().connection_lost(exc)
        if self._late is not None:
            self._late.cancel()

    def _wait_for_headers(self) -> None:
        if self._late is not None:
            self._late.cancel()
        self._late = self.loop.call_later(HEADERS_S, self._close_idle, self.cycle)

    def _close_idle(self, before: object) -> None:
        # A WebSocket has left the set: its own limits hold.
        if self.cycle is before and self in self.connections:
            self.transport.close()
