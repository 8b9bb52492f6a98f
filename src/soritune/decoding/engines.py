"""Which engine transcribes: this machine, a server, or a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from soritune.audio.stream import Source
from soritune.decoding.records import Failure, Transcript
from soritune.decoding.server import OPENAI
from soritune.decoding.transcriber import Options, asked
from soritune.errors import UserError

LOCAL, RAY = "local", "ray"


def check_engine(engine: str) -> None:
    """Raise UserError for an engine that does not exist."""
    if engine not in (LOCAL, RAY) and not engine.startswith(OPENAI):
        raise UserError(
            f"--engine {engine}: unknown. Give local, ray, or a server such as "
            "openai:http://127.0.0.1:8000/v1"
        )


class Run(Protocol):
    """Transcribes sources with an engine that is open."""

    def __call__(
        self, sources: Sequence[Source], options: Options, advance: Callable[[float], None]
    ) -> Iterator[tuple[int, Transcript | Failure]]:
        """Yield the place and the result of each source, once; with a cluster in any order.

        Args:
            advance: called with seconds of sound that are done; not by a cluster.
        """
        ...


def open_engine(engine: str, model: str, base: str | None, *, workers: int) -> Run:
    """Open an engine: load the model, or find the server or the cluster.

    Args:
        engine: "local", "ray", or "openai:" and an address.
        model: a folder, a hub id or a built-in model; with a server, the name that it has there.
        workers: requests to a server, or models on a cluster, at a time.

    Raises:
        UserError: see `check_engine`, and what each engine raises.
    """
    check_engine(engine)
    if engine == RAY:
        from soritune.decoding.engine_ray import RayRun

        return RayRun(model, base, workers)
    if engine == LOCAL:
        import soritune

        transcriber = soritune.load(model, base=base)
        return lambda sources, options, advance: enumerate(
            transcriber.stream(sources, advance=advance, **options)
        )
    from soritune.decoding.engine_openai import OpenAIEngine
    from soritune.decoding.listening import listen

    server = OpenAIEngine(engine.removeprefix(OPENAI), model, workers)
    return lambda sources, options, advance: enumerate(
        listen(server, sources, asked(options), advance=advance)
    )
