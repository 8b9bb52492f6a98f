"""Matching n-grams of many pairs of texts at once.

What sacrebleu counts with one dictionary a text, here sorted arrays count for thousands of texts;
the counts are the same (tests/test_scoring_ngrams.py). An n-gram is a hash of 51 bits, so two
different ones of the same utterance are taken for one with a probability of about 10^-12.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from soritune.scoring.bootstrap import Floats

Ids = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.int64]

_CHUNK_BITS = 12
"""Utterances that are counted at once; their number stands in the highest bits of each key."""
_CHUNK = 1 << _CHUNK_BITS
# Odd constants of splitmix64 (Steele, Lea and Flood 2014): products spread low bits over high ones.
_SPREAD, _STEP = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)
_SHIFT = np.uint64(29)
_ONE, _SIDE_BITS = np.uint64(1), np.uint64(1)


def match_counts(
    said: Sequence[Sequence[int]], written: Sequence[Sequence[int]], orders: int
) -> tuple[Counts, Counts, Counts]:
    """Return how many n-grams of each order are said, written, and both, each (num_texts, orders).

    `said` and `written` are texts as numbers. An n-gram matches as often as it is on both sides.
    """
    parts = [
        _count(said[start : start + _CHUNK], written[start : start + _CHUNK], orders)
        for start in range(0, len(said), _CHUNK)
    ]
    counts = np.concatenate(parts, axis=1)
    return counts[0], counts[1], counts[2]


def _count(said: Sequence[Sequence[int]], written: Sequence[Sequence[int]], orders: int) -> Counts:
    lengths = [np.array([len(text) for text in side]) for side in (said, written)]
    found = np.zeros((3, len(said), orders), dtype=np.int64)
    for order in range(orders):
        for side in (0, 1):
            found[side, :, order] = np.maximum(lengths[side] - order, 0)
    sides = [_Side(side, size) for side, size in zip((said, written), lengths, strict=True)]
    for order in range(orders):
        keys = np.concatenate([each.keys(number) for number, each in enumerate(sides)])
        found[2, :, order] = _matches(keys, len(said))
        for each in sides:
            each.extend()
    return found


class _Side:
    """All texts of one side in a row, and the hash of the n-gram that begins at each place."""

    def __init__(self, texts: Sequence[Sequence[int]], lengths: Counts) -> None:
        total = int(lengths.sum())
        flat = np.fromiter((each for text in texts for each in text), dtype=np.uint64, count=total)
        self._letters = _mixed(flat + _ONE)
        self._hashes = self._letters
        self._text = np.repeat(np.arange(len(texts), dtype=np.uint64), lengths)
        ends = np.repeat(np.cumsum(lengths), lengths)
        self._left = ends - np.arange(total)  # letters from this place to the end of its text
        self._order = 1

    def keys(self, side: int) -> Ids:
        """Return text, hash and side of each n-gram in one number."""
        valid = self._left[: len(self._hashes)] >= self._order
        text = self._text[: len(self._hashes)][valid] << np.uint64(64 - _CHUNK_BITS)
        hashes = self._hashes[valid] >> np.uint64(_CHUNK_BITS)
        return text | (hashes & ~_SIDE_BITS) | np.uint64(side)

    def extend(self) -> None:
        """Go on to n-grams of the next order."""
        following = self._letters[self._order :]
        self._hashes = _mixed(self._hashes[: len(following)] * _STEP + following)
        self._order += 1


def _mixed(numbers: Ids) -> Ids:
    mixed: Ids = numbers * _SPREAD
    mixed ^= mixed >> _SHIFT
    return mixed * _STEP


def _matches(keys: Ids, num_texts: int) -> Floats:
    """Return for each text how many n-grams are on both sides."""
    if not len(keys):
        return np.zeros(num_texts)
    keys.sort()
    written = (keys & _SIDE_BITS).astype(np.int64)
    ngrams = keys >> _ONE
    starts = np.flatnonzero(np.concatenate([[True], ngrams[1:] != ngrams[:-1]]))
    sizes = np.diff(np.append(starts, len(keys)))
    on_written = np.add.reduceat(written, starts)
    both = np.minimum(on_written, sizes - on_written)
    texts = (keys[starts] >> np.uint64(64 - _CHUNK_BITS)).astype(np.int64)
    return np.bincount(texts, weights=both, minlength=num_texts)
