"""The running server: says where it listens, refuses in words while it stops, finishes its work."""

from __future__ import annotations

import asyncio
import logging
import math
import signal
import sys
import time
from collections.abc import Callable
from socket import socket
from types import FrameType

import uvicorn

from soritune.errors import UserError
from soritune.serving.connections import Connection
from soritune.serving.gate import Gate

STOP_S = 3
"""What is not finished when the time to finish is over may still say so."""
SAME_S = 1.0
"""Two SIGTERM so close are one: some supervisors tell a group and its processes."""


class Server(uvicorn.Server):
    """uvicorn's server, which stops as well when what stands behind it cannot go on.

    uvicorn stops listening before it waits. This one refuses in words meanwhile, so that clients
    try again elsewhere and `/ready` tells a load balancer.

    Attributes:
        outcome: what became of the requests, once it has stopped.
    """

    def __init__(
        self, config: uvicorn.Config, app: Gate, problem: Callable[[], str | None]
    ) -> None:
        super().__init__(config)
        self.outcome = "stopped"
        self._state = app.state
        self._behind = problem
        self._asked_s = math.inf  # when it was asked to stop

    def problem(self) -> str | None:
        """Return why it cannot go on; None while it can."""
        models = self._state.models.by_name.values()
        return self._behind() or next((m.problem for m in models if m.problem), None)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """See `uvicorn.Server`, for which a second Ctrl-C ends at once; a later SIGTERM as well."""
        now_s = time.monotonic()
        if sig != signal.SIGINT and now_s - self._asked_s > SAME_S:
            self.force_exit = True
        self._asked_s = min(self._asked_s, now_s)
        super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """See `uvicorn.Server`."""
        return self.problem() is not None or await super().on_tick(counter)

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """See `uvicorn.Server`. Raises UserError where another server was faster."""
        try:
            await super().startup(sockets)
        except OSError as error:
            raise UserError(f"the port cannot be listened on ({error.strerror})") from None
        for server in self.servers:
            for listening in server.sockets:
                host, port = listening.getsockname()[:2]
                host = f"[{host}]" if ":" in host else host
                print(f"listening on http://{host}:{port}", file=sys.stderr, flush=True)

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """See `uvicorn.Server`."""
        state = self._state
        state.stopping.set()
        begun = state.begun
        if begun and self.problem() is None:
            print(
                f"stopping: {begun} requests and live sessions are finished first, for up to "
                f"{state.settings.drain_s:g} s (a second signal stops at once)",
                file=sys.stderr,
                flush=True,
            )
        deadline = time.monotonic() + state.settings.drain_s
        while state.begun and time.monotonic() < deadline:
            if self.force_exit or self.problem() is not None:
                break
            await asyncio.sleep(0.05)
        if begun:
            dropped = min(state.begun, begun)
            self.outcome = f"stopped: {begun - dropped} were finished, {dropped} dropped"
        state.workers.give_up()
        await super().shutdown(sockets)
        if self.force_exit:  # uvicorn leaves it out, and it complains in the log
            await self.lifespan.shutdown()


def make_server(app: Gate, problem: Callable[[], str | None] = lambda: None) -> Server:
    """Return what serves the application on a socket.

    Args:
        problem: says why the server cannot go on; None while it can.
    """
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("soritune.serving").setLevel(logging.INFO)  # a line for each request
    config = uvicorn.Config(
        app,
        http=Connection,
        log_config=None,
        access_log=False,  # ours has the request id and no query
        server_header=False,
        timeout_graceful_shutdown=STOP_S,
        ws_max_size=1 << 20,  # 8 s of sound at 48 kHz in base64
    )
    return Server(config, app, problem)
