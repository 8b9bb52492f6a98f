"""One chunk of a source: decode, check, and write its shard and its part of the quarantine.

A chunk is the unit that is redone after an interruption. Its result depends on its utterances
alone, so neither the number of workers nor an interruption changes a byte.
"""

from __future__ import annotations

import hashlib
import io
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from soritune.audio import SAMPLE_RATE_HZ, AudioError, Limits, Samples, load_mono_16k
from soritune.corpus.card import SHARD_FOLDER, Shard
from soritune.corpus.files import write_atomically
from soritune.corpus.utterance import Rejected, Utterance

UNFINISHED_FOLDER = "unfinished"
ROWS_IN_GROUP = 25
"""Rows that are read together: about 2 MB, so that reading at random costs little."""
INVISIBLE = dict.fromkeys(map(ord, "\ufeff\u200b\u2060"))
"""Byte order mark, zero-width space and word joiner: they come with copied text, unseen."""


@dataclass(frozen=True)
class Chunk:
    """Consecutive entries of a source; `first` is the position of the first, from 0."""

    index: int
    first: int
    entries: tuple[Utterance | Rejected, ...]
    folder: Path
    limits: Limits


class TakenGroup(BaseModel):
    """What a chunk took of one split, language and speaker."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    split: str
    language: str
    speaker: str | None
    utterances: int
    num_samples: int


class QuarantineLine(BaseModel):
    """One entry that was left out (`Rejected`, as it stands in the files)."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    id: str
    reason: str
    detail: str
    where: str


class ChunkResult(BaseModel):
    """What came of a chunk; written after its shard, so it tells that the chunk is done."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    index: int
    read: int
    taken: list[TakenGroup]
    quarantined: list[QuarantineLine]
    shard: Shard | None


@dataclass(frozen=True)
class Taken:
    """An utterance that passed every check."""

    utterance: Utterance
    num_samples: int
    flac: bytes


def result_path(folder: Path, index: int) -> Path:
    """Where the result of chunk `index` of the corpus in `folder` is kept until all are done."""
    return folder / UNFINISHED_FOLDER / f"{index:05d}.json"


def prepare_chunk(chunk: Chunk) -> ChunkResult:
    """Write the shard and the result of `chunk`; runs in any process."""
    taken: list[Taken] = []
    rejected: list[Rejected] = []
    for position, entry in enumerate(chunk.entries, start=chunk.first):
        outcome = entry if isinstance(entry, Rejected) else check(entry, position, chunk.limits)
        if isinstance(outcome, Rejected):
            rejected.append(outcome)
        else:
            taken.append(outcome)
    result = ChunkResult(
        index=chunk.index,
        read=len(chunk.entries),
        taken=_groups(taken),
        quarantined=[
            QuarantineLine(
                id=_printable(r.id),
                reason=r.reason,
                detail=_printable(r.detail),
                where=_printable(r.where),
            )
            for r in rejected
        ],
        shard=_write_shard(taken, chunk) if taken else None,
    )
    write_atomically(
        result_path(chunk.folder, chunk.index), result.model_dump_json().encode("utf-8")
    )
    return result


def check(utterance: Utterance, position: int, limits: Limits) -> Taken | Rejected:
    """The utterance with clean text and 16 kHz FLAC, or why it cannot be used."""
    where = (
        str(utterance.audio)
        if isinstance(utterance.audio, Path)
        else f"entry {position + 1} of the source"
    )
    try:
        for text in (utterance.id, utterance.text, utterance.translation or ""):
            text.encode("utf-8")
    except UnicodeEncodeError:
        return Rejected(utterance.id, "bad-text", "text that is not valid UTF-8", where)
    text = clean_text(utterance.text)
    if not text:
        return Rejected(utterance.id, "empty-text", "the transcript is empty", where)
    try:
        samples = load_mono_16k(utterance.audio, limits)
    except AudioError as error:
        return Rejected(utterance.id, error.reason, error.detail, error.where or where)
    clean = Utterance(
        id=utterance.id,
        audio=b"",
        text=text,
        language=utterance.language,
        split=utterance.split,
        speaker=utterance.speaker,
        translation=clean_text(utterance.translation or "") or None,
        translation_language=utterance.translation_language,
    )
    return Taken(clean, len(samples), encode_flac(samples))


def clean_text(text: str) -> str:
    """Unicode NFC, single spaces, nothing invisible; the words are left as they are."""
    return " ".join(unicodedata.normalize("NFC", text).translate(INVISIBLE).split())


def encode_flac(samples: Samples) -> bytes:
    """16 kHz samples (num_samples,) in [-1, 1] as 16-bit FLAC; 16-bit sources lose nothing."""
    import soundfile

    quantised = np.clip(np.rint(samples * np.float32(32768)), -32768, 32767).astype(np.int16)
    buffer = io.BytesIO()
    soundfile.write(buffer, quantised, SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def _groups(taken: list[Taken]) -> list[TakenGroup]:
    sums: dict[tuple[str, str, str | None], list[int]] = {}
    for item in taken:
        utterance = item.utterance
        group = sums.setdefault((utterance.split, utterance.language, utterance.speaker), [0, 0])
        group[0] += 1
        group[1] += item.num_samples
    return [
        TakenGroup(split=split, language=language, speaker=speaker, utterances=n, num_samples=s)
        for (split, language, speaker), (n, s) in sums.items()
    ]


def _write_shard(taken: list[Taken], chunk: Chunk) -> Shard:
    import pyarrow as pa
    import pyarrow.parquet as pq

    utterances = [item.utterance for item in taken]
    text = pa.string()
    columns = {
        "id": pa.array([u.id for u in utterances], text),
        "text": pa.array([u.text for u in utterances], text),
        "language": pa.array([u.language for u in utterances], text),
        "translation": pa.array([u.translation for u in utterances], text),
        "translation_language": pa.array([u.translation_language for u in utterances], text),
        "speaker": pa.array([u.speaker for u in utterances], text),
        "split": pa.array([u.split for u in utterances], text),
        "duration_s": pa.array([t.num_samples / SAMPLE_RATE_HZ for t in taken], pa.float64()),
        "audio": pa.array([t.flac for t in taken], pa.binary()),
    }
    buffer = io.BytesIO()
    # FLAC does not compress further; without compression a reader takes the bytes as they are.
    pq.write_table(
        pa.table(columns),
        buffer,
        row_group_size=ROWS_IN_GROUP,
        compression="none",
        use_dictionary=False,
        write_statistics=False,
    )
    content = buffer.getvalue()
    file = f"{SHARD_FOLDER}/{chunk.index:05d}.parquet"
    write_atomically(chunk.folder / file, content)
    return Shard(
        file=file,
        utterances=len(taken),
        num_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _printable(text: str) -> str:
    """Bytes that were no UTF-8 shown as escapes, so that the line itself is valid."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
