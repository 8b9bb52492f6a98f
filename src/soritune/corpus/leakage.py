"""Leakage: what is tested must not have been trained on.

Within a corpus, `prepare` leaves out of train what dev or test has (`HeldOut`). Between the
corpora of a recipe each case leaves it out (`shared_sentences` of a case), because what one case
is not tested on, another may be. Sentences are compared by `sentence_key`, as hashes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from soritune.corpus.card import CorpusCard
from soritune.corpus.shard import open_shard
from soritune.recipe import Case, Recipe
from soritune.seeding import stable_hash
from soritune.utterance import Split, Utterance, sentence_key

HELD_OUT: tuple[Split, ...] = ("dev", "test")
PRECEDENCE: dict[Split, tuple[Split, ...]] = {
    "train": ("test", "dev"),
    "dev": ("test",),
    "test": (),
}
"""What the splits of the values have is taken from the split of the key, never the reverse."""

CorpusSplit = tuple[str, str]
"""Name of a corpus, and one of its splits."""

Folders = Mapping[str, tuple[Path, CorpusCard]]
"""Prepared corpora by name."""


# -- within a corpus


def _empty() -> dict[Split, set[int]]:
    return {split: set() for split in HELD_OUT}


@dataclass
class HeldOut:
    """Hashes of the sentences and the speakers in dev and in test."""

    sentences: dict[Split, set[int]] = field(default_factory=_empty)
    speakers: dict[Split, set[int]] = field(default_factory=_empty)

    def add(self, utterance: Utterance) -> None:
        """Hold out what an utterance of dev or test has."""
        sentence, speaker = _sentence(utterance.text), _speaker(utterance)
        if sentence is not None:
            self.sentences[utterance.split].add(sentence)
        if speaker is not None:
            self.speakers[utterance.split].add(speaker)

    def split_with_sentence(self, utterance: Utterance) -> Split | None:
        """Return the split that keeps the sentence of `utterance` from it, None if none does."""
        return self._split(utterance, _sentence(utterance.text), self.sentences)

    def split_with_speaker(self, utterance: Utterance) -> Split | None:
        """Return the split that has the speaker of `utterance`, None if none has."""
        return self._split(utterance, _speaker(utterance), self.speakers)

    @staticmethod
    def _split(
        utterance: Utterance, key: int | None, held: Mapping[Split, set[int]]
    ) -> Split | None:
        return next((s for s in PRECEDENCE[utterance.split] if key in held[s]), None)


def _sentence(text: str) -> int | None:
    key = sentence_key(text)
    return stable_hash(key) if key else None


def _speaker(utterance: Utterance) -> int | None:
    return None if utterance.speaker is None else stable_hash(utterance.speaker)


# -- between corpora


@dataclass(frozen=True)
class Overlap:
    """`shared` of the `utterances` of `trained` have a sentence that `tested` has."""

    trained: CorpusSplit
    tested: CorpusSplit
    shared: int
    utterances: int

    def __str__(self) -> str:
        return (
            f"{self.shared:,} of {self.utterances:,} utterances of {' '.join(self.trained)} have "
            f"a sentence that {' '.join(self.tested)} is tested on: its figures may be too good"
        )


@dataclass(frozen=True)
class LeftOut:
    """The `ids` of `trained`, of `utterances`, whose sentences `tested` has."""

    trained: CorpusSplit
    tested: tuple[CorpusSplit, ...]
    ids: tuple[str, ...]
    utterances: int

    def __str__(self) -> str:
        others = ", ".join(" ".join(each) for each in self.tested)
        return (
            f"{len(self.ids):,} of {self.utterances:,} utterances of {' '.join(self.trained)} are "
            f"left out, because {others} {'has' if len(self.tested) == 1 else 'have'} the same "
            f"sentences (shared_sentences: keep takes them)"
        )


def find_overlaps(
    folders: Folders, compared: Mapping[CorpusSplit, Collection[CorpusSplit]]
) -> list[Overlap]:
    """Return the pairs of a split that is trained on and a split to compare that share a sentence.

    Reads the texts of the shards, no audio. Corpora that are not in `folders` are skipped.
    """
    found: list[Overlap] = []
    for trained, tested in compared.items():
        held_out = _held_out(tested, folders)
        if trained[0] not in folders or not held_out:
            continue
        shared = dict.fromkeys(held_out, 0)
        num_utterances = 0
        for _, sentence in _sentences(trained, folders):
            num_utterances += 1
            for other, sentences in held_out.items():
                shared[other] += sentence in sentences
        found += [Overlap(trained, o, n, num_utterances) for o, n in shared.items() if n]
    return found


def find_left_out(
    folders: Folders, trained: CorpusSplit, tested: Iterable[CorpusSplit]
) -> LeftOut | None:
    """Return the utterances of `trained` whose sentences `tested` has; None if there are none."""
    held_out = _held_out(tested, folders)
    if trained[0] not in folders or not held_out:
        return None
    ids: list[str] = []
    sharing: set[CorpusSplit] = set()
    num_utterances = 0
    for id, sentence in _sentences(trained, folders):
        num_utterances += 1
        places = [other for other, sentences in held_out.items() if sentence in sentences]
        if places:
            ids.append(id)
            sharing.update(places)
    if not ids:
        return None
    return LeftOut(trained, tuple(o for o in held_out if o in sharing), tuple(ids), num_utterances)


def _held_out(splits: Iterable[CorpusSplit], folders: Folders) -> dict[CorpusSplit, set[int]]:
    held_out = {
        split: {key for _, key in _sentences(split, folders) if key is not None}
        for split in dict.fromkeys(splits)
        if split[0] in folders
    }
    return {split: sentences for split, sentences in held_out.items() if sentences}


def _sentences(split: CorpusSplit, folders: Folders) -> Iterator[tuple[str, int | None]]:
    """Yield ids with the hashes of their sentences, None for one without a letter or digit."""
    corpus, wanted = split
    folder, card = folders[corpus]
    columns = ["id", "text", "split"]
    for shard in card.shards:
        with open_shard(folder / shard.file) as file:
            table = file.read(columns=columns, use_threads=False)
            rows = zip(*(table[name].to_pylist() for name in columns), strict=True)
        yield from ((id, _sentence(text)) for id, text, split_name in rows if split_name == wanted)


# -- for the cases of a recipe


class LeftOutFinder:
    """Finds what the cases of a recipe leave out, once for the same content of the corpora."""

    def __init__(self) -> None:
        self._found: dict[tuple[object, ...], LeftOut | None] = {}

    def left_out(self, recipe: Recipe, case: str, folders: Folders) -> tuple[LeftOut, ...]:
        """Return what `case` does not train on; `folders` has the corpora that are prepared."""
        found = []
        for trained in trained_splits(recipe.cases[case]):
            tested = tuple(held_out_splits(recipe, recipe.cases[case], trained))
            involved = [name for name, _ in (trained, *tested) if name in folders]
            content = tuple(
                (name, tuple(shard.sha256 for shard in folders[name][1].shards))
                for name in dict.fromkeys(involved)
            )
            key = (trained, tested, content)
            if key not in self._found:
                self._found[key] = find_left_out(folders, trained, tested)
            left_out = self._found[key]
            if left_out is not None:
                found.append(left_out)
        return tuple(found)


def trained_splits(case: Case) -> list[CorpusSplit]:
    """Return the corpora and splits that a case trains on, each once."""
    return list(dict.fromkeys((part.corpus, part.split) for part in case.train))


def held_out_splits(recipe: Recipe, case: Case, trained: CorpusSplit) -> list[CorpusSplit]:
    """Return the splits whose sentences a case leaves out of `trained`.

    They are dev and test of the other corpora that the recipe evaluates on. What a corpus shares
    between its own splits is its own setting. A split that the case trains on is held out only
    where it is also evaluated.
    """
    if case.shared_sentences == "keep":
        return []
    evaluated = {(each.corpus, each.split) for each in recipe.evaluate.values()}
    all_trained = set(trained_splits(case))
    return [
        (corpus, split)
        for corpus in dict.fromkeys(each.corpus for each in recipe.evaluate.values())
        for split in HELD_OUT
        if corpus != trained[0]
        and ((corpus, split) in evaluated or (corpus, split) not in all_trained)
    ]


def overlaps_of(recipe: Recipe, cases: Sequence[str], folders: Folders) -> list[Overlap]:
    """Return the sentences that the named cases train on although an evaluation has them.

    Corpora that are not in `folders` are skipped.
    """
    evaluated = list(dict.fromkeys((e.corpus, e.split) for e in recipe.evaluate.values()))
    compared: dict[CorpusSplit, list[CorpusSplit]] = {}
    for case in (recipe.cases[name] for name in cases if name in recipe.cases):
        for trained in trained_splits(case):
            without = held_out_splits(recipe, case, trained)
            against = compared.setdefault(trained, [])
            against += [o for o in evaluated if o not in (trained, *without, *against)]
    return find_overlaps(folders, compared)
