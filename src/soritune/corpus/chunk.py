"""One chunk of a source: decode, check, and write its shard and its part of the quarantine.

A chunk is the unit that is redone after an interruption. Its result depends on its utterances
alone, so neither the number of workers nor an interruption changes a byte.
"""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel, ConfigDict

from soritune.audio import SAMPLE_RATE_HZ, AudioError, Limits, load_mono_16k
from soritune.corpus.card import SHARD_FOLDER, Shard
from soritune.corpus.flac import bare_flac, encode_flac, is_exact
from soritune.corpus.shard import ShardWriter, Taken
from soritune.files import atomic_file, write_atomically
from soritune.languages.form import TextForm
from soritune.sources.sound import AS_IT_IS, SoundForm
from soritune.utterance import Excerpt, Rejected, Utterance

UNFINISHED_FOLDER = "unfinished"
MAX_CHARACTERS_PER_S = 40.0
SPARE_CHARACTERS = 40
"""Longer than SPARE + MAX a second is no transcript of the clip: the fastest Korean speech has
about 10 syllables a second, English at 300 words a minute 30 characters."""
MAX_ID_CHARACTERS = 1000
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
DARK_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")
"""Control characters that are no white space; of those, `clean_text` makes a single space."""
INVISIBLE = dict.fromkeys(map(ord, "\ufeff\u200b\u2060"))
"""Byte order mark, zero-width space and word joiner: they come with copied text, unseen."""


@dataclass(frozen=True)
class Chunk:
    """Consecutive entries of a source with their positions there, from 0.

    `notes` counts what the card tells beside them (`selection.NOTE_TEXTS`); `form` is how their
    texts are to be written, `sound` how their clips are to be stored.
    """

    index: int
    positions: tuple[int, ...]
    entries: tuple[Utterance | Rejected, ...]
    folder: Path
    limits: Limits
    notes: Mapping[str, int] = field(default_factory=dict)
    form: TextForm | None = None
    sound: SoundForm = AS_IT_IS


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
    notes: dict[str, int] = {}


@dataclass(frozen=True)
class MadeChunk:
    """A chunk's result and the bytes of its shard (None where nothing was taken)."""

    result: ChunkResult
    content: bytes | None


def result_path(folder: Path, index: int) -> Path:
    """Where the result of chunk `index` of the corpus in `folder` is kept until all are done."""
    return folder / UNFINISHED_FOLDER / f"{index:05d}.json"


def prepare_chunk(chunk: Chunk) -> ChunkResult:
    """Write the shard and the result of `chunk`; runs in any process."""
    path = _shard_path(chunk)
    with atomic_file(path) as file:
        result = _make(chunk, file)
    if result.shard is None:
        path.unlink()
    _write_result(result, chunk.folder)
    return result


def make_chunk(chunk: Chunk) -> MadeChunk:
    """Do the work of `chunk` and write nothing, so that a machine without its folder can."""
    buffer = io.BytesIO()
    result = _make(chunk, buffer)
    return MadeChunk(result, buffer.getvalue() if result.shard is not None else None)


def store_chunk(made: MadeChunk, folder: Path) -> ChunkResult:
    """Write the shard, then the result, which tells that the chunk is done."""
    if made.result.shard is not None and made.content is not None:
        write_atomically(folder / made.result.shard.file, made.content)
    _write_result(made.result, folder)
    return made.result


def _make(chunk: Chunk, file: BinaryIO) -> ChunkResult:
    """Write the shard into `file`, a group of rows at a time; nothing where nothing is taken."""
    shard = ShardWriter(file)
    groups = Groups()
    rejected: list[Rejected] = []
    for position, entry in zip(chunk.positions, chunk.entries, strict=True):
        outcome = (
            entry
            if isinstance(entry, Rejected)
            else check(entry, position, chunk.limits, chunk.form, chunk.sound)
        )
        if isinstance(outcome, Rejected):
            rejected.append(outcome)
        else:
            groups.add(outcome)
            shard.add(outcome)
    shard.close()
    return ChunkResult(
        index=chunk.index,
        read=len(chunk.entries),
        taken=groups.listed(),
        quarantined=[
            QuarantineLine(
                id=_printable(r.id),
                reason=r.reason,
                detail=_printable(r.detail),
                where=_printable(r.where),
            )
            for r in rejected
        ],
        shard=None
        if not shard.num_rows
        else Shard(
            file=_shard_name(chunk),
            utterances=shard.num_rows,
            num_bytes=shard.num_bytes,
            sha256=shard.sha256,
        ),
        notes=dict(sorted(chunk.notes.items())),
    )


