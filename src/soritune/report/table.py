"""The table of an experiment and what may be concluded from it, without layout."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

from soritune.languages.names import language_name
from soritune.report.records import CaseSummary
from soritune.scoring.paired import MIN_UTTERANCES
from soritune.scoring.score import ERROR_RATES, LOWER_IS_BETTER, RAW, Score
from soritune.tasks import Task

MISSING = "—"
METRIC_TITLES = {
    "cer": "CER",
    "wer": "WER",
    "bleu": "BLEU",
    "chrf": "chrF",
    "spacing": "spacing F1",
    "jamo": "jamo error rate",
    "invented": "words invented a minute",
}


@dataclass(frozen=True)
class Column:
    """One column: a metric of one evaluation, in one variant."""

    title: str
    evaluation: str
    metric: str
    lower_is_better: bool
    variant: str = RAW


@dataclass(frozen=True)
class EvaluationSummary:
    """What a column's title depends on; `language` is the spoken one.

    `variants` are those of its first metric.
    """

    name: str
    task: Task
    language: str
    metrics: tuple[str, ...]
    variants: tuple[str, ...] = (RAW,)


@dataclass(frozen=True)
class Row:
    """A case and its results, one a column; None where there is none (yet)."""

    case: CaseSummary
    results: tuple[Score | None, ...]


def columns_for(
    evaluations: Sequence[EvaluationSummary], learnt_language: str
) -> tuple[Column, ...]:
    """Return the columns of the table, in the order of the evaluations.

    Recognition of the learnt language has a column for each metric, and for each further variant of
    the first. That of another language, which shows what was forgotten, has one for the first
    metric, under that language's name. A translation has one under the evaluation's name. The
    evaluation's name precedes titles that would be equal.
    """
    found: list[tuple[str, EvaluationSummary, str, str]] = []
    for evaluation in evaluations:
        learnt = evaluation.task is Task.ASR and evaluation.language == learnt_language
        for place, metric in enumerate(evaluation.metrics if learnt else evaluation.metrics[:1]):
            name, _, tokenizer = metric.partition("/")
            variants = evaluation.variants if name in ERROR_RATES else (tokenizer or RAW,)
            for variant in variants if learnt and not place else variants[:1]:
                found.append((_title(evaluation, name, variant, learnt), evaluation, name, variant))
    titles = [title for title, *_ in found]
    return tuple(
        Column(
            title=(
                title
                if titles.count(title) == 1
                else f"{evaluation.name} {metric_title(metric, variant)}"
            ),
            evaluation=evaluation.name,
            metric=metric,
            lower_is_better=LOWER_IS_BETTER[metric],
            variant=variant,
        )
        for title, evaluation, metric, variant in found
    )


def metric_title(metric: str, variant: str = RAW) -> str:
    """Return `CER`, `CER reading`."""
    title = METRIC_TITLES.get(metric, metric)
    return title if variant == RAW else f"{title} {variant}"


def table(
    results: Sequence[Score], columns: Sequence[Column], cases: Sequence[CaseSummary]
) -> list[Row]:
    """Return one row per case, in their order; of two results of a cell the last counts."""
    cells = {
        (result.case, result.evaluation, result.metric, result.variant): result
        for result in results
    }
    return [
        Row(
            case,
            tuple(
                cells.get((case.name, column.evaluation, column.metric, column.variant))
                for column in columns
            ),
        )
        for case in cases
    ]


def best_values(rows: Sequence[Row], columns: Sequence[Column]) -> list[float | None]:
    """Return the best value of each column; None where it has no result."""
    best: list[float | None] = []
    for index, column in enumerate(columns):
        values = [row.results[index] for row in rows]
        known = [result.value for result in values if result is not None]
        pick = min if column.lower_is_better else max
        best.append(pick(known) if known else None)
    return best


def marked_values(rows: Sequence[Row], columns: Sequence[Column]) -> list[float | None]:
    """Return the value of each column to be marked as its best; None where too few are scored."""
    best = best_values(rows, columns)
    for index in range(len(best)):
        results = [row.results[index] for row in rows]
        if any(is_few(result) for result in results if result is not None):
            best[index] = None
    return best


def is_few(result: Score) -> bool:
    """Return whether nothing can be said of so few utterances: one moves a figure too much."""
    return result.utterances < MIN_UTTERANCES


def best_case(
    rows: Sequence[Row], columns: Sequence[Column], failed: Container[str] = ()
) -> Row | None:
    """Return the row that is best in the first column (the first evaluation's CER).

    Cases in `failed` are left out. Of equals the first, which is the cheapest; None where no case
    has a result there.
    """
    passing = [row for row in rows if row.case.name not in failed]
    best = best_values(passing, columns)
    if not best or best[0] is None:
        return None
    return next(row for row in passing if row.results[0] and row.results[0].value == best[0])


def figures(result: Score | None) -> tuple[str, str]:
    """Return value and interval as they are shown: ("2.72", "2.10–3.40"), ("99.2", "98.9–99.4").

    One decimal, two where the value is below 10. No interval of so few utterances that nothing can
    be said of them.
    """
    if result is None:
        return MISSING, ""
    decimals = 2 if abs(result.value) < 9.995 else 1
    value, low, high = (
        f"{figure:.{decimals}f}" for figure in (result.value, result.low, result.high)
    )
    return value, "" if is_few(result) else f"{low}–{high}"


def _title(evaluation: EvaluationSummary, metric: str, variant: str, learnt: bool) -> str:
    name = metric_title(metric, variant)
    if learnt:
        return name
    if evaluation.task is Task.ASR:
        return f"{language_name(evaluation.language)} {name}"
    return evaluation.name if name == METRIC_TITLES["bleu"] else f"{evaluation.name} {name}"
