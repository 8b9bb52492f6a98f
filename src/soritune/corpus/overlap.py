"""Sentences that a recipe trains on and tests on, across all its corpora.

Within a corpus, `prepare` sees to it (`selection.py`). Between corpora it is for each case to
leave them out (`shared_sentences` of a case), for what one case is not tested on, another may be.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from soritune.corpus.card import CorpusCard
from soritune.corpus.hashes import DigestSet, digest64
from soritune.sources.split import sentence_key

Part = tuple[str, str]
"""A corpus and one of its splits."""

Folders = Mapping[str, tuple[Path, CorpusCard]]
"""Prepared corpora; parts of others are passed over."""


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


@dataclass(frozen=True)
class LeftOut:
    """The `ids` of `trained`, of `utterances`, whose sentences `tested` have, too."""

    trained: Part
    tested: tuple[Part, ...]
    ids: tuple[str, ...]
    utterances: int

    def __str__(self) -> str:
        others = ", ".join(" ".join(part) for part in self.tested)
        return (
            f"{len(self.ids):,} of {self.utterances:,} utterances of {' '.join(self.trained)} are "
            f"left out, because {others} {'has' if len(self.tested) == 1 else 'have'} their "
            f"sentences, too (shared_sentences: keep takes them all the same)"
        )


def find_overlaps(folders: Folders, wanted: Mapping[Part, Collection[Part]]) -> list[Overlap]:
    """Every pair of a part that is trained on and one of those it is `wanted` to be held against,
    where they share any.

    Reads the texts of the shards, no audio; holds digests of what is tested.
    """
    found: list[Overlap] = []
    for part, tested in wanted.items():
        held = _held(tested, folders)
        if part[0] not in folders or not held:
            continue
        shared = dict.fromkeys(held, 0)
        num_utterances = 0
        for _, key in _keys(part, folders):
            num_utterances += 1
            for other, sentences in held.items():
                shared[other] += key is not None and key in sentences
        found += [Overlap(part, o, n, num_utterances) for o, n in shared.items() if n]
    return found


def find_left_out(folders: Folders, part: Part, tested: Iterable[Part]) -> LeftOut | None:
    """The utterances of `part` whose sentences `tested` have; None where there are none."""
    held = _held(tested, folders)
    if part[0] not in folders or not held:
        return None
    ids: list[str] = []
    having: set[Part] = set()
    num_utterances = 0
    for name, key in _keys(part, folders):
        num_utterances += 1
        places = [] if key is None else [other for other in held if key in held[other]]
        if places:
            ids.append(name)
            having.update(places)
    if not ids:
        return None
    return LeftOut(part, tuple(o for o in held if o in having), tuple(ids), num_utterances)


def _held(parts: Iterable[Part], folders: Folders) -> dict[Part, DigestSet]:
    held = {p: _sentences(p, folders) for p in dict.fromkeys(parts) if p[0] in folders}
    return {part: sentences for part, sentences in held.items() if len(sentences)}


def _sentences(part: Part, folders: Folders) -> DigestSet:
    found = DigestSet()
    for _, key in _keys(part, folders):
        if key is not None:
            found.add(key)
    return found


def _keys(part: Part, folders: Folders) -> Iterator[tuple[str, int | None]]:
    """Ids with the digests of their sentences, None for one without a letter or digit."""
    corpus, split = part
    folder, card = folders[corpus]
    for name, text, of_split in _texts([folder / shard.file for shard in card.shards]):
        if of_split == split:
            key = sentence_key(text)
            yield name, digest64(key) if key else None


def _texts(shards: Sequence[Path]) -> Iterator[tuple[str, str, str]]:
    import pyarrow.parquet as pq

    columns = ["id", "text", "split"]
    for path in shards:
        with pq.ParquetFile(path, memory_map=True) as file:
            table = file.read(columns=columns, use_threads=False)
        yield from zip(*(table[name].to_pylist() for name in columns), strict=True)
