"""The card of a prepared corpus: what is in it, where it came from, what was left out.

It is written last, so a folder with a card is complete.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from soritune.errors import UserError

CARD_FILE = "corpus.json"
QUARANTINE_FILE = "quarantine.jsonl"
SHARD_FOLDER = "shards"
FORMAT_VERSION = 1


class Shard(BaseModel):
    """One Parquet file with some of the utterances, in the order of the source."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    file: str
    utterances: int
    num_bytes: int
    sha256: str


class SplitSummary(BaseModel):
    """Size of one split; `speakers` counts those that are named."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    utterances: int
    duration_s: float
    speakers: int


class CorpusCard(BaseModel):
    """taken + quarantined = read. `fingerprint` tells the same source and settings again.

    `license` is that of the recordings, `speakers` counts those that are named, `notes` what was
    noticed beside the reasons of the quarantine (`selection.NOTE_TEXTS`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    format_version: int
    name: str
    license: str = ""
    fingerprint: str
    source: dict[str, Any]
    settings: dict[str, Any]
    versions: dict[str, str]
    read: int
    taken: int
    quarantined: int
    reasons: dict[str, int]
    notes: dict[str, int] = {}
    duration_s: float
    speakers: int | None = None  # cards of earlier versions do not say
    languages: dict[str, int]
    splits: dict[str, SplitSummary]
    shards: list[Shard]


def read_card(folder: Path) -> CorpusCard | None:
    """The card of a prepared folder, None where there is none.

    Raises UserError for a card that cannot be read or is of another version.
    """
    path = folder / CARD_FILE
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        card = CorpusCard.model_validate_json(content)
    except ValidationError as error:
        raise UserError(
            f"{path}: not a card that this version of soritune reads; remove {folder} and run "
            f"soritune prepare again"
        ) from error
    if card.format_version != FORMAT_VERSION:
        raise UserError(
            f"{path}: format {card.format_version}, this version of soritune reads "
            f"{FORMAT_VERSION}; remove {folder} and run soritune prepare again"
        )
    return card
