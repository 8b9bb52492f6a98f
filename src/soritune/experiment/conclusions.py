"""What follows from the scores of all cases: paired tests, and which skills were kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from soritune.experiment.plan import Plan
from soritune.recipe.schema import ORIGINAL
from soritune.report.table import Column
from soritune.scoring.bootstrap import Clusters
from soritune.scoring.evaluate import SCORERS
from soritune.scoring.paired import Measured, corrected, paired_tests
from soritune.scoring.records import PairedTest, RetentionVerdict, UtteranceScore
from soritune.scoring.retention import retention_verdicts
from soritune.scoring.utterances import counts_name, read_utterances


def compare_cases(plan: Plan, columns: Sequence[Column]) -> list[PairedTest]:
    """Test the cases that are scored against each other in every column, corrected by Holm."""
    read: dict[str, dict[str, list[UtteranceScore]]] = {}
    found = []
    for column in columns:
        name = column.evaluation
        if name not in read:
            read[name] = _scored(plan, name)
        cases = read[name]
        if len({tuple(each.id for each in lines) for lines in cases.values()}) != 1:
            continue  # nothing is scored yet, or not the same: the report says so
        key = counts_name(column.metric, column.variant)
        tables = [
            Measured(case, np.array([line.counts[key] for line in lines], dtype=np.float64))
            for case, lines in cases.items()
            if all(key in line.counts for line in lines)
        ]
        speakers = [line.speaker for line in next(iter(cases.values()))]
        found += paired_tests(
            name,
            column.metric,
            column.variant,
            tables,
            SCORERS[column.metric],
            Clusters.of(speakers),
        )
    return corrected(found)


def judge_retention(plan: Plan, tests: Sequence[PairedTest]) -> list[RetentionVerdict]:
    """Return a verdict for each trained case in each evaluation that is marked `retain`."""
    allowed = {
        (name, settings.metric_names[0].partition("/")[0]): settings.retain.worse_by
        for name, settings in plan.recipe.evaluate.items()
        if settings.retain is not None
    }
    first: dict[tuple[str, str, str], float] = {}
    for test in tests:
        key = (test.evaluation, test.metric)
        if key in allowed:
            first.setdefault((*key, test.variant), allowed.pop(key))
    return retention_verdicts(tests, ORIGINAL, first)


def _scored(plan: Plan, evaluation: str) -> dict[str, list[UtteranceScore]]:
    found = {}
    for case in (ORIGINAL, *plan.recipe.cases, *plan.other_models()):
        if plan.score_stage(case, evaluation).done() is not None:
            lines = read_utterances(plan.utterances_path(case, evaluation))
            if lines is not None:
                found[case] = lines
    return found
