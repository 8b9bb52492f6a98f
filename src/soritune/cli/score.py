"""`soritune score`: the transcripts of any system, in the variants and intervals of a run."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soritune.cli.errors import plain_errors
from soritune.cli.output import PlainConsole, echo_json, say

if TYPE_CHECKING:
    from soritune.scoring.score import Score


class Format(StrEnum):
    """What is printed."""

    TABLE = "table"
    JSON = "json"


class Missing(StrEnum):
    """What becomes of utterances without a hypothesis."""

    REFUSE = "refuse"
    EMPTY = "empty"


class Normalised(StrEnum):
    """What becomes of texts that were normalised before."""

    REFUSE = "refuse"
    ACCEPT = "accept"


@plain_errors
def score(
    reference: Annotated[
        Path,
        typer.Argument(
            metavar="REF", help="References: text, .jsonl, .tsv, Kaldi's text, .stm or .ctm."
        ),
    ],
    hypothesis: Annotated[
        Path, typer.Argument(metavar="HYP", help="What a system wrote, in any of these forms.")
    ],
    language: Annotated[
        str, typer.Option(metavar="LANGUAGE", help="Of both texts: a code (ko) or a name.")
    ],
    metrics: Annotated[
        str,
        typer.Option(
            metavar="NAMES", help="Separated by commas; an unknown one lists those that there are."
        ),
    ] = "cer,wer",
    variants: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Of error rates, separated by commas; default: those of the language.",
        ),
    ] = None,
    format_: Annotated[
        Format, typer.Option("--format", help="A table, or the records of results.json.")
    ] = Format.TABLE,
    missing: Annotated[
        Missing, typer.Option(help="Utterances without a hypothesis: refuse, or count as empty.")
    ] = Missing.REFUSE,
    normalised: Annotated[
        Normalised,
        typer.Option(
            help="Texts that a file says were normalised: refuse, or accept, also what looks so."
        ),
    ] = Normalised.REFUSE,
) -> None:
    """Score the transcripts of any system, with intervals and signatures.

    Texts are matched by their ids where both files have them, else line by line. Speakers that the
    references name are drawn as wholes. See docs/scoring.md.
    """
    from soritune import score as score_texts
    from soritune.languages.names import language_code
    from soritune.scoring.failures import failures_of
    from soritune.scoring.files import read_pairs
    from soritune.scoring.normalised import signs

    code = language_code(language)
    accepted = normalised is Normalised.ACCEPT
    pairs = read_pairs(
        reference,
        hypothesis,
        code,
        missing_as_empty=missing is Missing.EMPTY,
        normalised=accepted,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # said below
        scores = score_texts(
            pairs.references,
            pairs.hypotheses,
            language=code,
            metrics=_words(metrics),
            variants=None if variants is None else _words(variants),
            speakers=pairs.speakers,
            normalised=accepted,
        )
    if not accepted:
        for sign in signs(pairs.references, pairs.hypotheses):
            say(f"warning: {sign}, or accept it with --normalised accept.")
    for note in pairs.notes:
        say(f"note: {note}")
    if format_ is Format.JSON:
        echo_json([asdict(each) for each in scores])
        return
    texts = zip(pairs.references, pairs.hypotheses, strict=True)
    failures = Counter(
        failure for said, written in texts for failure in failures_of(said, written, code)
    )
    _print_table(scores, failures)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _print_table(scores: list[Score], failures: Counter[str]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from soritune.report.table import figures, metric_title
    from soritune.scoring.records import FAILURES

    console = PlainConsole()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("metric")
    for title in ("value", "95 % interval", "mean per utterance"):
        table.add_column(title, justify="right")
    for each in scores:
        value, interval = figures(each)
        macro = "" if each.macro is None else f"{each.macro:.2f}"
        table.add_row(metric_title(each.metric, each.variant), value, interval, macro)
    console.print(table)
    drawn = f", {scores[0].speakers} speakers" if scores[0].speakers else ""
    console.print(Text(f"{scores[0].utterances:,} utterances{drawn}"))
    console.print(Text(", ".join(f"{name} {failures[name]:,}" for name in FAILURES)))
    for each in scores:
        console.print(Text(each.signature, style="dim"), soft_wrap=True)
