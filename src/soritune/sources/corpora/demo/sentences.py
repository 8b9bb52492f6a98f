"""Korean–English sentence pairs of the demo: all combinations of the grammar, in fixed splits.

The text is synthetic: it comes from the templates of this package, not from people. Korean is
Hangul and spaces, English lower-case letters a–z, apostrophe and spaces, both without
punctuation, so that what is written is what is spoken.

The mapping is one to one: no two pairs share a Korean or an English sentence. So a sentence held
out in one language is held out in the other. The split of a pair depends on the SHA-256 of its
Korean sentence alone and does not change when templates are added.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from soritune.seeding import stable_hash
from soritune.sources.corpora.demo.templates import templates
from soritune.utterance import Split

PER_TEMPLATE = 720  # a cap, so that templates with many slots do not crowd out the others
TEST_PERCENT, DEV_PERCENT = 4, 2


@dataclass(frozen=True)
class SentencePair:
    """A Korean sentence and its English translation."""

    korean: str
    english: str


def split_of(korean: str) -> Split:
    """Return the split that a Korean sentence belongs to."""
    place = stable_hash(f"split:{korean}") % 100
    if place < TEST_PERCENT:
        return "test"
    return "dev" if place < TEST_PERCENT + DEV_PERCENT else "train"


@cache
def pairs(split: Split) -> tuple[SentencePair, ...]:
    """Return all pairs of a split, in the order of the templates (the same in every process)."""
    return tuple(pair for pair in all_pairs() if split_of(pair.korean) == split)


@cache
def all_pairs() -> tuple[SentencePair, ...]:
    """Return all pairs of the grammar; of pairs that share a sentence only the first is kept."""
    seen: set[str] = set()
    kept = []
    for pair in _expansions():
        if pair.korean not in seen and pair.english not in seen:
            kept.append(pair)
            seen.update((pair.korean, pair.english))
    return tuple(kept)


def _expansions() -> Iterator[SentencePair]:
    for template in templates():
        found = sorted(template.expand(), key=lambda texts: stable_hash(f"cap:{texts[0]}"))
        yield from (SentencePair(*texts) for texts in found[:PER_TEMPLATE])
