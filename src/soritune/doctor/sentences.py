"""Sentences of one list that are nearly among those of another, without comparing all with all.

Near means rapidfuzz's ratio: 100 · (1 − d / (a + b)) for lengths a and b and d insertions and
deletions. Nothing is missed, unlike with MinHash: an insertion or deletion touches at most q of a
sentence's q-grams, so one that is near enough shares a known number of them (Gravano et al.,
"Approximate string joins in a database (almost) for free", VLDB 2001), and only those that do are
compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rapidfuzz import fuzz

NEAR_RATIO = 90.0
SHORT_LENGTH = 12
"""Below this many letters pairs of letters are counted, from here on triples."""

EPSILON = 1e-9
"""So that rounding of a ratio excludes nothing."""


@dataclass(frozen=True)
class Near:
    """Sentence `one` of the first list is nearly `other` of the second (places in the lists).

    `ratio` is that of the two; `others` are all of the second list that are near enough, in order.
    """

    one: int
    other: int
    ratio: float
    others: tuple[int, ...]


def near_sentences(
    ones: Sequence[str],
    others: Sequence[str],
    ratio: float = NEAR_RATIO,
    advance: Callable[[float], None] = lambda amount: None,
) -> Iterator[Near]:
    """For each of `ones` the nearest of `others`, if its ratio is at least `ratio`.

    Equal ones have 100. Of several that are as near the first counts. `advance` is called with
    the number of sentences of `ones` that are done.
    """
    slack = 1 - ratio / 100
    # d is at least |a - b|, so lengths that differ by more cannot reach the ratio.
    widest = (1 + slack) / (1 - slack) + EPSILON
    short = [place for place, text in enumerate(others) if len(text) <= SHORT_LENGTH * widest]
    long = [place for place, text in enumerate(others) if len(text) >= SHORT_LENGTH / widest]
    indexes = {
        2: _Index([others[place] for place in short], short, 2),
        3: _Index([others[place] for place in long], long, 3),
    }
    for place, text in enumerate(ones):
        advance(1)
        if not text:
            continue
        index = indexes[2 if len(text) < SHORT_LENGTH else 3]
        near = {
            candidate: found
            for candidate in index.candidates(text, slack, widest)
            if (found := fuzz.ratio(text, others[candidate], score_cutoff=ratio)) >= ratio
        }
        if near:
            best = min(near, key=lambda candidate: (-near[candidate], candidate))
            yield Near(place, best, near[best], tuple(sorted(near)))


class _Index:
    """Which texts hold which q-grams."""

    def __init__(self, texts: Sequence[str], places: Sequence[int], q: int) -> None:
        self._q = q
        self._places = np.array(places, np.int64)
        self._lengths = np.array([len(text) for text in texts], np.int32)
        numbers: dict[str, int] = {}
        grams: list[int] = []
        sizes: list[int] = []
        for text in texts:
            own = _grams(text, q)
            sizes.append(len(own))
            grams.extend(numbers.setdefault(gram, len(numbers)) for gram in own)
        flat = np.array(grams, np.int64)
        order = np.argsort(flat, kind="stable")
        self._numbers = numbers
        self._holders = np.repeat(np.arange(len(texts), dtype=np.int32), sizes)[order]
        self._starts = np.searchsorted(flat[order], np.arange(len(numbers) + 1))

    def candidates(self, text: str, slack: float, widest: float) -> Iterator[int]:
        """Places of texts whose length fits and that share as many q-grams as they must."""
        grams = _grams(text, self._q)
        fits = (self._lengths >= len(text) / widest) & (self._lengths <= len(text) * widest)
        edits = np.floor(slack * (len(text) + self._lengths) + EPSILON)
        fits &= self._shared(grams) >= len(grams) - self._q * edits
        yield from self._places[np.flatnonzero(fits)].tolist()

    def _shared(self, grams: Sequence[str]) -> npt.NDArray[np.int64]:
        known = [self._numbers[gram] for gram in grams if gram in self._numbers]
        lists = [self._holders[self._starts[n] : self._starts[n + 1]] for n in known]
        together = np.concatenate(lists) if lists else np.zeros(0, np.int32)
        return np.bincount(together, minlength=len(self._lengths))


def _grams(text: str, q: int) -> list[str]:
    """The different q-grams of a text, in their order."""
    return list(dict.fromkeys(text[start : start + q] for start in range(len(text) - q + 1)))
