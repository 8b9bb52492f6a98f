"""`soritune blend`: a model between two models."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from soritune.cli.errors import plain_errors
from soritune.cli.output import echo
from soritune.progress import track


@plain_errors
def blend(
    first: Annotated[str, typer.Argument(metavar="A", help="A trained model, a base or hub id.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Another, of the same shape.")],
    weight: Annotated[
        float, typer.Option(metavar="SHARE", help="Weight of A, 0 to 1; B has the rest.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write; must be empty.")],
    base: Annotated[
        str | None,
        typer.Option("--base", metavar="DIR", help="Where their base is, if it was moved."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is in DIR.")] = False,
) -> None:
    """Write the weighted mean of two models: between a trained one and its base, for instance.

    Two models on the same base give a small folder like theirs; two complete models a complete
    one.
    """
    from soritune.export.blend import blend as write

    with ExitStack() as stack:
        done = write(
            first,
            second,
            out,
            weight=weight,
            base=base,
            force=force,
            progress=lambda total: stack.enter_context(track("write", total, "bytes")),
        )
    what = "a complete model" if done.base is None else f"a model on {done.base}"
    rank = "" if done.lora_rank is None else f", LoRA of rank {done.lora_rank}"
    echo(f"{out}: {what}, {done.trained_tensors} tensors blended{rank}")
