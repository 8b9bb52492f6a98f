"""`soritune report --history`: figures that were replaced, on a terminal."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from soritune.cli.output import PlainConsole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from soritune.experiment.history import Figure, Replaced


def print_history(history: Sequence[Replaced], console: Console | None = None) -> None:
    """Print the figures that were replaced, the oldest first, with what changed then."""
    console = console or PlainConsole()
    if not history:
        console.print("no figures were replaced in this run")
        return
    # Dates and reasons stand above the tables: beside figures there is no room for them.
    for (when, reasons), group in groupby(history, lambda each: (each.replaced, each.reasons)):
        time = when[:19].replace("T", " ")
        console.print(Text(f"replaced {time} UTC, because: {', '.join(reasons) or 'unknown'}"))
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for title in ("case", "evaluation", "figures", "utterances"):
            table.add_column(title, no_wrap=title == "figures", overflow="fold")
        for each in group:
            figures = "\n".join(_figure_text(each, figure) for figure in each.figures)
            table.add_row(*map(Text, (each.case, each.evaluation, figures, f"{each.utterances:,}")))
        console.print(table)


def _figure_text(replaced: Replaced, figure: Figure) -> str:
    """Return `CER reading 12.34 [11.20–13.50]`; of too few utterances without the interval."""
    from soritune.report.table import metric_title
    from soritune.scoring.paired import MIN_UTTERANCES

    text = f"{metric_title(figure.metric, figure.variant)} {figure.value:.2f}"
    if replaced.utterances < MIN_UTTERANCES:
        return text
    return f"{text} [{figure.low:.2f}–{figure.high:.2f}]"
