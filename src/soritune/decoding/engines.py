"""Which engine transcribes: this machine, a server, or a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from soritune.audio.stream import Source
from soritune.decoding.records import Failure, Transcript
from soritune.decoding.transcriber import Options, asked
from soritune.errors import UserError

LOCAL, RAY, OPENAI = "local", "ray", "openai:"


def check_engine(engine: str) -> None:
    """Raise UserError for an engine that does not exist."""
    if engine not in (LOCAL, RAY) and not engine.startswith(OPENAI):
        raise UserError(
            f"--engine {engine}: unknown. Give local, ray, or a server such as "
            "openai:http://127.0.0.1:8000/v1"
        )


def transcribe_with(
    engine: str,
    model: str,
    base: str | None,
    sources: Sequence[Source],
    options: Options,
    *,
    workers: int,
    advance: Callable[[float], None],
) -> Iterator[tuple[int, Transcript | Failure]]:
    """Yield the place and the result of each source, once; with a cluster in any order.

    Args:
        engine: "local", "ray", or "openai:" and an address.
        model: a folder, a hub id or a built-in model; with a server, the name that it has there.
        workers: requests to a server, or models on a cluster, at a time.
        advance: called with seconds of sound that are done; not by a cluster.

    Raises:
        UserError: see `check_engine`, and what each engine raises.
    """
    check_engine(engine)
    if engine == RAY:
        from soritune.decoding.engine_ray import transcribe_on_ray

        yield from transcribe_on_ray(model, base, sources, options, workers=workers)
    elif engine == LOCAL:
        import soritune

        transcriber = soritune.load(model, base=base)
        yield from enumerate(transcriber.stream(sources, advance=advance, **options))
    else:
        from soritune.decoding.engine_openai import OpenAIEngine
        from soritune.decoding.listening import listen

        server = OpenAIEngine(engine.removeprefix(OPENAI), model, workers)
        yield from enumerate(listen(server, sources, asked(options), advance=advance))
