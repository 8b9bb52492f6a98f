"""What a figure is made of: counts of each utterance that sum to the corpus' figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from soritune.scoring.bootstrap import (
    NUM_RESAMPLES,
    SEED,
    Clusters,
    Floats,
    Scorer,
    interval_of,
    resampled_sums,
)
from soritune.scoring.score import LOWER_IS_BETTER, Score


@dataclass(frozen=True)
class Table:
    """Counts of one metric in one variant.

    Attributes:
        counts: shape (num_utterances, k).
        scorer: scores from sums of counts, shape (n, k) to (n,).
        exact: the same for one row as the library has it to the last bit.
        signature: all that decides about the value.
        macro: mean of the utterances' own rates, None where the metric has none.
    """

    metric: str
    variant: str
    counts: Floats
    scorer: Scorer
    signature: str
    macro: float | None = None
    exact: Callable[[Floats], float] | None = None

    @property
    def value(self) -> float:
        total = self.counts.sum(axis=0)
        if self.exact is not None:
            return self.exact(total)
        return float(self.scorer(total[np.newaxis])[0])


def scores_of(
    tables: Sequence[Table],
    speakers: Sequence[str | None] | None = None,
    *,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = SEED,
) -> list[Score]:
    """Return the figure of each table with its interval; all of them share the draws.

    `speakers` of the utterances, where they are known.
    """
    clusters = Clusters.of(speakers)
    widths = np.cumsum([table.counts.shape[1] for table in tables])[:-1]
    side_by_side = np.concatenate([table.counts for table in tables], axis=1)
    resampled = resampled_sums(side_by_side, num_resamples, seed, clusters)
    drawn = "speakers" if clusters.index is not None else "utterances"
    found = []
    for table, sums in zip(tables, np.split(resampled, widths, axis=1), strict=True):
        rate = table.value if LOWER_IS_BETTER[table.metric] else None
        log_t = ".log-t" if rate is not None and clusters.index is not None else ""
        low, high = interval_of(table.scorer(sums), clusters, rate=rate)
        found.append(
            Score(
                metric=table.metric,
                variant=table.variant,
                value=table.value,
                low=low,
                high=high,
                macro=table.macro,
                utterances=len(table.counts),
                speakers=clusters.speakers,
                clustered=clusters.index is not None,
                signature=f"{table.signature}|bs:{num_resamples}|drawn:{drawn}{log_t}|seed:{seed}",
            )
        )
    return found
