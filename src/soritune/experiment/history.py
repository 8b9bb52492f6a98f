"""Figures that were replaced, kept aside: one JSON line each in `history.jsonl` of a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from soritune.experiment.plan import Plan
from soritune.files import open_to_append, read_regular, storage_error
from soritune.scoring.score import RAW

HISTORY_FILE = "history.jsonl"


@dataclass(frozen=True)
class Figure:
    """One figure: a metric in a variant, with its interval."""

    metric: str
    value: float
    low: float
    high: float
    variant: str = RAW


@dataclass(frozen=True)
class Replaced:
    """The figures of a case in one evaluation as they were.

    Attributes:
        fingerprint: of the scoring, which stands for all that they depended on.
        replaced: when, UTC, ISO 8601.
        reasons: the settings that differ.
    """

    fingerprint: str
    replaced: str
    case: str
    evaluation: str
    utterances: int
    figures: tuple[Figure, ...]
    reasons: tuple[str, ...] = ()


_LINE = TypeAdapter(Replaced)


def read_history(output: Path) -> list[Replaced]:
    """Return what was replaced in a run's folder, the oldest first; damaged lines are left out."""
    try:
        lines = read_regular(output / HISTORY_FILE).splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            found.append(_LINE.validate_json(line))
        except ValidationError:
            continue
    return found


def keep_figures(
    plan: Plan, case: str, evaluations: Iterable[str], reasons: Sequence[str]
) -> list[Replaced]:
    """Keep figures that are about to be replaced; return those that were not kept before."""
    outdated = [(name, plan.score_stage(case, name).outdated()) for name in evaluations]
    if not any(stage for _, stage in outdated):
        return []
    known = {each.fingerprint for each in read_history(plan.output)}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    kept = [
        Replaced(
            fingerprint=stage[0],
            replaced=now,
            case=case,
            evaluation=name,
            utterances=max((score.utterances for score in stage[1].scores), default=0),
            figures=tuple(
                Figure(score.metric, score.value, score.low, score.high, score.variant)
                for score in stage[1].scores
            ),
            reasons=tuple(reasons),
        )
        for name, stage in outdated
        if stage is not None and stage[0] not in known
    ]
    try:
        with open_to_append(plan.output / HISTORY_FILE) as file:
            # A line that a kill cut short must not swallow the next one.
            file.write(b"".join(b"\n" + _LINE.dump_json(each) + b"\n" for each in kept))
    except OSError as error:
        raise storage_error(error, plan.output) from error
    return kept
