"""What is wrong with the splits of a corpus: too small, one voice, far from the share, not the same
test as before."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from soritune.corpus.card import SPLITS, CorpusCard, Division, SplitSummary, read_card
from soritune.corpus.division import StoredDivision
from soritune.errors import UserError
from soritune.seeding import stable_hash
from soritune.sources import count_source, read_source
from soritune.sources.formats.division import CONFLICT, DividedSource, remembering
from soritune.sources.split import OVERSHOOT, UNDERSHOOT
from soritune.utterance import Utterance

MIN_UTTERANCES = 20
"""Of a split that is compared: with fewer, one utterance moves a figure by more than 5 %."""
MAX_HELD_OUT = 0.5
"""Share of a split that may still be advised; beyond it too little is left to train on."""
MAX_CONFLICTS = 0.1
"""Share of the recordings that may be lost to the division without a word."""

Kind = Literal[
    "few", "one-speaker", "share", "unknown-speakers", "conflicts", "other-test", "unplaced"
]
UNPLACED = frozenset({"bad-split", "no-split"})
"""Reasons of the quarantine for rows whose `split` is unknown, or missing where others have one."""


@dataclass(frozen=True)
class SplitWarning:
    """One thing to know of a split of a corpus; `text` is whole and names the key to change."""

    corpus: str
    split: str
    kind: Kind
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Splits:
    """The splits of a corpus, prepared or only read. `speakers` 0 means that nobody is named."""

    corpus: str
    source: str
    sizes: Mapping[str, SplitSummary]
    division: Division | None
    conflicts: int = 0
    unplaced: int = 0

    @property
    def total(self) -> int:
        return sum(size.utterances for size in self.sizes.values())


def splits_of(name: str, card: CorpusCard) -> Splits:
    """Return the splits of a prepared corpus."""
    source = str(card.source.get("source", ""))
    conflicts = card.reasons.get("split-conflict", 0)
    unplaced = sum(card.reasons.get(reason, 0) for reason in UNPLACED)
    return Splits(name, source, card.splits, card.division, conflicts, unplaced)


def read_splits(name: str, source: BaseModel, folder: Path) -> Splits | None:
    """Return the splits that preparing a local list or folder would make, from its texts alone.

    None for sources whose texts are not cheap to read. What is wrong with the recordings themselves
    is found when they are prepared. Raises UserError where the source cannot be read or divided.
    """
    if not isinstance(source, DividedSource) or count_source(source) is None:
        return None
    stored = StoredDivision(folder, _card(folder))
    memory = stored.memory()
    utterances: Counter[str] = Counter()
    speakers: defaultdict[str, set[str]] = defaultdict(set)
    conflicts = unplaced = 0
    tested: set[int] = set()
    for entry in read_source(remembering(source, memory)):
        if not isinstance(entry, Utterance):
            conflicts += entry.reason == CONFLICT.reason
            unplaced += entry.reason in UNPLACED
            continue
        utterances[entry.split] += 1
        if entry.speaker is not None:
            speakers[entry.split].add(entry.speaker)
        if entry.split == "test":
            tested.add(stable_hash(entry.id))
    sizes = {
        split: SplitSummary(
            utterances=utterances[split], duration_s=0, speakers=len(speakers[split])
        )
        for split in SPLITS
        if utterances[split]
    }
    division = stored.record(memory, tested)
    kind = str(getattr(source, "source", ""))
    return Splits(name, kind, sizes, division, conflicts, unplaced)


def _card(folder: Path) -> CorpusCard | None:
    try:
        return read_card(folder)
    except UserError:  # prepare makes it again
        return None


def split_warnings(splits: Splits, used: Collection[str] = ("test",)) -> list[SplitWarning]:
    """Return what is to be known of a corpus before its figures are believed.

    Args:
        used: the splits that are tested on.
    """
    found = list(_of_the_whole(splits))
    for split in ("test", "dev"):
        if split in used:
            found += _of_size(splits, split)
        if splits.division is not None and (split in splits.sizes or split not in used):
            found += _of_share(splits, split, splits.division)
    return found


def _of_the_whole(splits: Splits) -> Iterator[SplitWarning]:
    division, corpus = splits.division, splits.corpus
    if splits.unplaced:
        number = splits.unplaced
        yield SplitWarning(
            corpus,
            "train",
            "unplaced",
            f"corpus {corpus}: {number:,} row{'s are' if number > 1 else ' is'} left out, because "
            f"the column split names none of the splits there; write train, dev or test",
        )
    if division is None:
        return
    previous = division.previous
    if previous is not None:
        reason = f" ({previous.changed})" if previous.changed else ""
        yield SplitWarning(
            corpus,
            "test",
            "other-test",
            f"corpus {corpus}: its test split is not the one before{reason}: {previous.kept:,} "
            f"utterances stayed, {previous.added:,} are new, {previous.gone:,} are gone. Figures "
            f"are NOT comparable to earlier ones",
        )
    if "speaker" not in division.by and not any(s.speakers for s in splits.sizes.values()):
        key = (
            "give each a folder and set speaker_from: parent"
            if splits.source == "folder"
            else "name them in a column speaker"
        )
        yield SplitWarning(
            corpus,
            "test",
            "unknown-speakers",
            f"corpus {corpus}: no speaker is named, so test and train may have the same voices, "
            f"and figures may be too good. Where there are several speakers: {key}",
        )
    if splits.conflicts > MAX_CONFLICTS * (splits.total + splits.conflicts):
        yield SplitWarning(
            corpus,
            "train",
            "conflicts",
            f"corpus {corpus}: {splits.conflicts:,} recordings are left out, because their "
            f"speakers and their sentences are in different splits. split_by: [speaker] keeps "
            f"them; test then has sentences that are trained",
        )


def _of_size(splits: Splits, split: str) -> Iterator[SplitWarning]:
    size = splits.sizes.get(split)
    number = size.utterances if size is not None else 0
    corpus, division = splits.corpus, splits.division
    share = f"{split}_share"
    if division is None:
        remedy = f"name more lines {split} in the list, or take another corpus to test on"
    else:
        now = division.test_share if split == "test" else division.dev_share
        remedy = f"raise {share} (now {now:g}), or add recordings"
        if not now:
            remedy = f"set {share}, which is 0, or remove the evaluations that use it"
    if number == 0:
        text = f"corpus {corpus}: {split} is empty, so nothing can be tested on it; {remedy}"
        yield SplitWarning(corpus, split, "few", text)
        return
    of_one = size is not None and size.speakers == 1
    if number < MIN_UTTERANCES:
        enough = math.ceil(100 * MIN_UTTERANCES / splits.total) / 100
        if division is not None and enough <= MAX_HELD_OUT:
            remedy = f"raise {share} from {now:g} to about {enough:g}, or add recordings"
        elif division is not None:
            remedy = "add recordings"
        text = (
            f"corpus {corpus}: {split} has {number} utterance{'s' * (number != 1)}"
            f"{', all of one speaker' * of_one}: too few to say which model is better (at least "
            f"{MIN_UTTERANCES}); {remedy}"
        )
        yield SplitWarning(corpus, split, "few", text)
    elif of_one:
        text = (
            f"corpus {corpus}: all of {split} is of one speaker, and other voices may give other "
            f"figures; {remedy}{'' if division is None else ' of other speakers'}"
        )
        yield SplitWarning(corpus, split, "one-speaker", text)


def _of_share(splits: Splits, split: str, division: Division) -> Iterator[SplitWarning]:
    share = division.test_share if split == "test" else division.dev_share
    size = splits.sizes.get(split)
    found = (size.utterances if size is not None else 0) / splits.total if splits.total else 0.0
    if not share or UNDERSHOOT * share <= found <= OVERSHOOT * share:
        return
    if found and abs(found - share) * splits.total < 1:  # one utterance more or less
        return
    why = ""
    if "speaker" in division.by:
        speakers = sum(each.speakers for each in splits.sizes.values())
        why = (
            f", because no speaker is divided (speakers: {speakers}); split_by: [sentence] divides "
            f"by sentence alone"
        )
    if found:
        what = f"has {100 * found:.0f} % of the utterances where {split}_share asks for"
    else:
        what = f"is empty although {split}_share asks for"
        why += f", and {split}_share: 0 asks for none" * bool(why)
    yield SplitWarning(
        splits.corpus,
        split,
        "share",
        f"corpus {splits.corpus}: {split} {what} {100 * share:.0f} %{why}",
    )
