"""Subsets of utterances by the hashes of their ids.

Such a subset has nothing to do with the order of the source (whose first utterances are often of
one speaker), does not change with other utterances, and is contained in any larger one.
"""

from __future__ import annotations

from collections.abc import Iterable

from soritune.seeding import stable_hash

MAX_RANK = (1 << 64) - 1


def rank(id: str) -> int:
    """Return the place of an utterance in the order in which subsets take them."""
    return stable_hash(id)


def subset(ids: Iterable[str], count: int) -> list[str]:
    """Return the `count` ids of the lowest rank."""
    return sorted(ids, key=rank)[:count]
