"""Connections of an HTTP client that another thread can end: a request has no other way out."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from socket import SHUT_RDWR, socket
from typing import Any

import httpx2


class Connections:
    """The connections of one client, whose requests go through `watch` first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: list[socket] = []
        self._ended = False

    def watch(self, request: httpx2.Request) -> None:
        """Note the connections that a request opens; a hook of `httpx2.Client`."""
        request.extensions["trace"] = self._note

    def end(self) -> None:
        """End them: whoever waits on one sees it broken. Those that are opened later end as well.

        The server sees that nobody waits, and can stop its work.
        """
        with self._lock:
            self._ended = True
            for each in self._sockets:
                _end(each)
            self._sockets.clear()

    def _note(self, event: str, info: Mapping[str, Any]) -> None:
        # With TLS another object takes the socket over, by the second event.
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            opened: socket = info["return_value"].get_extra_info("socket")
            with self._lock:
                if self._ended:
                    _end(opened)
                else:
                    self._sockets.append(opened)


def _end(opened: socket) -> None:
    with suppress(OSError):  # it may have ended by itself
        socket.shutdown(opened, SHUT_RDWR)  # a TLS socket's own takes its state from the reader
