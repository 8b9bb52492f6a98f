"""The table of an experiment and what may be concluded from it, without layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from soritune.languages.names import language_name
from soritune.report.records import CaseSummary
from soritune.scoring.score import LOWER_IS_BETTER, Score
from soritune.tasks import Task

MISSING = "—"
METRIC_TITLES = {"cer": "CER", "wer": "WER", "bleu": "BLEU", "chrf": "chrF"}


@dataclass(frozen=True)
class Column:
    """One column: a metric of one evaluation."""

    title: str
    evaluation: str
    metric: str
    lower_is_better: bool


@dataclass(frozen=True)
class EvaluationSummary:
    """What a column's title depends on; `language` is the spoken one."""

    name: str
    task: Task
    language: str
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """A case and its results, one a column; None where there is none (yet)."""

    case: CaseSummary
    results: tuple[Score | None, ...]


@dataclass(frozen=True)
class Comparison:
    """A later case against an earlier one in one column.

    `certain` where their intervals do not overlap; `better` is about the values alone.
    """

    column: Column
    earlier: CaseSummary
    later: CaseSummary
    certain: bool
    better: bool


def columns_for(
    evaluations: Sequence[EvaluationSummary], learnt_language: str
) -> tuple[Column, ...]:
    """Return the columns of the table, in the order of the evaluations.

    Recognition of the learnt language has a column for each metric. That of another language, which
    shows what was forgotten, has one for the first metric, under that language's name. A
    translation has one under the evaluation's name. The evaluation's name precedes titles that
    would be equal.
    """
    found = []
    for evaluation in evaluations:
        learnt = evaluation.task is Task.ASR and evaluation.language == learnt_language
        shown = evaluation.metrics if learnt else evaluation.metrics[:1]
        found += [(_title(evaluation, metric, learnt), evaluation, metric) for metric in shown]
    titles = [title for title, _, _ in found]
    return tuple(
        Column(
            title=(
                title
                if titles.count(title) == 1
                else f"{evaluation.name} {METRIC_TITLES.get(metric, metric)}"
            ),
            evaluation=evaluation.name,
            metric=metric,
            lower_is_better=LOWER_IS_BETTER[metric],
        )
        for title, evaluation, metric in found
    )


def table(
    results: Sequence[Score], columns: Sequence[Column], cases: Sequence[CaseSummary]
) -> list[Row]:
    """Return one row per case, in their order; of two results of a cell the last counts."""
    cells = {(result.case, result.evaluation, result.metric): result for result in results}
    return [
        Row(
            case,
            tuple(cells.get((case.name, column.evaluation, column.metric)) for column in columns),
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


def best_case(rows: Sequence[Row], columns: Sequence[Column]) -> Row | None:
    """Return the row that is best in the first column (the first evaluation's CER).

    Of equals the first, which is the cheapest; None where no case has a result there.
    """
    best = best_values(rows, columns)
    if not best or best[0] is None:
        return None
    return next(row for row in rows if row.results[0] and row.results[0].value == best[0])


def comparisons(rows: Sequence[Row], columns: Sequence[Column]) -> list[Comparison]:
    """Compare every later case with every earlier one, by column, where both have results."""
    found = []
    for index, column in enumerate(columns):
        for at, row in enumerate(rows):
            later = row.results[index]
            for before in rows[:at]:
                earlier = before.results[index]
                if later is None or earlier is None:
                    continue
                gain = earlier.value - later.value
                found.append(
                    Comparison(
                        column=column,
                        earlier=before.case,
                        later=row.case,
                        certain=later.low > earlier.high or later.high < earlier.low,
                        better=gain > 0 if column.lower_is_better else gain < 0,
                    )
                )
    return found


def figures(result: Score | None) -> tuple[str, str]:
    """Return value and interval as they are shown: ("2.72", "2.10–3.40"), ("99.2", "98.9–99.4").

    One decimal, two where the value is below 10.
    """
    if result is None:
        return MISSING, ""
    decimals = 2 if abs(result.value) < 9.995 else 1
    value, low, high = (
        f"{figure:.{decimals}f}" for figure in (result.value, result.low, result.high)
    )
    return value, f"{low}–{high}"


def _title(evaluation: EvaluationSummary, metric: str, learnt: bool) -> str:
    name = METRIC_TITLES.get(metric, metric)
    if learnt:
        return name
    if evaluation.task is Task.ASR:
        return f"{language_name(evaluation.language)} {name}"
    return evaluation.name if metric == "bleu" else f"{evaluation.name} {name}"
