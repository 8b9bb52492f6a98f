"""Matching n-grams of many pairs of texts at once.

What sacrebleu counts with one dictionary a text, here sorted arrays count for thousands of texts;
the counts are the same (tests/test_scoring_ngrams.py). An n-gram is a hash of 51 bits, so two
different ones of the same utterance are taken for one with a probability of about 10^-12.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from soritune.scoring.bootstrap import Floats

Ids = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_CHUNK_BITS = 12
"""Utterances that are counted at once; their number stands in the highest bits of each key."""
_CHUNK = 1 << _CHUNK_BITS
_CHUNK_LETTERS = 1 << 20
"""Of both sides, above which fewer utterances are counted at once: about 100 MB."""
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
    for start, end in _chunks(said.lengths + written.lengths):
        sides = [_Side(each.part(start, end)) for each in (said, written)]
        alignments = [_Alignment(*sides, from_end=from_end) for from_end in (False, True)]
        for order in range(orders):
            # An n-gram at the same place on both sides is one match, and the rest matches as it
            # would by itself: min(c + a, c + b) = c + min(a, b). So little has to be sorted.
            rest = [side.begins() for side in sides]
            for alignment in alignments:
                alignment.take_matches(*rest)
            places = [np.flatnonzero(each) for each in rest]
            unpaired = np.bincount(sides[0].text[places[0]], minlength=len(sides[0].lengths))
            keys = np.concatenate([each.keys(places[n], n) for n, each in enumerate(sides)])
            matches[start:end, order] = (
                num_said[start:end, order] - unpaired + _matches(keys, len(unpaired))
            )
            for side in sides:
                side.extend()
            for alignment in alignments:
                alignment.extend()
    return num_said, num_written, matches


def _chunks(lengths: Counts) -> Iterator[tuple[int, int]]:
    """Yield first and last place of the utterances that are counted at once."""
    ends = np.cumsum(lengths)
    start = 0
    while start < len(lengths):
        most = ends[start] - lengths[start] + _CHUNK_LETTERS
        fitting = int(np.searchsorted(ends, most, side="right"))
        end = min(max(fitting, start + 1), start + _CHUNK)
        yield start, end
        start = end


class _Side:
    """All texts of one side in a row, and the hash of the n-gram that begins at each place."""

    def __init__(self, texts: Numbered) -> None:
        self.flat, self.lengths = texts.flat, texts.lengths
        self.text = np.repeat(np.arange(len(texts.lengths)), texts.lengths)
        self.starts = np.cumsum(texts.lengths) - texts.lengths
        # Letters from each place to the end of its text.
        self._left = np.repeat(np.cumsum(texts.lengths), texts.lengths) - np.arange(len(self.text))
        self._letters = _mixed(texts.flat.astype(np.uint64) + _ONE)
        self._hashes = self._letters
        self._order = 1

    def begins(self) -> Flags:
        """Return where an n-gram begins."""
        flags: Flags = self._left >= self._order
        return flags

    def keys(self, places: Counts, side: int) -> Ids:
        """Return text, hash and side of the n-grams that begin at `places` in one number."""
        text = self.text[places].astype(np.uint64) << np.uint64(64 - _CHUNK_BITS)
        hashes = self._hashes[places] >> np.uint64(_CHUNK_BITS)
        return text | (hashes & ~_SIDE_BITS) | np.uint64(side)

    def extend(self) -> None:
        """Go on to n-grams of the next order."""
        following = self._letters[self._order :]
        self._hashes = _mixed(self._hashes[: len(following)] * _STEP + following)
        self._order += 1


class _Alignment:
    """N-grams that are equal at the same place of both sides, from the start or from the end."""

    def __init__(self, said: _Side, written: _Side, *, from_end: bool) -> None:
        shift = written.starts - said.starts
        if from_end:
            shift = shift + written.lengths - said.lengths
        places = np.arange(len(said.flat)) + shift[said.text]
        starts, ends = written.starts, written.starts + written.lengths
        there = (places >= starts[said.text]) & (places < ends[said.text])
        self._places = np.where(there, places, 0)
        self._letters = there
        self._letters[there] = said.flat[there] == written.flat[places[there]]
        self._ngrams = self._letters.copy()
        self._order = 1

    def take_matches(self, said: Flags, written: Flags) -> None:
        """Clear the flags of n-grams that are equal in place and not taken yet."""
        places = np.flatnonzero(self._ngrams & said)
        others = self._places[places]
        free = written[others]
        said[places[free]] = False
        written[others[free]] = False

    def extend(self) -> None:
        """Go on to n-grams of the next order."""
        following = self._letters[self._order :]
        self._ngrams[: len(following)] &= following
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
