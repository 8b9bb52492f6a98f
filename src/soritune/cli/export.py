"""`soritune export`: a model in a layout that other programs read."""

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
def export(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A trained model (runs/…/cases/…/model), a base, or a hub id."
        ),
    ],
    to: Annotated[
        str,
        typer.Option(
            metavar="LAYOUT",
            help="adapter: the LoRA alone; or a layout of the model's family (docs/serving.md). "
            "An unknown one lists those that there are.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write; must be empty.")],
    lora_weight: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="How much of the LoRA is added to the weights, for layouts that allow it: merged "
            "(default 1), original (default: it stays separate).",
        ),
    ] = None,
    rank: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            min=1,
            help="With --to adapter: write the nearest LoRA of this smaller rank instead.",
        ),
    ] = None,
    revision: Annotated[
        str | None, typer.Option(metavar="NAME", help="Branch, tag or commit of a hub id.")
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Where MODEL's base is, if it was moved."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is in DIR.")] = False,
) -> None:
    """Write a model in a layout that other programs read.

    The folder appears whole or not at all, with a README that says how to serve it. See
    docs/serving.md.
    """
    from soritune.export.export import export as write

    with ExitStack() as stack:
        done = write(
            model,
            to,
            out,
            revision=revision,
            base=base,
            lora_weight=lora_weight,
            rank=rank,
            force=force,
            progress=lambda total: stack.enter_context(track("write", total, "bytes")),
        )
    for note in done.notes:
        typer.secho(f"note: {note}", err=True)
    echo(f"{out}: {to}, {bytes_text(done.num_bytes)}; how to serve it: {out}/README.md")
