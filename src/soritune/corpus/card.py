"""The card of a prepared corpus: what it contains, where it came from, what was left out.

The card is written last, so a folder with a card is complete.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from soritune.audio import SAMPLE_RATE_HZ
from soritune.errors import UserError
from soritune.files import json_sha256, read_regular

CARD_FILE = "corpus.json"
FORMAT_VERSION = 1
SPLITS = ("train", "dev", "test")


class Sealed(BaseModel):
    """A file of JSON with a checksum of all the rest, so that no damage of it goes unseen.

    `checksum` is "" in files of earlier versions, whose content is taken as it stands.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    checksum: str = ""

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Raises ValueError where the content is not such a record, or not as it was written."""
        found = cls.model_validate_json(content)
        if found.checksum not in (found._computed(), ""):
            raise ValueError("has changed since it was written")
        return found

    def sealed(self) -> Self:
        """Return the record with its checksum, as it is written."""
        return self.model_copy(update={"checksum": self._computed()})

    def _computed(self) -> str:
        return json_sha256(self.model_dump(mode="json", exclude={"checksum"}))


class Shard(BaseModel):
    """One Parquet file with some of the utterances, in the order of the source."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    file: str
    utterances: int
    num_bytes: int
    sha256: str


class SplitSummary(BaseModel):
    """Size of one split; `speakers` counts named speakers.

    `content` is a checksum of its utterances in their order, whatever other splits hold; "" in
    corpora of earlier versions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    utterances: int
    duration_s: float
    speakers: int
    content: str = ""


class PreviousTest(BaseModel):
    """The test split as it was before the corpus was prepared again, where it differs.

    `kept` utterances are still in it, `added` are new in it, `gone` are not in it any more.
    `changed` names the settings of the division that differ, "" where none does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kept: int
    added: int
    gone: int
    changed: str


class Division(BaseModel):
    """How a source without splits of its own was divided: by speaker, by sentence, or both."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    by: list[str]
    test_share: float
    dev_share: float
    previous: PreviousTest | None = None


class CorpusCard(Sealed):
    """taken + quarantined = read. An equal `fingerprint` means the same source and settings.

    `license` is that of the recordings, `speakers` counts named speakers, `notes` counts what the
    selection observed (`selection.NOTE_TEXTS`). `division` is None where the source brings its own
    splits (and for corpora of earlier versions).
    """

    format_version: int
    name: str
    license: str
    fingerprint: str
    source: dict[str, Any]
    settings: dict[str, Any]
    versions: dict[str, str]
    read: int
    taken: int
    quarantined: int
    reasons: dict[str, int]
    notes: dict[str, int]
    duration_s: float
    speakers: int
    languages: dict[str, int]
    splits: dict[str, SplitSummary]
    shards: list[Shard]
    division: Division | None = None


class TakenGroup(BaseModel):
    """What a chunk took of one split, language and speaker."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    split: str
    language: str
    speaker: str | None
    utterances: int
    num_samples: int


class QuarantineLine(BaseModel):
    """One entry that was left out: `Rejected` in valid UTF-8."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    id: str
    reason: str
    detail: str
    where: str


class ChunkResult(Sealed):
    """The outcome of a chunk; written after its shard, so it shows that the chunk is done.

    `contents` has the checksums of the utterances of each split, in their order.
    """

    index: int
    read: int
    taken: list[TakenGroup]
    quarantined: list[QuarantineLine]
    shard: Shard | None
    notes: dict[str, int]
    contents: dict[str, list[str]]


class Totals:
    """Sums over the results of all chunks, one chunk at a time."""

    def __init__(self) -> None:
        self.read = 0
        self.reasons: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()
        self.languages: Counter[str] = Counter()
        self.shards: list[Shard] = []
        self._utterances: Counter[str] = Counter()
        self._num_samples: Counter[str] = Counter()
        self._speakers: dict[str, set[str]] = {split: set() for split in SPLITS}
        self._contents = {split: hashlib.sha256() for split in SPLITS}

    def add(self, result: ChunkResult) -> None:
        """Count the result of one chunk."""
        self.read += result.read
        self.reasons.update(line.reason for line in result.quarantined)
        self.notes.update(result.notes)
        if result.shard is not None:
            self.shards.append(result.shard)
        for split, checksums in result.contents.items():
            self._contents[split].update("".join(checksums).encode())
        for group in result.taken:
            self.languages[group.language] += group.utterances
            self._utterances[group.split] += group.utterances
            self._num_samples[group.split] += group.num_samples
            if group.speaker is not None:
                self._speakers[group.split].add(group.speaker)

    @property
    def taken(self) -> int:
        """Utterances of all splits."""
        return self._utterances.total()

    @property
    def duration_s(self) -> float:
        """Speech of all splits."""
        return self._num_samples.total() / SAMPLE_RATE_HZ

    @property
    def speakers(self) -> int:
        """Named speakers, each once, whatever splits they are in."""
        return len(set().union(*self._speakers.values()))

    def splits(self) -> dict[str, SplitSummary]:
        """Return the splits that are not empty."""
        return {
            split: SplitSummary(
                utterances=self._utterances[split],
                duration_s=self._num_samples[split] / SAMPLE_RATE_HZ,
                speakers=len(self._speakers[split]),
                content=self._contents[split].hexdigest(),
            )
            for split in SPLITS
            if self._utterances[split]
        }


def read_card(folder: Path) -> CorpusCard | None:
    """Return the card of a prepared folder, None where there is none.

    Raises:
        UserError: the card cannot be read, has changed since, or is of another version.
    """
    path = folder / CARD_FILE
    advice = "Prepare the corpus again with: soritune prepare RECIPE"
    try:
        card = CorpusCard.parse(read_regular(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error}). {advice}") from error
    except ValueError as error:
        problem = "is not a card that this version of soritune reads"
        if not isinstance(error, ValidationError):
            problem = "has changed since it was written"
        raise UserError(f"{path}: {problem}. {advice}") from error
    if card.format_version != FORMAT_VERSION:
        raise UserError(
            f"{path}: has format {card.format_version}; this version of soritune reads "
            f"{FORMAT_VERSION}. {advice}"
        )
    return card
