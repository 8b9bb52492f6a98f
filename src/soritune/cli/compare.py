"""`soritune compare`: the cases of several runs in one table, with tests between them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soritune.cli.errors import plain_errors
from soritune.cli.output import PlainConsole
from soritune.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from soritune.experiment.compare import Comparison, ScoredCase

NUM_SHOWN = 20


@plain_errors
def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN|RESULTS…", help="Output folders, or their results.json."),
    ],
    case: Annotated[
        list[str] | None,
        typer.Option(
            "--case",
            metavar="NAME",
            help="Only this case (may be repeated); of two, utterances that one has right and the "
            "other has not are listed. CASE, or RUN/CASE with several runs.",
        ),
    ] = None,
) -> None:
    """Compare the cases of several runs: one table, paired tests, who is right where.

    Figures with different signatures are not tested: what differs is named.
    """
    from soritune.experiment.compare import compare_runs

    comparison = compare_runs(runs, case or ())
    if not comparison.cases:
        raise UserError(f"{runs[0]}: has no scores yet. Run the recipe first.")
    console = PlainConsole()
    _print_table(console, comparison)
    _print_tests(console, comparison)
    if len(case or ()) == 2:
        one, other = comparison.cases
        _print_disagreements(console, one, other)
        _print_disagreements(console, other, one)


def _print_table(console: Console, comparison: Comparison) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from soritune.report.table import figures, metric_title

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("model")
    for evaluation, metric, variant in comparison.columns:
        table.add_column(Text(f"{evaluation} {metric_title(metric, variant)}"), justify="right")
    for case in comparison.cases:
        cells = [Text(case.label)]
        for key in comparison.columns:
            value, interval = figures(case.scores.get(key))
            cells.append(Text(value).append(f"\n{interval}" if interval else "", style="dim"))
        table.add_row(*cells)
    console.print(table)
    for note in comparison.not_comparable:
        console.print(Text(note, style="yellow"))


def _print_tests(console: Console, comparison: Comparison) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from soritune.report.table import metric_title

    if not comparison.tests:
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("column", "case", "against", "difference", "verdict"):
        table.add_column(title)
    for test in comparison.tests:
        title = f"{test.evaluation} {metric_title(test.metric, test.variant)}"
        difference = f"{test.difference:+.2f} [{test.low:+.2f}, {test.high:+.2f}]"
        cells = (title, test.case_b, test.case_a, difference, test.words)
        table.add_row(*map(Text, cells))
    console.print(table)
    console.print(Text("p after Holm's correction over all rows", style="dim"))


def _print_disagreements(console: Console, right: ScoredCase, wrong: ScoredCase) -> None:
    from rich.text import Text

    from soritune.experiment.compare import disagreements

    found = disagreements(right, wrong)
    title = f"“{right.label}” right where “{wrong.label}” is wrong: {len(found):,}"
    console.print(Text(f"\n{title}", style="bold"))
    for each in found[:NUM_SHOWN]:
        console.print(Text(f"{each.evaluation} {each.id} ({each.errors} errors)", style="dim"))
        console.print(Text(f"  {each.reference}"))
        console.print(Text(f"  {each.wrong or '(nothing)'}"))
    if len(found) > NUM_SHOWN:
        console.print(Text(f"… and {len(found) - NUM_SHOWN:,} more", style="dim"))
