"""Loads models, starts the server and stops it gracefully."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from socket import AF_INET, AF_INET6, SO_REUSEADDR, SOL_SOCKET, socket

import uvicorn

from soritune.decoding.engine import Engine
from soritune.decoding.server import OPENAI
from soritune.errors import UserError
from soritune.models.family import Family
from soritune.serving.app import make_app
from soritune.serving.batcher import Batcher
from soritune.serving.metrics import Metrics
from soritune.serving.served import ServedModel, local_model, remote_model
from soritune.serving.settings import ServerSettings
from soritune.serving.vllm import vllm_server


def run_server(
    settings: ServerSettings,
    model: str,
    *,
    name: str | None,
    adapters: Mapping[str, str],
    engine: str,
    host: str,
    port: int,
    vllm_options: Sequence[str] = (),
) -> None:
    """Serve until SIGTERM or Ctrl-C; what is begun is finished within `settings.drain_s`.

    Args:
        adapters: further models by the names under which requests ask for them.
        engine: "local", "vllm" or "openai:URL".
        vllm_options: further options of vLLM's command line, with engine "vllm".

    Raises:
        UserError: a model cannot be loaded, the address cannot be used, or vLLM ends.
    """
    names = [name or model, *adapters]
    if len(set(names)) != len(names):
        raise UserError(f"--adapter {names[0]}: is the name of the model. Give another one.")
    with ExitStack() as stack:
        listening = stack.enter_context(_bound(host, port))  # before minutes of loading
        problem: Callable[[], str | None] = lambda: None  # noqa: E731
        if engine == "local":
            folders = dict(zip(names, [model, *adapters.values()], strict=True))

            def make_models(metrics: Metrics) -> Sequence[ServedModel]:
                return [_local(settings, n, folder, metrics) for n, folder in folders.items()]
        elif engine == "vllm":
            vllm = stack.enter_context(vllm_server(model, names[0], adapters, vllm_options))
            problem = vllm.problem

            def make_models(metrics: Metrics) -> Sequence[ServedModel]:
                return [remote_model(n, _remote(vllm.url, n, vllm.family)) for n in names]
        elif engine.startswith(OPENAI):

            def make_models(metrics: Metrics) -> Sequence[ServedModel]:
                return [remote_model(n, _remote(engine.removeprefix(OPENAI), n)) for n in names]
        else:
            raise UserError(f"--engine {engine}: use local, vllm or openai:URL")
        app = make_app(settings, make_models)
        _serve(app, settings, listening, problem)


def _local(settings: ServerSettings, name: str, folder: str, metrics: Metrics) -> ServedModel:
    from soritune.models import load

    loaded = load(folder, merge=True)
    batcher = Batcher(
        loaded,
        batch_size=settings.batch_size,
        wait_s=settings.batch_wait_s,
        max_waiting=settings.max_waiting,
        on_batch=metrics.on_batch,
    )
    return local_model(name, batcher)


def _remote(url: str, name: str, family: Family | None = None) -> Engine:
    from soritune.decoding.engine_openai import OpenAIEngine

    return OpenAIEngine(url, name, family=family)


def _bound(host: str, port: int) -> socket:
    """Return a socket with the address; nobody can connect yet. Raises UserError."""
    bound = socket(AF_INET6 if ":" in host else AF_INET)
    bound.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        reason = error.strerror or str(error)
        raise UserError(
            f"{host}:{port}: cannot be listened on ({reason}). Choose another --port or --host."
        ) from error
    return bound


class _Server(uvicorn.Server):
    """Says where it listens once it does, and stops when what stands behind it has ended."""

    def __init__(self, config: uvicorn.Config, problem: Callable[[], str | None]) -> None:
        super().__init__(config)
        self._problem = problem

    async def on_tick(self, counter: int) -> bool:
        return self._problem() is not None or await super().on_tick(counter)

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            for server in self.servers:
                for listening in server.sockets:
                    host, port = listening.getsockname()[:2]
                    print(f"listening on http://{host}:{port}", file=sys.stderr, flush=True)


def _serve(
    app: object,
    settings: ServerSettings,
    listening: socket,
    problem: Callable[[], str | None],
) -> None:
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        log_config=None,
        access_log=False,  # ours has the request id and no query
        server_header=False,
        timeout_graceful_shutdown=round(settings.drain_s),
        ws_max_size=1 << 20,  # 8 s of sound at 48 kHz in base64
    )
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    server = _Server(config, problem)
    with suppress(KeyboardInterrupt, SystemExit):
        server.run(sockets=[listening])
    if (ended := problem()) is not None:
        raise UserError(ended)
    print("stopped", file=sys.stderr)
