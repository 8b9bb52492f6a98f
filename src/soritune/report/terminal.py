"""The report on a terminal: tables that split where the window is too narrow for them."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from soritune.report.content import (
    INTERVAL_NOTE,
    SYNTHETIC_NOTE,
    Report,
    best_sentence,
    certainties,
    not_comparable,
    retention_sentences,
    sample_groups,
    scorings,
    transcribe_command,
    unfinished_sentence,
)
from soritune.report.markdown import moved_text, parameters_text, time_text
from soritune.report.records import CaseSummary
from soritune.report.table import MISSING, figures, marked_values

# Below this the titles of the cases break into too many lines.
MIN_TITLE_WIDTH = 14
PADDING = 2  # of each column, both sides together


def print_report(console: Console, report: Report) -> None:
    """Print the whole report: figures with intervals, what was trained, transcripts, paths."""
    console.print(Rule(Text(report.name, style="bold")))
    for indices in _column_groups(report, console.width):
        console.print(_results_table(report, indices))
    notes = [*not_comparable(report), *report.warnings, unfinished_sentence(report)]
    for note in [SYNTHETIC_NOTE if report.synthetic_speech else None, *notes]:
        if note:
            console.print(Text(note, style="yellow"))
    for sentence in retention_sentences(report):
        console.print(Text(sentence, style="yellow"))
    _print_certainty(console, report)
    console.print(_trained_table(report.cases))
    _print_scoring(console, report)
    _print_samples(console, report)
    console.print(Rule())
    console.print(Text(best_sentence(report), style="bold"))
    lines = [
        ("transcribe with it", transcribe_command(report)),
        ("figures", report.results_path),
        ("report", report.report_path),
        ("page", report.page_path),
    ]
    for label, value in lines:
        if value is not None:
            # Never wrapped: commands and paths are copied.
            console.print(Text(f"{label}: {value}"), soft_wrap=True)


def _column_groups(report: Report, width: int) -> list[list[int]]:
    """Return the indices of the columns of each table that fits into `width`, at least one each."""
    groups: list[list[int]] = [[]]
    used = MIN_TITLE_WIDTH + PADDING
    for index, column in enumerate(report.columns):
        words = [*column.title.split()]
        for row in report.rows:
            words += figures(row.results[index])
        needed = max(len(word) for word in words) + PADDING
        if groups[-1] and used + needed > width:
            groups.append([])
            used = MIN_TITLE_WIDTH + PADDING
        groups[-1].append(index)
        used += needed
    return groups


def _results_table(report: Report, indices: Sequence[int]) -> Table:
    best = marked_values(report.rows, report.columns)
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    shown.add_column("model", min_width=MIN_TITLE_WIDTH)
    for index in indices:
        shown.add_column(Text(report.columns[index].title), justify="right")
    for row in report.rows:
        cells = [Text(row.case.title)]
        for index in indices:
            result = row.results[index]
            value, interval = figures(result)
            is_best = result is not None and result.value == best[index]
            cell = Text(value, style="bold green" if is_best else "")
            if interval:
                cell.append(f"\n{interval}", style="not bold dim")
            cells.append(cell)
        shown.add_row(*cells)
    return shown


def _trained_table(cases: Sequence[CaseSummary]) -> Table:
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    shown.add_column("model", min_width=MIN_TITLE_WIDTH)
    shown.add_column("mode")
    shown.add_column("trained parts")
    for title in ("share", "tensors moved", "training", "evaluation"):
        shown.add_column(title, justify="right")
    for case in cases:
        parts, _, share = parameters_text(case)
        times = [time_text(case.training_s), time_text(case.evaluating_s)]
        mode = case.mode or MISSING
        cells = [case.title, mode, parts.replace("; ", "\n"), share, moved_text(case), *times]
        shown.add_row(*(Text(cell) for cell in cells))
    return shown


def _print_certainty(console: Console, report: Report) -> None:
    """Print what the tests of the first column say; all columns would bury the table."""
    for certainty in certainties(report)[:1]:
        console.print(Text.assemble((certainty.column.title, "bold"), f": {certainty.sentence}."))
    console.print(Text(INTERVAL_NOTE, style="dim"))


def _print_scoring(console: Console, report: Report) -> None:
    found = scorings(report)
    numbers = {scoring.evaluation: ", ".join(map(str, scoring.utterances)) for scoring in found}
    if numbers:
        each = ", ".join(f"{evaluation} {number}" for evaluation, number in numbers.items())
        console.print(Text.assemble(("utterances: ", "bold"), each))
    for signature in dict.fromkeys(each for scoring in found for each in scoring.signatures):
        console.print(Text(signature, style="dim", overflow="fold"))


def _print_samples(console: Console, report: Report) -> None:
    evaluation = None
    for group in sample_groups(report):
        if group.evaluation != evaluation:
            evaluation = group.evaluation
            console.print(Text(f"\n{evaluation}", style="bold"))
        shown = Table(box=None, show_header=False, pad_edge=False)
        shown.add_column(style="dim", max_width=28)
        shown.add_column()
        shown.add_row(Text("reference"), Text(group.reference, style="bold"))
        for title, text in group.written:
            shown.add_row(Text(title), Text(text or "(nothing)"))
        console.print(shown)
