"""Which utterances an epoch takes from each corpus: shares, caps, weights, replays."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import floor

import numpy as np

from soritune.corpus.store import Corpus, Record
from soritune.errors import UserError
from soritune.recipe import TrainPart
from soritune.seeding import generator

ExcludedIds = Mapping[tuple[str, str], Collection[str]]
"""Ids of utterances that are not trained on, by corpus and split."""
NOTHING_EXCLUDED: ExcludedIds = {}


def choose_records(
    parts: Sequence[TrainPart],
    corpora: Mapping[str, Corpus],
    seed: int,
    epoch: int,
    excluded: ExcludedIds = NOTHING_EXCLUDED,
) -> list[tuple[TrainPart, Record]]:
    """Return the utterances of one epoch, with the part that takes each.

    A part with a share or a limit keeps the same utterances in every epoch, whatever the other
    parts are. Parts with weights together have as many examples as they have utterances, divided by
    the weights; each repeats no utterance before all have been taken, from epoch to epoch. A replay
    part (its number is a fraction of all others together) draws again in each epoch.

    Raises:
        UserError: a split is empty, all of it is excluded, or a limit excludes all.
    """
    pools = [_pool(part, corpora, seed, excluded) for part in parts]
    weighted = [number for number, part in enumerate(parts) if part.weight is not None]
    counts = dict(
        zip(
            weighted,
            apportion(
                sum(len(pools[number]) for number in weighted),
                [parts[number].weight or 0.0 for number in weighted],
            ),
            strict=True,
        )
    )
    chosen: list[tuple[TrainPart, Record]] = []
    for number, (part, pool) in enumerate(zip(parts, pools, strict=True)):
        if part.weight is not None:
            dealt = _deal(part, pool, counts[number], seed, epoch)
            chosen.extend((part, record) for record in dealt)
        elif part.replay is None:
            chosen.extend((part, record) for record in pool)
    others = len(chosen)
    for part, pool in zip(parts, pools, strict=True):
        if part.replay is not None:
            count = max(1, round(others * part.replay))
            random = generator(seed, "replay", part.corpus, part.split, epoch)
            order = np.concatenate(
                [random.permutation(len(pool)) for _ in range(-(-count // len(pool)))]
            )
            chosen.extend((part, pool[i]) for i in order[:count])
    return chosen


def apportion(total: int, weights: Sequence[float]) -> list[int]:
    """Divide `total` in proportion to `weights`, each at least 1, by the largest remainders.

    The sum is `total` unless that is less than the number of weights.
    """
    if not weights:
        return []
    exact = [total * weight / sum(weights) for weight in weights]
    counts = [max(1, floor(share)) for share in exact]
    by_remainder = sorted(range(len(weights)), key=lambda i: (floor(exact[i]) - exact[i], i))
    for i in by_remainder[: max(0, total - sum(counts))]:
        counts[i] += 1
    while sum(counts) > max(total, len(counts)):  # those that were raised to 1 cost the largest
        counts[counts.index(max(counts))] -= 1
    return counts


def _pool(
    part: TrainPart, corpora: Mapping[str, Corpus], seed: int, excluded: ExcludedIds
) -> list[Record]:
    """Return what a part may take, in the order of the corpus."""
    records = corpora[part.corpus].records(part.split)
    if not records:
        raise UserError(
            f'corpus "{part.corpus}" has no utterances in split "{part.split}" to train on'
        )
    without = excluded.get((part.corpus, part.split))
    if without:
        records = [record for record in records if record.id not in without]
        if not records:
            raise UserError(
                f'corpus "{part.corpus}": dev or test of another corpus has the sentences of all '
                f'utterances of split "{part.split}"; write shared_sentences: keep in the case to '
                f"train on them"
            )
    if part.share == 1.0 and part.max_hours is None and part.max_utterances is None:
        return records
    count = max(1, round(len(records) * part.share))
    if part.max_utterances is not None:
        count = min(count, part.max_utterances)
    # A larger share or cap takes what a smaller one took, and more.
    order = generator(seed, "share", part.corpus, part.split).permutation(len(records))[:count]
    if part.max_hours is not None:
        lengths_s = np.cumsum([records[i].duration_s for i in order])
        order = order[: int(np.searchsorted(lengths_s, part.max_hours * 3600, side="right"))]
        if not len(order):
            raise UserError(
                f'corpus "{part.corpus}": max_hours {part.max_hours:g} lets not one utterance of '
                f'split "{part.split}" through; raise it'
            )
    return [records[i] for i in sorted(order)]


def _deal(
    part: TrainPart, pool: Sequence[Record], count: int, seed: int, epoch: int
) -> list[Record]:
    """Return the next `count` records of an endless series of shuffles, after the last epoch's."""
    dealt: list[Record] = []
    position = epoch * count
    while len(dealt) < count:
        deck, start = divmod(position + len(dealt), len(pool))
        order = generator(seed, "weight", part.corpus, part.split, deck).permutation(len(pool))
        dealt.extend(pool[i] for i in order[start : start + count - len(dealt)])
    return dealt
