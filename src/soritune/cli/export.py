"""`soritune export`: a model in a layout that other programs read."""

from __future__ import annotations

from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from soritune.cli.check import bytes_text
from soritune.cli.errors import plain_errors
from soritune.progress import track


class To(StrEnum):
    """The layouts, as `soritune.export.export.Target` has them."""

    NATIVE = "native"
    ORIGINAL = "original"
    ADAPTER = "adapter"
    MERGED = "merged"


@plain_errors
def export(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A trained model (runs/…/cases/…/model), a base, or a hub id."
        ),
    ],
    to: Annotated[
        To,
        typer.Option(
            help="adapter: the LoRA alone (vLLM, PEFT); original: whole, for vLLM; native: whole, "
            "for transformers; merged: native with the LoRA in the weights."
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write; must be empty.")],
    lora_weight: Annotated[
        float | None,
        typer.Option(
            help="How much of the LoRA is added to the weights: --to merged (default 1), or --to "
            "original (default: it stays apart)."
        ),
    ] = None,
    rank: Annotated[
        int | None,
        typer.Option(
            min=1, help="With --to adapter: write the nearest LoRA of this smaller rank instead."
        ),
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Of a hub id.")] = None,
    base: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Where MODEL's base lies, if it was moved."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is in DIR.")] = False,
) -> None:
    """Write a model so that vLLM or transformers can serve it.

    The folder appears whole or not at all, with a README that says how to serve it. See
    docs/serving.md.
    """
    from soritune.export.export import Target
    from soritune.export.export import export as write

    with ExitStack() as stack:
        done = write(
            model,
            Target(to.value),
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
    typer.echo(f"{out}: {to.value}, {bytes_text(done.num_bytes)}; how to serve it: {out}/README.md")
