"""`soritune report --history`: figures that were replaced, on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from soritune.cli.output import PlainConsole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from soritune.experiment.history import Replaced


def print_history(history: Sequence[Replaced], console: Console | None = None) -> None:
    """Print the figures that were replaced, the oldest first, with what changed then."""
    console = console or PlainConsole()
    if not history:
        console.print("no figures were replaced in this run")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("replaced (UTC)", "case", "evaluation", "figures", "utterances", "because"):
        # What is narrow stays whole; the reasons take what is left of the line.
        table.add_column(title, no_wrap=title == "figures", overflow="fold")
    for each in history:
        figures = "\n".join(
            f"{figure.metric} {figure.value:.2f} [{figure.low:.2f}–{figure.high:.2f}]"
            for figure in each.figures
        )
        when = each.replaced[:19].replace("T", " ")
        because = "\n".join(each.reasons)
        cells = (when, each.case, each.evaluation, figures, f"{each.utterances:,}", because)
        table.add_row(*map(Text, cells))
    console.print(table)
