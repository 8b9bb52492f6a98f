"""Tests between cases that were measured on the same utterances.

The p value is that of approximate randomisation (Noreen 1989; Riezler and Maxwell 2005): under the
hypothesis that it does not matter which case wrote an utterance, the two outputs of each utterance
are swapped at random, or in all ways where these are few. The interval is that of the paired
bootstrap (Koehn 2004). Where speakers are enough, all utterances of a speaker are swapped and drawn
together. The p values of a table are corrected by Holm (1979).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from soritune.scoring.bootstrap import (
    SEED,
    Clusters,
    Floats,
    Scorer,
    interval_of,
    resampled_sums,
)
from soritune.scoring.records import PairedTest, Verdict
from soritune.scoring.score import LOWER_IS_BETTER

NUM_SHUFFLES = 20_000
"""So many that even 200 tests of a table can reach p < 0.01 after Holm's correction. Where there
are no more exchanges than this, as of 14 speakers, each is made once and p is exact."""
MIN_UTTERANCES = 20
ALPHA = 0.05
_BLOCK = 256
# Sums of floats in another order differ in their last bits; that is not a larger difference.
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Measured:
    """What a case has in one column: counts of each utterance, shape (num_utterances, k)."""

    case: str
    table: Floats


def paired_tests(
    evaluation: str,
    metric: str,
    variant: str,
    cases: Sequence[Measured],
    scorer: Scorer,
    clusters: Clusters,
    num_shuffles: int = NUM_SHUFFLES,
) -> list[PairedTest]:
    """Test every later case against every earlier one; p values are not corrected yet.

    All tables have the same utterances in the same order.
    """
    sizes = {each.table.shape for each in cases}
    if len(sizes) > 1:
        raise ValueError(f"{evaluation} {metric}: cases have tables of the shapes {sizes}")
    if len(cases) < 2:
        return []
    number = len(cases[0].table)
    few = number < MIN_UTTERANCES or clusters.speakers == 1
    side_by_side = np.concatenate([each.table for each in cases], axis=1)
    resampled = resampled_sums(side_by_side, clusters=clusters)
    scores = [scorer(part) for part in np.split(resampled, len(cases), axis=1)]
    pairs = [(a, b) for b in range(len(cases)) for a in range(b)]
    totals = [each.table.sum(axis=0, keepdims=True) for each in cases]
    values = [float(scorer(total)[0]) for total in totals]
    p_values: list[float | None] = [None] * len(pairs)
    if not few:
        drawn = [clusters.sums(each.table) for each in cases]
        differences = np.concatenate([drawn[b] - drawn[a] for a, b in pairs], axis=1)
        exact = 2 ** len(differences) <= num_shuffles
        sums = _all_sums(differences) if exact else _shuffled_sums(differences, num_shuffles)
        for place, ((a, b), moved) in enumerate(
            zip(pairs, np.split(sums, len(pairs), axis=1), strict=True)
        ):
            shuffled = scorer(totals[b] - moved) - scorer(totals[a] + moved)
            as_large = np.abs(shuffled) >= abs(values[b] - values[a]) - _TOLERANCE
            # What was found is one of all exchanges, and counts as one more of those drawn.
            p_values[place] = float((as_large.sum() + (not exact)) / (len(sums) + (not exact)))
    found = []
    for (a, b), p in zip(pairs, p_values, strict=True):
        low, high = interval_of(scores[b] - scores[a], clusters)
        found.append(
            PairedTest(
                evaluation=evaluation,
                metric=metric,
                variant=variant,
                case_a=cases[a].case,
                case_b=cases[b].case,
                difference=values[b] - values[a],
                low=low,
                high=high,
                p=p,
                p_holm=None,
                verdict="too few to say",
                utterances=number,
                clusters=clusters.speakers if clusters.index is not None else None,
            )
        )
    return found


def corrected(tests: Sequence[PairedTest]) -> list[PairedTest]:
    """Return the tests of one table with p after Holm's correction, and their verdicts.

    Holm: the i-th smallest of m values times m - i + 1, none below the one before it, at most 1.
    """
    known = sorted((test.p, place) for place, test in enumerate(tests) if test.p is not None)
    p_holm: dict[int, float] = {}
    highest = 0.0
    for rank, (p, place) in enumerate(known):
        highest = min(1.0, max(highest, p * (len(known) - rank)))
        p_holm[place] = highest
    return [
        replace(test, p_holm=p_holm.get(place), verdict=_verdict(test, p_holm.get(place)))
        for place, test in enumerate(tests)
    ]


def _verdict(test: PairedTest, p_holm: float | None) -> Verdict:
    if p_holm is None:
        return "too few to say"
    if p_holm >= ALPHA or test.difference == 0:
        return "no difference shown"
    return "better" if (test.difference < 0) == LOWER_IS_BETTER[test.metric] else "worse"


def _all_sums(differences: Floats) -> Floats:
    """Return the sum of each subset of the rows: (2 ** num_rows, k)."""
    number = len(differences)
    subsets = np.arange(2**number)[:, np.newaxis] >> np.arange(number) & 1
    return subsets.astype(np.float64) @ differences


def _shuffled_sums(differences: Floats, num_shuffles: int) -> Floats:
    """Return the sum of a random half of the rows, once a shuffle: (num_shuffles, k)."""
    rng = np.random.default_rng(SEED)
    number = len(differences)
    sums = np.empty((num_shuffles, differences.shape[1]))
    for start in range(0, num_shuffles, _BLOCK):
        rows = min(_BLOCK, num_shuffles - start)
        bits = np.frombuffer(rng.bytes(rows * ((number + 7) // 8)), dtype=np.uint8)
        swapped = np.unpackbits(bits.reshape(rows, -1), axis=1, count=number)
        sums[start : start + rows] = swapped.astype(np.float64) @ differences
    return sums
