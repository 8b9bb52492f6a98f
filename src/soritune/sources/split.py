"""Train, dev and test such that what is tested was never trained: no speaker, no sentence."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from soritune.errors import UserError
from soritune.seeding import stable_hash
from soritune.utterance import Split

OVERSHOOT = 1.25
"""A speaker who would fill a split beyond this much of its share goes elsewhere."""
UNDERSHOOT = 0.5
"""Groups of speakers that fill a split to less than this much of its share are taken apart."""


@dataclass(frozen=True)
class Shares:
    """Shares of the utterances in [0, 1); train gets the rest."""

    test: float
    dev: float


@dataclass(frozen=True)
class Keys:
    """What must not be shared between splits; `speaker` None where it does not count."""

    speaker: str | None
    sentence: str | None


def split_entries(entries: Sequence[Keys], shares: Shares, seed: int) -> list[Split | None]:
    """Return the split of each entry; None where its speaker and its sentence fall into different
    ones.

    No two splits share a speaker or a sentence. Speakers who say the same sentences stay together
    where that gives splits of about the wanted size, and then nothing is None. Where it does not
    (everybody reads the same list), speakers are shared out one by one; a sentence that is said
    in several splits then goes to one of them, and the others lose their recordings of it.
    Depends on `seed` and the keys, not on the order of the entries. Raises UserError where train
    or test would get nothing.
    """
    speakers = Counter(e.speaker for e in entries if e.speaker is not None)
    sentences = Counter(e.sentence for e in entries if e.sentence is not None)
    of_speaker: Mapping[str, Split] = {}
    of_sentence: Mapping[str, Split] = {}
    if speakers and sentences:
        of_speaker = _share_out_groups(entries, speakers, shares, seed)
        of_sentence = _follow_speakers(entries, of_speaker, shares, seed)
    elif speakers:
        of_speaker = share_out(speakers, shares, seed, "speaker")
    elif sentences:
        of_sentence = share_out(sentences, shares, seed, "sentence")
    splits: list[Split | None] = []
    for entry in entries:
        wanted: set[Split] = set()
        if entry.speaker is not None:
            wanted.add(of_speaker[entry.speaker])
        if entry.sentence is not None:
            wanted.add(of_sentence[entry.sentence])
        splits.append(wanted.pop() if len(wanted) == 1 else None)
    needed: list[Split] = ["train", "test"] if shares.test else ["train"]
    for split in needed:
        if entries and split not in splits:
            raise UserError(f"no utterance is left for {split}: {_ADVICE}")
    return splits


def share_out(sizes: Mapping[str, int], shares: Shares, seed: int, kind: str) -> dict[str, Split]:
    """Return the split of each key (speaker or sentence) with `sizes` utterances, by seeded order.

    A split whose share is not 0 gets at least one key, the smallest if no other fits; train
    always keeps one. Raises UserError if there are too few keys for a test split.
    """
    if shares.test and len(sizes) < 2:
        raise UserError(f"all recordings have the same {kind}: {_ADVICE}")
    left = sorted(sizes, key=lambda key: (stable_hash(seed, kind, key), key))
    total = sum(sizes.values())
    result: dict[str, Split] = {}
    wanted: list[tuple[Split, float]] = [("test", shares.test), ("dev", shares.dev)]
    for split, share in wanted:
        if not share or len(left) < 2:
            continue
        chosen = _fill(left[:-1], sizes, share * total)
        if not chosen:
            chosen = {min(left, key=lambda key: (sizes[key], left.index(key)))}
        result.update(dict.fromkeys(chosen, split))
        left = [key for key in left if key not in chosen]
    result.update(dict.fromkeys(left, "train"))
    return result


_ADVICE = (
    "give the rows a column `split` (train, dev, test), change split_by "
    "(speaker, sentence), or set test_share to 0"
)


def _fill(keys: Sequence[str], sizes: Mapping[str, int], target: float) -> set[str]:
    chosen: set[str] = set()
    filled = 0
    for key in keys:
        if filled >= target:
            break
        if filled + sizes[key] <= OVERSHOOT * target:
            chosen.add(key)
            filled += sizes[key]
    return chosen


def _share_out_groups(
    entries: Sequence[Keys], speakers: Mapping[str, int], shares: Shares, seed: int
) -> dict[str, Split]:
    """Return the split of each speaker; speakers of the same sentences together if that is fair."""
    group_of = _groups(entries)
    sizes: Counter[str] = Counter()
    for speaker, size in speakers.items():
        sizes[group_of[speaker]] += size
    if len(sizes) > 1:
        of_group = share_out(sizes, shares, seed, "speaker")
        filled: Counter[Split] = Counter()
        for group, split in of_group.items():
            filled[split] += sizes[group]
        targets: list[tuple[Split, float]] = [("test", shares.test), ("dev", shares.dev)]
        if all(
            UNDERSHOOT * share <= filled[split] / sizes.total() <= OVERSHOOT * share
            for split, share in targets
        ):
            return {speaker: of_group[group_of[speaker]] for speaker in speakers}
    return share_out(speakers, shares, seed, "speaker")


def _groups(entries: Sequence[Keys]) -> dict[str, str]:
    """Return for each speaker the first (by name) of those connected by common sentences."""
    parent: dict[str, str] = {}

    def root(speaker: str) -> str:
        while parent[speaker] != speaker:
            parent[speaker] = parent[parent[speaker]]
            speaker = parent[speaker]
        return speaker

    said_by: dict[str, str] = {}
    for entry in entries:
        if entry.speaker is None or entry.sentence is None:
            continue
        parent.setdefault(entry.speaker, entry.speaker)
        one = root(entry.speaker)
        other = root(said_by.setdefault(entry.sentence, entry.speaker))
        parent[max(one, other)] = min(one, other)
    return {speaker: root(speaker) for speaker in parent}


def _follow_speakers(
    entries: Sequence[Keys], of_speaker: Mapping[str, Split], shares: Shares, seed: int
) -> dict[str, Split]:
    """Return the split of each sentence: that of its speakers, or one of theirs if they differ."""
    said_in: defaultdict[str, Counter[Split]] = defaultdict(Counter)
    for entry in entries:
        if entry.sentence is not None and entry.speaker is not None:
            said_in[entry.sentence][of_speaker[entry.speaker]] += 1
    disputed = {s: splits.total() for s, splits in said_in.items() if len(splits) > 1}
    drawn = share_out(disputed, shares, seed, "sentence") if len(disputed) > 1 else {}
    result: dict[str, Split] = {}
    for sentence, splits in said_in.items():
        most = min(splits, key=lambda name: (-splits[name], name))
        wanted = drawn.get(sentence, most)
        result[sentence] = wanted if wanted in splits else most
    return result
