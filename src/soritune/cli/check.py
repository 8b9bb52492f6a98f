"""`soritune run --check` on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from soritune.cli.output import PlainConsole
from soritune.progress import duration_text

if TYPE_CHECKING:
    from soritune.experiment.check_records import BaseCheck, CaseCheck, CorpusCheck, RunCheck

UNKNOWN = "unknown until prepared"


def print_check(check: RunCheck, console: Console | None = None) -> None:
    """Print all that a run would do; nothing has been done."""
    console = console or PlainConsole()
    console.print(Text(f"{check.name}: what a run would do (nothing is done now)", style="bold"))
    console.print(Text(f"base: {_base_text(check.base)}"), soft_wrap=True)
    console.print(Text(f"output: {check.output}"), soft_wrap=True)

    corpora = _table("corpus", "source", "utterances", "speech", "state")
    for corpus in check.corpora:
        speech = "" if corpus.duration_s is None else duration_text(corpus.duration_s)
        state = "prepared" if corpus.prepared else _download_text(corpus)
        _row(corpora, corpus.name, corpus.source, _corpus_size(corpus), speech, state)
    console.print(corpora)

    cases = _table("case", "trained on", "utterances an epoch", "steps", "state")
    for case in check.cases:
        state = _case_state(case)
        size = _number(case.utterances_per_epoch, case.exact)
        steps = _number(case.steps, case.exact)
        _row(cases, case.title, ", ".join(case.corpora), size, steps, state)
    console.print(cases)

    evaluations = _table("evaluation", "corpus", "task", "metrics", "utterances", "cases done")
    for each in check.evaluations:
        _row(
            evaluations,
            each.name,
            f"{each.corpus}, {each.split}",
            each.task,
            ", ".join(each.metrics),
            _number(each.utterances, each.exact),
            f"{each.cases_done} of {each.cases}",
        )
    console.print(evaluations)
    for line in _reasons(check):
        console.print(Text(line), soft_wrap=True)
    for note in check.notes:
        console.print(Text(f"note: {note}"), soft_wrap=True)
    for warning in check.warnings:
        console.print(Text(f"warning: {warning}", style="yellow"), soft_wrap=True)


def _base_text(base: BaseCheck) -> str:
    parts = [base.name]
    if base.parameters is not None:
        parts.append(f"{base.parameters:,} parameters")
    if base.num_bytes is not None:
        parts.append(bytes_text(base.num_bytes))
    here = "on a server" if base.on_server else "on this machine"
    parts.append("to download" if base.download else here)
    return ", ".join(parts)


def _case_state(case: CaseCheck) -> str:
    if case.trained_as is not None:
        return f"done, as {case.trained_as}"
    if case.waits_for:
        return f"to train, if {' or '.join(case.waits_for)} becomes another"
    again = " again" if case.reasons else ""
    return "done" if case.done else f"to train{again}"


def _reasons(check: RunCheck) -> list[str]:
    """Return a line for each thing that is done again, with the reason."""
    found = [("prepare", each.name, each.reasons) for each in check.corpora]
    found += [("train", each.name, each.reasons) for each in check.cases if not each.done]
    return [f"{verb} {name} again: {', '.join(why)}" for verb, name, why in found if why]


def _download_text(corpus: CorpusCheck) -> str:
    if corpus.reasons:
        return "to prepare again"
    if corpus.by_hand:
        return f"missing; get it by hand: {corpus.by_hand}"
    if not corpus.download:
        return "to prepare"
    if corpus.download_bytes is None:
        return "to download and prepare"
    return f"to download ({bytes_text(corpus.download_bytes)}) and prepare"


def _corpus_size(corpus: CorpusCheck) -> str:
    if corpus.splits is not None:
        return ", ".join(f"{split} {number:,}" for split, number in corpus.splits.items() if number)
    return UNKNOWN if corpus.total is None else f"{corpus.total:,} in all"


def _number(number: int | None, exact: bool) -> str:
    if number is None:
        return UNKNOWN
    return f"{number:,}" if exact else f"at most {number:,}"


def bytes_text(num_bytes: int) -> str:
    """Decimal units, as download pages have them: `11.1 GB`, `12 MB`."""
    if num_bytes >= 1e9:
        return f"{num_bytes / 1e9:.1f} GB"
    return f"{num_bytes / 1e6:.1f} MB"


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _row(table: Table, *cells: str) -> None:
    table.add_row(*(Text(cell) for cell in cells))
