"""`soritune serve`: an OpenAI-compatible server for one machine."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ParamSpec

import typer

from soritune.cli.errors import plain_errors
from soritune.cli.output import say
from soritune.errors import UserError

if TYPE_CHECKING:
    from soritune.serving.settings import ServerSettings

P = ParamSpec("P")

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def _nothing_to_continue(command: Callable[P, None]) -> Callable[P, None]:
    """Let an interruption say what is true of a server; one that serves ends in peace by it."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except KeyboardInterrupt as interruption:
            raise type(interruption)("stopped before it served anything") from None

    return wrapped


@plain_errors
@_nothing_to_continue
def serve(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A trained model (runs/…/cases/…/model), a hub id, builtin:tiny."
        ),
    ],
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS", help="Address to listen on; 0.0.0.0 lets other machines in."
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="NUMBER", help="Port to listen on.")
    ] = 8000,
    adapter: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=DIR",
            help="Another model, for requests that ask for NAME; may be given several times.",
        ),
    ] = [],  # noqa: B006
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name of the model in the API; default: MODEL."),
    ] = None,
    api_key_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Accepted keys, one a line.")
    ] = None,
    engine: Annotated[
        str,
        typer.Option(
            metavar="ENGINE",
            help="local, vllm (started here; see docs/serving.md), or openai:URL of a server.",
        ),
    ] = "local",
    vllm_options: Annotated[
        str,
        typer.Option(
            metavar="WORDS",
            help="Further options of vLLM's command line, such as '--dtype float32'.",
        ),
    ] = "",
    batch_size: Annotated[
        int, typer.Option(min=1, metavar="NUMBER", help="Clips of 30 s that are decoded together.")
    ] = 8,
    max_requests: Annotated[
        int,
        typer.Option(
            min=1, metavar="NUMBER", help="Requests at work or waiting; more are answered 503."
        ),
    ] = 256,
    max_upload_mb: Annotated[
        int, typer.Option(min=1, metavar="NUMBER", help="Largest upload in MiB.")
    ] = 100,
    max_audio_minutes: Annotated[
        float, typer.Option(min=0.1, metavar="NUMBER", help="Longest recording in minutes.")
    ] = 240,
    page: Annotated[bool, typer.Option("--page/--no-page", help="Serve the page at /.")] = True,
) -> None:
    """Serve a model with OpenAI's audio API, live transcription, and a page."""
    from soritune.serving.settings import MEBIBYTE, ServerSettings, read_keys

    try:
        from soritune.serving.start import run_server
    except ImportError as error:
        raise UserError(
            f"soritune serve needs the package {error.name}: pip install 'soritune[serve]'"
        ) from error
    settings = ServerSettings(
        batch_size=batch_size,
        max_requests=max_requests,
        max_upload_bytes=max_upload_mb * MEBIBYTE,
        max_audio_s=60 * max_audio_minutes,
        api_keys=() if api_key_file is None else read_keys(api_key_file),
        page=page,
    )
    if vllm_options and engine != "vllm":
        raise UserError("--vllm-options is for --engine vllm")
    try:
        words = shlex.split(vllm_options)
    except ValueError as error:
        raise UserError(f"--vllm-options {vllm_options}: {error}. Close the quotes.") from None
    _warn_when_open(host, settings)
    run_server(
        settings,
        model,
        name=name,
        adapters=_adapters(adapter),
        engine=engine,
        host=host,
        port=port,
        vllm_options=words,
    )


def _adapters(given: list[str]) -> dict[str, str]:
    """Return folders by name. Raises UserError."""
    found: dict[str, str] = {}
    for text in given:
        name, equals, folder = text.partition("=")
        if not (name and equals and folder):
            raise UserError(f"--adapter {text}: write NAME=DIR, such as ko=runs/a/cases/b/model")
        if name in found:
            raise UserError(f"--adapter {text}: {name} is given twice. Give each its own name.")
        found[name] = folder
    return found


def _warn_when_open(host: str, settings: ServerSettings) -> None:
    if host not in LOOPBACK and not settings.api_keys:
        say(f"warning: anyone who reaches {host} can use this server. Add --api-key-file FILE.")
