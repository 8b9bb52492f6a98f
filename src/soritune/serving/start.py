"""Loads models, starts the server and stops it gracefully."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from socket import AF_INET, AF_INET6, SO_REUSEADDR, SOL_SOCKET, socket
from typing import TYPE_CHECKING

from soritune.decoding.engine_openai import OpenAIEngine
from soritune.decoding.server import OPENAI
from soritune.errors import UserError, visible
from soritune.models.record import longest_trained_s
from soritune.serving.app import make_app
from soritune.serving.batcher import Batcher
from soritune.serving.metrics import Metrics
from soritune.serving.running import make_server
from soritune.serving.served import ServedModel, local_model, remote_model
from soritune.serving.settings import ServerSettings
from soritune.serving.vllm import RunningVllm, vllm_server

if TYPE_CHECKING:
    from soritune.models.loaded import LoadedModel


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
                return _local(settings, folders, metrics)
        elif engine == "vllm":
            vllm = stack.enter_context(vllm_server(model, names[0], adapters, vllm_options))
            problem = vllm.problem

            def make_models(metrics: Metrics) -> Sequence[ServedModel]:
                folders = map(Path, [model, *adapters.values()])
                return [
                    _of_vllm(vllm, Path(model), name, trained)
                    for name, trained in zip(names, folders, strict=True)
                ]
        elif engine.startswith(OPENAI):

            def make_models(metrics: Metrics) -> Sequence[ServedModel]:
                url = engine.removeprefix(OPENAI)
                return [remote_model(name, OpenAIEngine(url, name)) for name in names]
        else:
            raise UserError(f"--engine {engine}: use local, vllm or openai:URL")
        app = make_app(settings, make_models)
        server = make_server(app, problem)
        with suppress(KeyboardInterrupt, SystemExit):
            server.run([listening])
        if (ended := server.problem()) is not None:
            raise UserError(ended)
        print(server.outcome, file=sys.stderr)


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
            print(visible(words), file=sys.stderr)
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


def _of_vllm(vllm: RunningVllm, folder: Path, name: str, trained: Path) -> ServedModel:
    """Return the model of `folder`, or the adapter in `trained` on it, that vLLM calls `name`."""
    family = vllm.family
    chat, language = family.vllm_chat(folder), family.default_language(folder)
    engine = OpenAIEngine(
        vllm.url,
        name,
        family=family,
        chat=chat,
        language=language,
        longest_trained_s=longest_trained_s(trained, {}),
    )
    return remote_model(name, engine, None if chat is None else chat.decode)


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
