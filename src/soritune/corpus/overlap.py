"""Sentences that a recipe trains on and tests on, across all its corpora.

Within a corpus, `prepare` sees to it (`selection.py`). Between corpora nothing is taken away,
for which of them shall lose its sentences only a person can say; it is counted and told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from soritune.corpus.card import CorpusCard
from soritune.corpus.hashes import DigestSet, digest64
from soritune.corpus.split import sentence_key

Part = tuple[str, str]
"""A corpus and one of its splits."""


@dataclass(frozen=True)
class Overlap:
    """`shared` of the `utterances` of `trained` have a sentence that `tested` has, too."""

    trained: Part
    tested: Part
    shared: int
    utterances: int

    def __str__(self) -> str:
        return (
            f"{self.shared:,} of {self.utterances:,} utterances of {' '.join(self.trained)} have "
            f"a sentence that {' '.join(self.tested)} is tested on: its figures may be too good"
        )


def find_overlaps(
    folders: Mapping[str, tuple[Path, CorpusCard]],
    trained: Iterable[Part],
    tested: Iterable[Part],
) -> list[Overlap]:
    """Every pair of a part that is trained on and one that is tested on, where they share any.

    `folders` has the prepared corpora; parts of others are passed over. Reads the texts of the
    shards, no audio; holds digests of what is tested.
    """
    held = {part: _sentences(part, folders) for part in dict.fromkeys(tested) if part[0] in folders}
    found: list[Overlap] = []
    for part in dict.fromkeys(trained):
        others = [other for other in held if other != part and len(held[other])]
        if part[0] not in folders or not others:
            continue
        shared = dict.fromkeys(others, 0)
        num_utterances = 0
        for key in _keys(part, folders):
            num_utterances += 1
            for other in others:
                shared[other] += key is not None and key in held[other]
        found += [Overlap(part, o, n, num_utterances) for o, n in shared.items() if n]
    return found


def _sentences(part: Part, folders: Mapping[str, tuple[Path, CorpusCard]]) -> DigestSet:
    found = DigestSet()
    for key in _keys(part, folders):
        if key is not None:
            found.add(key)
    return found


def _keys(part: Part, folders: Mapping[str, tuple[Path, CorpusCard]]) -> Iterator[int | None]:
    corpus, split = part
    folder, card = folders[corpus]
    for text, of_split in _texts([folder / shard.file for shard in card.shards]):
        if of_split == split:
            key = sentence_key(text)
            yield digest64(key) if key else None


def _texts(shards: Sequence[Path]) -> Iterator[tuple[str, str]]:
    import pyarrow.parquet as pq

    for path in shards:
        with pq.ParquetFile(path, memory_map=True) as file:
            table = file.read(columns=["text", "split"], use_threads=False)
        yield from zip(table["text"].to_pylist(), table["split"].to_pylist(), strict=True)
