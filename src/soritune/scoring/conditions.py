"""Scores by condition: which clips a model finds hard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from soritune.languages import find_language
from soritune.scoring.records import CONDITIONS, ConditionScore
from soritune.scoring.table import Table, scores_of

MIN_GROUP = 20
"""Utterances that a group must have: fewer say nothing (`paired.MIN_UTTERANCES`)."""
_BOUNDS = {
    "length": ((2.0, 5.0, 10.0, 20.0, 30.0), "s"),
    "rate": ((3.0, 4.5, 6.0, 8.0), "/s"),
    "level": ((-40.0, -30.0, -20.0, -10.0), "dBFS"),
    "snr": ((5.0, 10.0, 20.0, 30.0, 40.0), "dB"),
}
"""Bounds between the groups; rate is in the language's spoken units (syllables in Korean)."""


def group_of(condition: str, value: float) -> str:
    """Return the group of a measured value: "5–10 s", "under 2 s", "30 s and more"."""
    bounds, unit = _BOUNDS[condition]
    place = int(np.searchsorted(bounds, value, side="right"))
    if place == 0:
        return f"under {bounds[0]:g} {unit}"
    if place == len(bounds):
        return f"{bounds[-1]:g} {unit} and more"
    return f"{bounds[place - 1]:g} to {bounds[place]:g} {unit}"


def speaking_rate(text: str, language: str, duration_s: float) -> float | None:
    """Return spoken units a second, None where nothing is said."""
    units = find_language(language).spoken_units(text)
    return units / duration_s if units and duration_s > 0 else None


def condition_scores(
    case: str,
    evaluation: str,
    table: Table,
    conditions: Sequence[Mapping[str, str]],
    speakers: Sequence[str | None],
) -> list[ConditionScore]:
    """Return the figure of each group that is large enough, where a condition has two such groups.

    `conditions` has each utterance's group by condition.
    """
    found = []
    for condition in CONDITIONS:
        groups: dict[str, list[int]] = {}
        for place, each in enumerate(conditions):
            if condition in each:
                groups.setdefault(each[condition], []).append(place)
        large = {name: rows for name, rows in groups.items() if len(rows) >= MIN_GROUP}
        if len(large) < 2:
            continue
        for name in sorted(large, key=lambda name: _order(condition, name)):
            rows = large[name]
            part = Table(
                table.metric, table.variant, table.counts[rows], table.scorer, table.signature
            )
            (score,) = scores_of([part], [speakers[row] for row in rows])
            found.append(
                ConditionScore(
                    case=case,
                    evaluation=evaluation,
                    condition=condition,
                    group=name,
                    metric=score.metric,
                    variant=score.variant,
                    value=score.value,
                    low=score.low,
                    high=score.high,
                    utterances=score.utterances,
                )
            )
    return found


def _order(condition: str, name: str) -> tuple[int, str]:
    """Sort measured groups by their values, and others by name."""
    if condition not in _BOUNDS:
        return (0, name)
    bounds, _ = _BOUNDS[condition]
    values = [bounds[0] - 1, *bounds]
    return ([group_of(condition, value) for value in values].index(name), name)
