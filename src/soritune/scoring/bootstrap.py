"""95 % intervals by resampling utterances, or speakers with all their utterances.

Utterances of one voice are not independent. Where enough speakers are known, they are drawn as
wholes (cluster bootstrap; Bisani and Ney 2004 draw utterances, and recommend speakers). Few of them
spread less than they should, by sqrt((G - 1) / G) for G speakers, and their rates are skewed, so:

- a rate has the interval rate * exp(+-t(0.975, G - 1) sqrt(G / (G - 1)) s), where s is the standard
  deviation of the logarithms of the resamples: Student's interval on the scale of the logarithm;
- other scores, and differences, have percentiles that are widened as much: alpha becomes
  2 Phi(-sqrt(G / (G - 1)) t(0.975, G - 1)) (Hesterberg 2015, The American Statistician 69(4),
  "expanded percentile").

benchmarks/scoring_coverage.py measures how often they hold the truth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

# Those of sacrebleu (--confidence, significance.py); its draws are repeated here one by one, so
# that its intervals and ours agree, and so that all models are resampled alike.
NUM_RESAMPLES = 1000
SEED = 12345
MIN_SPEAKERS = 6
"""With fewer, no exchange of speakers can be rarer than 5 % (2 of 2^5): utterances are drawn, and
what is shown holds for these speakers alone."""
# Resamples whose counts are multiplied at once: enough for the matrix product to be fast.
_BLOCK = 32

Floats = npt.NDArray[np.float64]
Scorer = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Clusters:
    """Which utterances belong together.

    Attributes:
        speakers: number of speakers, None where not all are known.
        index: speaker of each utterance, from 0; None where utterances are drawn singly.
    """

    speakers: int | None = None
    index: npt.NDArray[np.int64] | None = None

    @classmethod
    def of(cls, speakers: Sequence[str | None] | None) -> Clusters:
        """Group utterances by their speakers, where all are known and they are enough."""
        if speakers is None or not speakers or None in speakers:
            return cls()
        numbers = {speaker: number for number, speaker in enumerate(dict.fromkeys(speakers))}
        if len(numbers) < MIN_SPEAKERS:
            return cls(len(numbers))
        return cls(len(numbers), np.array([numbers[each] for each in speakers]))

    def sums(self, table: Floats) -> Floats:
        """Return what is drawn and swapped: rows of utterances, or their sums by speaker."""
        if self.index is None:
            return table
        found = np.zeros((self.speakers or 0, table.shape[1]))
        np.add.at(found, self.index, table)
        return found


SINGLY = Clusters()
"""Every utterance by itself."""


def resampled_sums(
    table: Floats,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = SEED,
    clusters: Clusters = Clusters(),
) -> Floats:
    """Return the sums of each resample, shape (num_resamples, num_statistics).

    The draws depend on the number of utterances and the seed alone, so tables of several metrics or
    cases may stand side by side, and differences between them are paired.
    """
    if table.ndim != 2 or not len(table):
        raise ValueError(f"statistics: expected (num_utterances, k), got shape {table.shape}")
    if num_resamples < 1:
        raise ValueError(f"num_resamples must be at least 1, got {num_resamples}")
    drawn = clusters.sums(table)
    counts = _counts(len(drawn), num_resamples, seed)
    return np.concatenate([block @ drawn for block in counts])


def interval_of(
    scores: Floats, clusters: Clusters = Clusters(), *, rate: float | None = None
) -> tuple[float, float]:
    """Return the bounds that the scores of resamples give.

    `rate` is the value itself, of a score that is a rate (0 or more, without an upper bound).
    """
    ordered = np.sort(scores)
    share = 1 / 40
    if clusters.index is not None and clusters.speakers:
        number = clusters.speakers
        wider = math.sqrt(number / (number - 1)) * t_quantile(0.975, number - 1)
        if rate is not None and ordered[0] > 0:
            factor = math.exp(wider * float(np.log(ordered).std(ddof=1)))
            return rate / factor, rate * factor
        share = NormalDist().cdf(-wider)
    rank = int(len(ordered) * share)
    return float(ordered[rank]), float(ordered[len(ordered) - rank - 1])


@cache
def t_quantile(probability: float, degrees: int) -> float:
    """Return the quantile of Student's t above 0.5 for a whole number of degrees of freedom."""
    low, high = 0.0, 1e6
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _t_cdf(middle, degrees) < probability else (low, middle)
    return high


def _t_cdf(t: float, degrees: int) -> float:
    """Return P(T < t) for t above 0 (Abramowitz and Stegun 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(degrees))
    cosine = math.cos(angle)
    odd = degrees % 2
    term = cosine if odd else 1.0
    total = term if degrees > 1 else 0.0
    for k in range(3 if odd else 2, degrees - 1, 2):
        term *= cosine**2 * (k - 1) / k
        total += term
    within = math.sin(angle) * total
    return 0.5 + (0.5 * within if not odd else (angle + within) / math.pi)


def _counts(number: int, num_resamples: int, seed: int) -> Iterator[Floats]:
    """Yield how often each row is drawn, shape (resamples of a block, number).

    Block by block: the whole table of a large test set would take gigabytes.
    """
    rng = np.random.default_rng(seed)
    for start in range(0, num_resamples, _BLOCK):
        rows = min(_BLOCK, num_resamples - start)
        # The same numbers as row by row; each row counts in bins of its own.
        drawn = rng.integers(0, number, size=(rows, number)) + number * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * number)
        yield counts.reshape(rows, number).astype(np.float64)