def _shard_name(chunk: Chunk) -> str:
    return f"{SHARD_FOLDER}/{chunk.index:05d}.parquet"


def _shard_path(chunk: Chunk) -> Path:
    return chunk.folder / _shard_name(chunk)


def _write_result(result: ChunkResult, folder: Path) -> None:
    write_atomically(result_path(folder, result.index), result.model_dump_json().encode("utf-8"))


def check(
    utterance: Utterance,
    position: int,
    limits: Limits,
    form: TextForm | None = None,
    sound: SoundForm = AS_IT_IS,
) -> Taken | Rejected:
    """The utterance with clean text and 16 kHz FLAC, or why it cannot be used."""
    where = (
        str(utterance.audio)
        if isinstance(utterance.audio, Path | Excerpt)
        else f"entry {position + 1} of the source"
    )
    fault = _fault_of_text(utterance)
    if fault:
        return Rejected(utterance.id[:MAX_ID_CHARACTERS], *fault, where)
    text = clean_text(utterance.text)
    translation = clean_text(utterance.translation or "")
    if form is not None:
        text = form.apply(text, utterance.language)
        translation = form.apply(translation, utterance.translation_language)
    if not text:
        return Rejected(utterance.id, "empty-text", "the transcript is empty", where)
    bare = bare_flac(utterance.audio, limits)
    try:
        samples = load_mono_16k(utterance.audio if bare is None else bare, limits)
    except AudioError as error:
        return Rejected(utterance.id, error.reason, error.detail, error.where or where)
    room = SPARE_CHARACTERS + MAX_CHARACTERS_PER_S * len(samples) / SAMPLE_RATE_HZ
    longest = max(len(text), len(utterance.translation or ""))
    if longest > room:
        duration = f"{len(samples) / SAMPLE_RATE_HZ:.1f} s"
        detail = f"{longest:,} characters for {duration} of audio; nobody speaks that fast"
        return Rejected(utterance.id, "text-too-long", detail, where)
    samples = sound.apply(samples)
    clean = Utterance(
        id=utterance.id,
        audio=b"",
        text=text,
        language=utterance.language,
        split=utterance.split,
        speaker=utterance.speaker,
        translation=translation or None,
        translation_language=utterance.translation_language,
    )
    exact = bare is not None and is_exact(bare, samples)
    return Taken(clean, len(samples), bare if bare and exact else encode_flac(samples))


def _fault_of_text(utterance: Utterance) -> tuple[str, str] | None:
    """Reason and detail where the id or a text cannot be what somebody wrote."""
    for text in (utterance.id, utterance.text, utterance.translation or ""):
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            return "bad-text", "text that is not valid UTF-8"
    if not utterance.id.strip() or len(utterance.id) > MAX_ID_CHARACTERS:
        return "bad-id", f"an id has 1 to {MAX_ID_CHARACTERS} characters"
    if CONTROL.search(utterance.id):
        return "bad-id", "the id holds a control character (a line break, a tab)"
    for text in (utterance.text, utterance.translation or ""):
        control = DARK_CONTROL.search(text)
        if control:
            return "bad-text", f"text with the control character U+{ord(control[0]):04X}"
        if "\ufffd" in text:
            return "bad-text", "text with U+FFFD: it was read in a wrong encoding before"
    return None


def clean_text(text: str) -> str:
    """Unicode NFC, single spaces, nothing invisible; the words are left as they are."""
    return " ".join(unicodedata.normalize("NFC", text).translate(INVISIBLE).split())


class Groups:
    """What is taken, summed up by split, language and speaker."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str, str | None], list[int]] = {}

    def add(self, item: Taken) -> None:
        """Count one utterance."""
        utterance = item.utterance
        key = (utterance.split, utterance.language, utterance.speaker)
        group = self._sums.setdefault(key, [0, 0])
        group[0] += 1
        group[1] += item.num_samples

    def listed(self) -> list[TakenGroup]:
        """The sums in the order in which their groups came first."""
        return [
            TakenGroup(split=split, language=language, speaker=speaker, utterances=n, num_samples=s)
            for (split, language, speaker), (n, s) in self._sums.items()
        ]


def _printable(text: str) -> str:
    """Bytes that were no UTF-8 shown as escapes, so that the line itself is valid."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
