"""Matching n-grams of many pairs of texts at once.

What sacrebleu counts with one dictionary a text, here sorted arrays count for thousands of texts;
the counts are the same (tests/test_scoring_ngrams.py). An n-gram is a hash of 51 bits, so two
different ones of the same utterance are taken for one with a probability of about 10^-12.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

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


@dataclass(frozen=True)
class Numbered:
    """Texts as numbers (of characters, of words), one behind the other, and their lengths."""

    flat: npt.NDArray[np.uint32]
    lengths: Counts

    @classmethod
    def of_characters(cls, texts: Sequence[str]) -> Numbered:
        """Number the characters of texts; white space is left out, as chrF has it."""
        joined = ["".join(text.split()) for text in texts]
        flat = np.frombuffer("".join(joined).encode("utf-32-le", "surrogatepass"), dtype="<u4")
        return cls(flat, np.array(list(map(len, joined)), dtype=np.int64))

    @classmethod
    def of_words(cls, texts: Sequence[Sequence[int]]) -> Numbered:
        """Take texts as numbers of their words."""
        lengths = np.array(list(map(len, texts)), dtype=np.int64)
        flat = np.fromiter(chain.from_iterable(texts), dtype=np.uint32, count=int(lengths.sum()))
        return cls(flat, lengths)

    def part(self, start: int, end: int) -> Numbered:
        """Return some of the texts."""
        ends = np.concatenate([[0], np.cumsum(self.lengths)])
        last = min(end, len(self.lengths))
        return Numbered(self.flat[ends[start] : ends[last]], self.lengths[start:last])


def match_counts(said: Numbered, written: Numbered, orders: int) -> tuple[Counts, Counts, Counts]:
    """Return how many n-grams of each order are said, written, and both, each (num_texts, orders).

    An n-gram matches as often as it is on both sides.
    """
    number = len(said.lengths)
    shorter = np.arange(orders)
    num_said, num_written = (
        np.maximum(side.lengths[:, np.newaxis] - shorter, 0) for side in (said, written)
    )
    matches = np.empty((number, orders), dtype=np.int64)
    for start in range(0, number, _CHUNK):
        end = start + _CHUNK
        sides = [_Side(each.part(start, end)) for each in (said, written)]
        for order in range(orders):
            keys = np.concatenate([each.keys(side) for side, each in enumerate(sides)])
            matches[start:end, order] = _matches(keys, min(_CHUNK, number - start))
            for each in sides:
                each.extend()
    return num_said, num_written, matches


class _Side:
    """All texts of one side in a row, and the hash of the n-gram that begins at each place."""

    def __init__(self, texts: Numbered) -> None:
        self._letters = _mixed(texts.flat.astype(np.uint64) + _ONE)
        self._hashes = self._letters
        self._text = np.repeat(np.arange(len(texts.lengths), dtype=np.uint64), texts.lengths)
        ends = np.repeat(np.cumsum(texts.lengths), texts.lengths)
        self._left = ends - np.arange(len(ends))  # letters from this place to the end of its text
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
    return np.bincount(texts, weights=both, minlength=num_texts).astype(np.float64)
