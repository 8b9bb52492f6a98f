"""`soritune inspect`: what a model folder holds and who can serve it."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from soritune.cli.check import bytes_text
from soritune.cli.errors import plain_errors
from soritune.cli.output import PlainConsole, echo_json

if TYPE_CHECKING:
    from soritune.models.summary import Summary


class Format(StrEnum):
    """What is printed."""

    TEXT = "text"
    JSON = "json"


@plain_errors
def inspect(
    model: Annotated[
        str,
        typer.Argument(
            metavar="PATH",
            help="A model folder, an adapter, a trained model (runs/…/cases/…/model), "
            "builtin:tiny, or a hub id that was downloaded before.",
        ),
    ],
    format_: Annotated[
        Format, typer.Option("--format", help="Tables, or one JSON record.")
    ] = Format.TEXT,
) -> None:
    """Say what a model folder holds: layout, sizes, adapters, training, and who can serve it.

    Only headers and settings are read, so it is quick at any size.
    """
    from soritune.models import describe

    summary = describe(model)
    if format_ is Format.JSON:
        echo_json(asdict(summary))
    else:
        print_summary(summary)


def print_summary(summary: Summary, console: Console | None = None) -> None:
    """Print a summary for people."""
    from soritune.models.summary import layout_text

    console = console or PlainConsole()
    console.print(Text(summary.path, style="bold"), soft_wrap=True)
    lines = [
        ("family", summary.family or "unknown, its base is not here"),
        ("layout", layout_text(summary.family, summary.layout)),
        ("base", summary.base or ""),
        ("trained", _trained_text(summary)),
        (
            "weights",
            f"{summary.parameters:,} values in {summary.tensors:,} tensors, "
            f"{bytes_text(summary.num_bytes)}, {', '.join(summary.dtypes)}",
        ),
    ]
    _print_lines(console, lines)

    table = Table(box=None, pad_edge=False)
    table.add_column("part")
    table.add_column("values", justify="right")
    for part, size in summary.parts.items():
        table.add_row(part, f"{size:,}")
    console.print(table)

    for adapter in summary.adapters:
        alpha = "unknown" if adapter.alpha is None else adapter.alpha
        text = (
            f"{adapter.name} LoRA ({adapter.where}): r {adapter.r}, alpha {alpha}, "
            f"{adapter.layers} layers, {adapter.parameters:,} values"
        )
        console.print(Text(text), soft_wrap=True)
    _print_lines(console, [("incomplete", problem) for problem in summary.problems])
    _print_lines(console, list(summary.serving.items()))


def _print_lines(console: Console, lines: list[tuple[str, str]]) -> None:
    for name, value in lines:
        if value:
            console.print(Text(f"{name + ':':<16}{value}"), soft_wrap=True)


def _trained_text(summary: Summary) -> str:
    if summary.trained is None:
        return ""
    words = [f"{key} {summary.trained[key]}" for key in ("case", "mode") if key in summary.trained]
    start = summary.trained.get("lora_start", "base")
    words.append({"base": "", "merge": "on the base's LoRA, merged", "fresh": "fresh LoRA"}[start])
    return ", ".join(word for word in words if word)
