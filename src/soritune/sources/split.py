"""Train, dev and test such that what is tested was never trained: no speaker, no sentence."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from soritune.errors import UserError
from soritune.seeding import stable_hash
from soritune.utterance import Split

OVERSHOOT = 1.25
"""A speaker who would fill a split beyond this much of its share goes elsewhere."""
UNDERSHOOT = 0.75
"""A split with less than this much of its share is far from it."""
MAX_TRIES, MAX_WORK = 60, 100_000
"""Orders of speakers that are tried, and pairs of speaker and sentence looked at in all of them."""
LOSS = 3.0
"""Cost of a lost share of the recordings, where a split of 1/e of its share costs 1."""
DEV_WEIGHT = 0.25
"""Of the cost of a wrong share: nothing is reported of dev."""
INFLATIONS = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0)
"""Where speakers share sentences, a split needs more speakers than its share: others lose some."""

HELD_OUT: tuple[Split, ...] = ("test", "dev")


@dataclass(frozen=True)
class Shares:
    """Shares of the utterances in [0, 1); train gets the rest."""

    test: float
    dev: float

    def of(self, split: Split) -> float:
        """Return the share of a split."""
        return {"test": self.test, "dev": self.dev, "train": 1 - self.test - self.dev}[split]

    def times(self, factor: float) -> Shares:
        """Return larger shares, of which train keeps at least half."""
        factor = min(factor, 0.5 / (self.test + self.dev or 1))
        return Shares(self.test * factor, self.dev * factor) if factor > 1 else self

    @property
    def wanted(self) -> list[Split]:
        """The splits besides train that are not to be empty."""
        return [split for split in HELD_OUT if self.of(split)]


@dataclass(frozen=True)
class Keys:
    """What must not be shared between splits; `speaker` None where it does not count."""

    speaker: str | None
    sentence: str | None


@dataclass(frozen=True)
class Assignments:
    """Speakers and sentences that are in dev or test, by `stable_hash`; the rest is of train."""

    speakers: Mapping[int, Split] = field(default_factory=dict)
    sentences: Mapping[int, Split] = field(default_factory=dict)


NOTHING_ASSIGNED = Assignments()


def split_entries(
    entries: Sequence[Keys], shares: Shares, seed: int, before: Assignments = NOTHING_ASSIGNED
) -> list[Split | None]:
    """Return the split of each entry; None where its speaker and its sentence fall into different
    ones.

    No two splits share a speaker or a sentence. What was in dev or test `before` stays there, and
    what is new goes to train unless a split is far from its share. Otherwise speakers who say the
    same sentences stay together where that gives splits of about the wanted size, and then nothing
    is None. Where it does not (everybody reads the same list), many orders of the speakers are
    tried, and the one that comes nearest to the shares and loses least is taken; a sentence that
    is said in several splits then goes to one of them, and the others lose their recordings of it.
    Depends on `seed` and the keys, not on the order of the entries. Raises UserError where train
    or test would get nothing.
    """
    said = _Said.of(entries)
    if not said.pairs:
        return []
    if shares.test and said.size_of_one_key():
        raise UserError(f"all recordings have the same {said.kind}: {said.advice()}")
    grown = said.is_known(before)
    best = _grown(said, shares, seed, before) if grown else _divided(said, shares, seed)
    needed: list[Split] = ["train", "test"] if shares.test else ["train"]
    for split in needed:
        if not best.counts[split]:
            raise UserError(f"no utterance is left for {split}: {said.advice()}")
    return [best.split_of(entry) for entry in entries]


def assignments_of(entries: Sequence[Keys], splits: Sequence[Split | None]) -> Assignments:
    """Return what of `entries` is in dev and test, to be kept when recordings are added."""
    speakers: dict[int, Split] = {}
    sentences: dict[int, Split] = {}
    for entry, split in zip(entries, splits, strict=True):
        if split is None or split == "train":
            continue
        if entry.speaker is not None:
            speakers[stable_hash(entry.speaker)] = split
        if entry.sentence is not None:
            sentences[stable_hash(entry.sentence)] = split
    return Assignments(speakers, sentences)


# -- what is said by whom


@dataclass(frozen=True)
class _Said:
    """Numbers of recordings by speaker and sentence."""

    pairs: Mapping[Keys, int]
    speakers: Mapping[str, int]
    sentences: Mapping[str, int]

    @classmethod
    def of(cls, entries: Iterable[Keys]) -> _Said:
        pairs = Counter(entries)
        speakers: Counter[str] = Counter()
        sentences: Counter[str] = Counter()
        for keys, number in pairs.items():
            if keys.speaker is not None:
                speakers[keys.speaker] += number
            if keys.sentence is not None:
                sentences[keys.sentence] += number
        return cls(pairs, speakers, sentences)

    @property
    def kind(self) -> str:
        return "speaker" if self.speakers else "sentence"

    def size_of_one_key(self) -> bool:
        """Whether all recordings are of one speaker, or of one sentence where none counts."""
        return len(self.speakers or self.sentences) < 2

    def is_known(self, before: Assignments) -> bool:
        """Whether there was a division of these recordings before."""
        held = before.speakers if self.speakers else before.sentences
        return any(stable_hash(key) in held for key in (self.speakers or self.sentences))

    def advice(self) -> str:
        """Return what to change so that there can be a test."""
        given = "give the rows a column `split` (train, dev, test)"
        if self.speakers and len(self.sentences) != 1:
            return (
                f"set split_by: [sentence] (test then has other sentences of the same voices), "
                f"{given}, or add recordings of other speakers"
            )
        return f"{given}, or add other recordings"


@dataclass(frozen=True)
class _Division:
    """Splits of speakers and sentences with the recordings that each split gets."""

    of_speaker: Mapping[str, Split]
    of_sentence: Mapping[str, Split]
    counts: Mapping[Split | None, int]

    @classmethod
    def of(
        cls, said: _Said, of_speaker: Mapping[str, Split], of_sentence: Mapping[str, Split]
    ) -> _Division:
        found = cls(of_speaker, of_sentence, {})
        counts: Counter[Split | None] = Counter()
        for keys, number in said.pairs.items():
            counts[found.split_of(keys)] += number
        return cls(of_speaker, of_sentence, counts)

    def split_of(self, keys: Keys) -> Split | None:
        wanted: set[Split] = set()
        if keys.speaker is not None:
            wanted.add(self.of_speaker[keys.speaker])
        if keys.sentence is not None:
            wanted.add(self.of_sentence[keys.sentence])
        return wanted.pop() if len(wanted) == 1 else None

    def ratio(self, split: Split, shares: Shares) -> float:
        """Return the part of its share that a split has of the recordings that are kept."""
        kept = sum(self.counts.values()) - self.counts.get(None, 0)
        return self.counts.get(split, 0) / (shares.of(split) * kept) if kept else 0.0

    def is_good(self, shares: Shares) -> bool:
        return all(UNDERSHOOT <= self.ratio(each, shares) <= OVERSHOOT for each in shares.wanted)

    def cost(self, shares: Shares) -> float:
        if not self.counts.get("train") or (shares.test and not self.counts.get("test")):
            return math.inf
        wrong = {s: abs(math.log(max(self.ratio(s, shares), 1e-3))) for s in shares.wanted}
        lost = self.counts.get(None, 0) / sum(self.counts.values())
        return wrong.get("test", 0.0) + DEV_WEIGHT * wrong.get("dev", 0.0) + LOSS * lost


# -- a first division


def _divided(said: _Said, shares: Shares, seed: int) -> _Division:
    """Return the first division by hashes if it is good, else the best of many orders."""
    tries = max(len(INFLATIONS), min(MAX_TRIES, MAX_WORK // len(said.pairs)))
    best: _Division | None = None
    for candidate in _candidates(said, shares, seed, tries):
        if best is None or candidate.cost(shares) < best.cost(shares) - 1e-9:
            best = candidate
        if best.is_good(shares) and not best.counts.get(None):
            break
    assert best is not None
    return best


def _candidates(said: _Said, shares: Shares, seed: int, tries: int) -> Iterator[_Division]:
    if not said.speakers or not said.sentences:
        sizes = said.speakers or said.sentences
        for number in range(tries):
            of_key = share_out(sizes, shares, _salt(seed, number), said.kind)
            of_none: dict[str, Split] = {}
            by_speaker = bool(said.speakers)
            yield _Division.of(
                said, of_key if by_speaker else of_none, of_none if by_speaker else of_key
            )
        return
    # 1. Nothing is lost where speakers of the same sentences stay together.
    group_of = _groups(said)
    sizes = Counter[str]()
    for speaker, size in said.speakers.items():
        sizes[group_of[speaker]] += size
    if len(sizes) > 1:
        for number in range(tries // 2):
            of_group = share_out(sizes, shares, _salt(seed, number), "speaker")
            of_speaker = {speaker: of_group[group_of[speaker]] for speaker in said.speakers}
            yield _with_sentences(said, of_speaker, shares, seed)
    # 2. Speakers one by one.
    for number in range(max(len(INFLATIONS), tries // 2)):
        turn, inflation = divmod(number, len(INFLATIONS))
        larger = shares.times(INFLATIONS[inflation])
        of_speaker = share_out(said.speakers, larger, _salt(seed, turn), "speaker")
        yield _with_sentences(said, of_speaker, shares, seed)


def _salt(seed: int, number: int) -> int | str:
    return seed if number == 0 else f"{seed}+{number}"


def share_out(
    sizes: Mapping[str, int], shares: Shares, seed: int | str, kind: str
) -> dict[str, Split]:
    """Return the split of each key (speaker or sentence) with `sizes` utterances, by seeded order.

    A split whose share is not 0 gets at least one key, the smallest if no other fits; train
    always keeps one.
    """
    left = _ordered(sizes, seed, kind)
    total = sum(sizes.values())
    result: dict[str, Split] = {}
    for split in shares.wanted:
        if len(left) < 2:
            continue
        chosen = _fill(left[:-1], sizes, shares.of(split) * total)
        if not chosen:
            chosen = {min(left, key=lambda key: (sizes[key], left.index(key)))}
        result.update(dict.fromkeys(chosen, split))
        left = [key for key in left if key not in chosen]
    result.update(dict.fromkeys(left, "train"))
    return result


def _ordered(keys: Iterable[str], seed: int | str, kind: str) -> list[str]:
    return sorted(keys, key=lambda key: (stable_hash(seed, kind, key), key))


def _fill(
    keys: Sequence[str], sizes: Mapping[str, int], target: float, filled: float = 0
) -> set[str]:
    chosen: set[str] = set()
    for key in keys:
        if filled >= target:
            break
        if filled + sizes[key] <= OVERSHOOT * target:
            chosen.add(key)
            filled += sizes[key]
    return chosen


def _groups(said: _Said) -> dict[str, str]:
    """Return for each speaker the first (by name) of those connected by common sentences."""
    parent = {speaker: speaker for speaker in said.speakers}

    def root(speaker: str) -> str:
        while parent[speaker] != speaker:
            parent[speaker] = parent[parent[speaker]]
            speaker = parent[speaker]
        return speaker

    said_by: dict[str, str] = {}
    for keys in said.pairs:
        if keys.speaker is None or keys.sentence is None:
            continue
        one = root(keys.speaker)
        other = root(said_by.setdefault(keys.sentence, keys.speaker))
        parent[max(one, other)] = min(one, other)
    return {speaker: root(speaker) for speaker in parent}


def _with_sentences(
    said: _Said,
    of_speaker: Mapping[str, Split],
    shares: Shares,
    seed: int,
    before: Mapping[int, Split] = NOTHING_ASSIGNED.sentences,
) -> _Division:
    """Return the division in which each sentence goes to the split of its speakers.

    Of several it is the one with most of its recordings, unless dev or test are below their share:
    then sentences go there that cost the others least.
    """
    said_in: defaultdict[str, Counter[Split]] = defaultdict(Counter)
    for keys, number in said.pairs.items():
        if keys.sentence is not None and keys.speaker is not None:
            said_in[keys.sentence][of_speaker[keys.speaker]] += number
    of_sentence = {s: _of_most(splits) for s, splits in said_in.items()}
    fixed: set[str] = set()
    for sentence in said_in if before else ():
        split = before.get(stable_hash(sentence))
        if split is not None:
            of_sentence[sentence] = split
            fixed.add(sentence)
    counts: Counter[Split] = Counter()
    for sentence, split in of_sentence.items():
        counts[split] += said_in[sentence][split]
    disputed = [s for s, splits in said_in.items() if len(splits) > 1 and s not in fixed]
    order = {sentence: place for place, sentence in enumerate(_ordered(disputed, seed, "sentence"))}
    for wanted in shares.wanted:
        there = [s for s in disputed if said_in[s][wanted] and of_sentence[s] != wanted]
        there.sort(key=lambda s: (said_in[s][of_sentence[s]] / said_in[s][wanted], order[s]))
        for sentence in there:
            if counts[wanted] >= shares.of(wanted) * counts.total():
                break
            if of_sentence[sentence] in HELD_OUT:
                continue
            counts["train"] -= said_in[sentence]["train"]
            counts[wanted] += said_in[sentence][wanted]
            of_sentence[sentence] = wanted
    return _Division.of(said, of_speaker, of_sentence)


def _of_most(splits: Mapping[Split, int]) -> Split:
    """Return the split that says a sentence most often; of equals train."""
    return min(splits, key=lambda split: (-splits[split], split != "train", split))


# -- a division that grew


def _grown(said: _Said, shares: Shares, seed: int, before: Assignments) -> _Division:
    """Return the division in which what was in dev and test stays there."""
    if not said.speakers:
        return _Division.of(said, {}, _kept(said.sentences, shares, seed, before.sentences))
    of_speaker = _kept(said.speakers, shares, seed, before.speakers)
    if not said.sentences:
        return _Division.of(said, of_speaker, {})
    return _with_sentences(said, of_speaker, shares, seed, before.sentences)


def _kept(
    sizes: Mapping[str, int], shares: Shares, seed: int, before: Mapping[int, Split]
) -> dict[str, Split]:
    """Return the split of each key: the one `before`, else train, or a split far from its share."""
    hashes = {key: stable_hash(key) for key in sizes}
    result: dict[str, Split] = {
        key: before[number] for key, number in hashes.items() if number in before
    }
    left = _ordered((key for key in sizes if key not in result), seed, "growth")
    total = sum(sizes.values())
    for split in shares.wanted:
        filled = sum(sizes[key] for key, of_key in result.items() if of_key == split)
        target = shares.of(split) * total
        if filled < UNDERSHOOT * target:
            chosen = _fill(left[:-1], sizes, target, filled)
            result.update(dict.fromkeys(chosen, split))
            left = [key for key in left if key not in chosen]
    result.update(dict.fromkeys(left, "train"))
    return result
