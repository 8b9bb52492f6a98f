"""The audit on a terminal, to be read in a minute."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from soritune.doctor.facts import SPLITS
from soritune.doctor.findings import OUTDATED, Audit, CorpusFacts, Finding
from soritune.doctor.page import (
    SEVERITY_NAMES,
    clean_checks,
    count_by_severity,
)
from soritune.doctor.remedies import remedy
from soritune.pages import hours_text, share_text

STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan"}
EXAMPLES = 2
MAX_TEXT = 60
INDENT = 4
SPEAKERS = 3
"""That are named, those with the most speech."""
BARS = " ▁▂▃▄▅▆▇█"


def print_audit(console: Console, audit: Audit) -> None:
    """Print what is in the corpora, what was found, and what was looked for and not found."""
    console.print(_corpora_table(audit))
    for corpus in audit.corpora:
        _print_measures(console, corpus)
    for corpus in audit.corpora:
        if corpus.outdated:
            console.print(Text(f"{corpus.name}: {OUTDATED}", "yellow"))
    explained: set[str] = set()
    for finding in audit.findings:
        fix = remedy(finding, audit.corpora, audit.recipe)
        _print_finding(console, finding, fix, explain=finding.check not in explained)
        explained.add(finding.check)
    clean = clean_checks(audit)
    if clean:
        console.print(Text(f"looked for and not found: {', '.join(clean)}", style="dim"))
    counts = count_by_severity(audit)
    words = [
        f"{number} {SEVERITY_NAMES[severity]}{'' if number == 1 else 's'}"
        for severity, number in counts.items()
    ]
    worst = next((severity for severity, number in counts.items() if number), None)
    console.print(Text(", ".join(words), style=STYLES.get(worst or "", "bold green")))


def _corpora_table(audit: Audit) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("corpus", "source"):
        table.add_column(column, overflow="fold")
    for column in ("utterances", "speech", "speakers", "train/ dev/test", "left out"):
        table.add_column(column, justify="right", overflow="fold")
    for corpus in audit.corpora:
        table.add_row(*(Text(cell) for cell in _corpus_cells(corpus)))
    return table


def _corpus_cells(corpus: CorpusFacts) -> list[str]:
    sizes = [corpus.splits[split].utterances if split in corpus.splits else 0 for split in SPLITS]
    return [
        corpus.name,
        corpus.source,
        f"{corpus.utterances:,}",
        hours_text(corpus.duration_s),
        f"{corpus.speaker_count:,}",
        "/".join(f"{size:,}" for size in sizes),
        f"{corpus.quarantined:,}",
    ]


def _print_measures(console: Console, corpus: CorpusFacts) -> None:
    """Splits, lengths, rates, noise and speakers, a line each, with plots of the utterances."""
    rows = [("length", corpus.lengths, "")]
    rows += [(f"rate, {rate.language}", rate.histogram, "") for rate in corpus.rates]
    noise = f"; noise at {corpus.median_noise_dbfs:.0f} dBFS"
    rows += [("speech over noise", corpus.snr, noise)]
    grid = Table.grid(padding=(0, 2))
    splits = [f"{name} {hours_text(each.duration_s)}" for name, each in corpus.splits.items()]
    grid.add_row(Text("speech"), Text(hours_text(corpus.duration_s)), Text(", ".join(splits)))
    for name, shown, more in rows:
        middle = f"median {shown.median:.1f} {shown.unit}, 5 to 95 %: "
        words = f"{middle}{shown.low:.1f} to {shown.high:.1f}{more}"
        grid.add_row(Text(name), Text(sparkline(shown.counts), "cyan"), Text(words))
    grid.add_row(Text("speakers"), Text(f"{corpus.speaker_count:,}"), Text(_speakers(corpus)))
    console.print(Text(corpus.name, "bold"))
    console.print(Padding(grid, (0, 0, 1, 2)))


def sparkline(counts: Sequence[int]) -> str:
    """A bar of a character for each count; the smallest is for one, a space for none."""
    top = max(counts, default=0)
    return "".join(BARS[-(-(len(BARS) - 1) * count // top)] if count else " " for count in counts)


def _speakers(corpus: CorpusFacts) -> str:
    words = [
        f"{each.speaker} {hours_text(each.duration_s)} ({each.utterances:,})"
        for each in corpus.speakers[:SPEAKERS]
    ]
    if corpus.speaker_count > SPEAKERS:
        words.append("…")
    if corpus.unnamed_speakers:
        words.append(f"{corpus.unnamed_speakers:,} utterances name none")
    return ", ".join(words)


def _print_finding(
    console: Console, finding: Finding, fix: tuple[str, str], *, explain: bool
) -> None:
    """What it means and what fixes it is said where a check is met for the first time."""
    head = Text()
    head.append(f"{SEVERITY_NAMES[finding.severity]:<8}", STYLES[finding.severity])
    size = f"{finding.utterances:,} of {finding.of:,} ({share_text(finding.share)})"
    head.append(f"{size} {finding.title}", "bold")
    where = f": {finding.where}" if finding.where else ""
    head.append(f"  [{finding.corpus}{where}]")
    console.print(head)
    lines = Text()
    if explain:
        lines.append(f"{finding.meaning}\n", "dim")
        lines.append(f"fix: {fix[0]}\n")
    if fix[1]:
        lines.append(f"where: {fix[1]}\n")
    for example in finding.examples[:EXAMPLES]:
        lines.append(f"- {example.id}: {_short(example.text)}")
        lines.append(f" ({example.detail})\n", "dim")
    console.print(Padding(lines, (0, 0, 0, INDENT)))


def _short(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
