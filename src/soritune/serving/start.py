"""Loads models, starts the server and stops it gracefully."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import uvicorn

from soritune.decoding.engine import Engine
from soritune.decoding.server import OPENAI
from soritune.errors import UserError
from soritune.serving.app import make_app
from soritune.serving.batcher import Batcher
from soritune.serving.connections import Connection
from soritune.serving.gate import Gate
from soritune.serving.metrics import Metrics
from soritune.serving.served import ServedModel, local_model, remote_model
from soritune.serving.settings import ServerSettings
from soritune.serving.vllm import vllm_server

if TYPE_CHECKING:
    from soritune.models.loaded import LoadedModel

STOP_S = 3
"""What is not finished when the time to finish is over may still say so."""


def run_server(
    settings: ServerSettings,
    model: str,
    *,
    name: str | None,
    adapters: Mapping[str, str],
    engine: str,
    host: str,
    port: int,
) -> None:
    """Serve until SIGTERM or Ctrl-C; what is begun is finished within `settings.drain_s`.

    Args:
        adapters: further models by the names under which requests ask for them.
        engine: "local", "vllm" or "openai:URL".

    Raises:
        UserError: a model cannot be loaded, or the address cannot be used.
    """
    names = [name or model, *adapters]
    if len(set(names)) != len(names):
        raise UserError(f"--adapter {names[0]}: is the name of the model. Give another one.")
    with ExitStack() as stack:
        # Before models are loaded: a port that is taken is said at once, and kept.
        listening = stack.enter_context(_bound(host, port))
        if engine == "local":
            folders = dict(zip(names, [model, *adapters.values()], strict=True))

            def make_models(metrics: Metrics) -> Sequence[ServedModel]:
                return _local(settings, folders, metrics)
        elif engine == "vllm" or engine.startswith(OPENAI):
            url = engine.removeprefix(OPENAI)
            if engine == "vllm":
                url = stack.enter_context(vllm_server(model, names[0], adapters))

            def make_models(metrics: Metrics) -> Sequence[ServedModel]:
                return [remote_model(n, _remote(url, n)) for n in names]
        else:
            raise UserError(f"--engine {engine}: use local, vllm or openai:URL")
        app = make_app(settings, make_models)
        with suppress(KeyboardInterrupt, SystemExit):
            make_server(app, settings).run([listening])
        print("stopped", file=sys.stderr)


def _local(
    settings: ServerSettings, folders: Mapping[str, str], metrics: Metrics
) -> list[ServedModel]:
    """Load models; the first one's weights serve the others where they are equal."""
    from soritune.models import load
    from soritune.models.memory import share_weights, trim_heap

    loaded: dict[str, LoadedModel] = {}
    for name, folder in folders.items():
        loaded[name] = load(folder, merge=True)
        first = next(iter(loaded.values()))
        if shared := share_weights(loaded[name].module, first.module):
            trim_heap()
            words = f"{name}: shares {shared / 1e6:,.0f} MB of weights with the model"
            print(words, file=sys.stderr)
    return [
        local_model(
            name,
            Batcher(
                model,
                batch_size=settings.batch_size,
                wait_s=settings.batch_wait_s,
                max_waiting=settings.max_waiting,
                on_batch=metrics.on_batch,
            ),
        )
        for name, model in loaded.items()
    ]


def _remote(url: str, name: str) -> Engine:
    from soritune.decoding.engine_openai import OpenAIEngine

    return OpenAIEngine(url, name)


def _bound(host: str, port: int) -> socket.socket:
    """Return a socket of that address, on which nobody listens yet. Raises UserError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        found = socket.socket(family, kind, protocol)
        try:
            if os.name == "posix":  # a port whose last connections are just ending is free
                found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind(address)
        except OSError:
            found.close()
            raise
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "is not an address"
        raise UserError(
            f"{host}:{port}: cannot be listened on ({reason}). Choose another --port or --host."
        ) from None
    return found


class Server(uvicorn.Server):
    """uvicorn's server, which says where it listens, and finishes what it has begun.

    uvicorn stops listening before it waits. This one refuses in words meanwhile, so that clients
    try again elsewhere and `/ready` tells a load balancer.
    """

    def __init__(self, config: uvicorn.Config, app: Gate) -> None:
        super().__init__(config)
        self._state = app.state

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
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

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See `uvicorn.Server`."""
        state = self._state
        state.stopping.set()
        deadline = time.monotonic() + state.settings.drain_s
        while (state.requests or state.sessions) and time.monotonic() < deadline:
            if self.force_exit:
                break
            await asyncio.sleep(0.05)
        state.workers.give_up()
        await super().shutdown(sockets)


def make_server(app: Gate, settings: ServerSettings) -> Server:
    """Return what serves the application on a socket."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    config = uvicorn.Config(
        app,
        http=Connection,
        log_config=None,
        access_log=False,  # ours has the request id and no query
        server_header=False,
        timeout_graceful_shutdown=STOP_S,
        ws_max_size=1 << 20,  # 8 s of sound at 48 kHz in base64
    )
    return Server(config, app)
