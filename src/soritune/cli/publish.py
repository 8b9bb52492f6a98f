"""`soritune publish`: a trained case on the hub, with a card that says what it is."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from soritune.cli.check import bytes_text
from soritune.cli.errors import plain_errors
from soritune.cli.output import echo
from soritune.progress import track


@plain_errors
def publish(
    case: Annotated[
        Path, typer.Argument(metavar="CASE", help="A trained case: runs/…/cases/NAME.")
    ],
    to: Annotated[str, typer.Option(metavar="OWNER/NAME", help="The repository on the hub.")],
    layout: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="LAYOUT",
            help="As for soritune export; default: the complete model for transformers.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder to write; default: CASE/published."),
    ] = None,
    license: Annotated[
        str | None,
        typer.Option(
            metavar="LICENSE",
            help="Of the weights, as the hub names it; default: that of the base's card.",
        ),
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="Make the repository a private one.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write the folder and upload nothing.")
    ] = False,
) -> None:
    """Write an export of a case with its model card, and upload it to the hub in one commit.

    HF_TOKEN, or what hf auth login left, says who uploads; HF_ENDPOINT names another hub.
    """
    from soritune.export.publish import publish as write

    with ExitStack() as stack:
        done = write(
            case,
            to,
            layout=layout,
            out=out,
            license=license,
            private=private,
            dry_run=dry_run,
            progress=lambda total: stack.enter_context(track("write", total, "bytes")),
        )
    exported = done.exported
    for note in exported.notes:
        typer.secho(f"note: {note}", err=True)
    echo(f"{exported.out}: {exported.target}, {bytes_text(exported.num_bytes)}; read its README.md")
    if done.url is None:
        echo(f"not uploaded (--dry-run); without it, this goes to {to}")
    else:
        echo(f"published: {done.url}")
