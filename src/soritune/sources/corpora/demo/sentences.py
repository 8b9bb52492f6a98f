"""Korean–English sentence pairs of the demo: all combinations of the grammar, split for good.

The text is synthetic: it comes from the templates of this package, not from people. Korean is
Hangul and spaces, English lower-case letters a–z, apostrophe and spaces, both without
punctuation, so that what is written is what is spoken.

The mapping is one to one: no two pairs share a Korean or an English sentence. So a sentence held
out in one language is held out in the other. The split of a pair hangs on the SHA-256 of its
Korean sentence alone and does not change when templates are added.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from soritune.sources.corpora.demo import templates_shopping_work as shopping_work
from soritune.sources.corpora.demo import templates_travel_time as travel_time
from soritune.utterance import Split

TEMPLATES = (
    *travel_time.TRAVEL,
    *travel_time.TIME,
    *shopping_work.COUNTING,
    *shopping_work.SHOPPING,
    *shopping_work.FOOD,
    *shopping_work.WORK,
    *shopping_work.LIFE,
)
PER_TEMPLATE = 720  # a cap, so that templates with many slots do not crowd out the others
TEST_PERCENT, DEV_PERCENT = 4, 2


@dataclass(frozen=True)
class SentencePair:
    """A Korean sentence and its English translation."""

    korean: str
    english: str


def split_of(korean: str) -> Split:
    """The split that a Korean sentence belongs to."""
    place = _hash(f"split:{korean}") % 100
    if place < TEST_PERCENT:
        return "test"
    return "dev" if place < TEST_PERCENT + DEV_PERCENT else "train"


@cache
def pairs(split: Split) -> tuple[SentencePair, ...]:
    """All pairs of a split, in the order of the templates (the same in every process)."""
    return tuple(pair for pair in all_pairs() if split_of(pair.korean) == split)


@cache
def all_pairs() -> tuple[SentencePair, ...]:
    """All pairs of the grammar; of pairs that share a sentence only the first is kept."""
    seen: set[str] = set()
    kept = []
    for pair in _expansions():
        if pair.korean not in seen and pair.english not in seen:
            kept.append(pair)
            seen.update((pair.korean, pair.english))
    return tuple(kept)


def _expansions() -> Iterator[SentencePair]:
    for template in TEMPLATES:
        found = sorted(template.expand(), key=lambda texts: _hash(f"cap:{texts[0]}"))
        yield from (SentencePair(*texts) for texts in found[:PER_TEMPLATE])


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
