"""95 % intervals by resampling utterances (percentile bootstrap)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

# Those of sacrebleu (--confidence, significance.py); its draws are repeated here one by one, so
# that its intervals and ours agree, and so that all models are resampled alike.
NUM_RESAMPLES = 1000
SEED = 12345

Floats = npt.NDArray[np.float64]


def bootstrap_interval(
    statistics: npt.ArrayLike,
    scores_from_sums: Callable[[Floats], Floats],
    num_resamples: int = NUM_RESAMPLES,
    seed: int = SEED,
) -> tuple[float, float]:
    """Lower and upper bound of the 95 % interval of a corpus score.

    `statistics` has the shape (num_utterances, num_statistics): what sums over utterances to
    the corpus' statistics. `scores_from_sums` maps such sums, shape (num_resamples,
    num_statistics), to scores, shape (num_resamples,). Each resample draws as many utterances as
    there are, with replacement; the bounds are the scores at rank n/40 from either end.
    Raises ValueError on an empty or wrongly shaped table.
    """
    table = np.asarray(statistics, dtype=np.float64)
    if table.ndim != 2 or not len(table):
        raise ValueError(f"statistics: expected (num_utterances, k), got shape {table.shape}")
    if num_resamples < 1:
        raise ValueError(f"num_resamples must be at least 1, got {num_resamples}")
    rng = np.random.default_rng(seed)
    num_utterances = len(table)
    sums = np.empty((num_resamples, table.shape[1]))
    # Row by row: the whole index table of a large test set would take gigabytes.
    for row in sums:
        drawn = rng.integers(0, num_utterances, size=num_utterances)
        row[:] = np.bincount(drawn, minlength=num_utterances) @ table
    scores = np.sort(scores_from_sums(sums))
    lower = num_resamples // 40
    return float(scores[lower]), float(scores[num_resamples - lower - 1])
