"""The audit on a terminal, to be read in a minute."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from soritune.doctor.facts import SPLITS
from soritune.doctor.findings import Audit, CorpusFacts, Finding
from soritune.doctor.page import (
    SEVERITY_NAMES,
    clean_checks,
    count_by_severity,
    hours_text,
    share_text,
)

STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan"}
EXAMPLES = 2
MAX_TEXT = 60
INDENT = 4


def print_audit(console: Console, audit: Audit) -> None:
    """Print what is in the corpora, what was found, and what was looked for and not found."""
    console.print(_corpora_table(audit))
    explained: set[str] = set()
    for finding in audit.findings:
        _print_finding(console, finding, explain=finding.check not in explained)
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
    for column in ("corpus", "utterances", "speech", "speakers", "train/dev/test", "rate", "SNR"):
        table.add_column(column, justify="left" if column == "corpus" else "right")
    for corpus in audit.corpora:
        table.add_row(*(Text(cell) for cell in _corpus_cells(corpus)))
    return table


def _corpus_cells(corpus: CorpusFacts) -> list[str]:
    sizes = [corpus.splits[split].utterances if split in corpus.splits else 0 for split in SPLITS]
    return [
        corpus.name,
        f"{corpus.utterances:,}",
        hours_text(corpus.duration_s),
        f"{corpus.speaker_count:,}",
        "/".join(f"{size:,}" for size in sizes),
        "\n".join(f"{rate.language} {rate.median:.1f} {rate.unit}/s" for rate in corpus.rates),
        f"{corpus.median_snr_db:.0f} dB",
    ]


def _print_finding(console: Console, finding: Finding, *, explain: bool) -> None:
    """What it means and what mends it is said where a check is met for the first time."""
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
        lines.append(f"mend: {finding.mend}\n")
    for example in finding.examples[:EXAMPLES]:
        lines.append(f"- {example.id}: {_short(example.text)}")
        lines.append(f" ({example.detail})\n", "dim")
    console.print(Padding(lines, (0, 0, 0, INDENT)))


def _short(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
