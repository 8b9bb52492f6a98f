"""A list of one's own recordings: JSONL, CSV or TSV, one recording a line."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TextIO

from pydantic import Field

from soritune.corpus.options import SourceOptions
from soritune.corpus.split import Keys, Shares, sentence_key, split_entries
from soritune.corpus.utterance import Rejected, Split, Utterance
from soritune.errors import UserError

SUFFIXES = {".jsonl": "json", ".ndjson": "json", ".csv": ",", ".tsv": "\t"}
COLUMNS = {
    "audio": ("audio", "path", "audio_path", "audio_filepath", "file", "file_name", "wav"),
    "text": ("text", "transcript", "transcription", "sentence"),
    "id": ("id", "utt_id"),
    "speaker": ("speaker", "speaker_id", "client_id"),
    "translation": ("translation", "english_transcription"),
    "translation_language": ("translation_language",),
    "language": ("language", "lang", "locale"),
    "split": ("split",),
}
"""What a column may be called, the first name that a line has counts."""
SPLITS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "dev": "dev",
    "valid": "dev",
    "validation": "dev",
    "test": "test",
}
Share = Annotated[float, Field(ge=0, lt=1)]


class ManifestSource(SourceOptions):
    """`path` is the list; the recordings' paths in it are relative to its folder.

    Rows without a column `split` are divided so that test and dev share no speaker and no
    sentence with train (`split_by`; without a speaker column, no sentence).
    """

    source: Literal["manifest"]
    path: Path
    language: str = "ko"
    translation_language: str | None = "en"
    split_by: list[Literal["speaker", "sentence"]] = Field(["speaker", "sentence"], min_length=1)
    test_share: Share = 0.1
    dev_share: Share = 0.05
    seed: int = 0


@dataclass(frozen=True)
class Row:
    """A line that names a recording; `split` as it stands there, None if it says nothing."""

    where: str
    id: str
    audio: Path
    text: str
    language: str
    speaker: str | None
    translation: str | None
    translation_language: str | None
    split: str | None


def read(source: ManifestSource) -> Iterator[Utterance | Rejected]:
    """Utterances in the order of the list, lines that are none as `Rejected`.

    Raises UserError: no such list, unknown kind of list, a table without a column for the audio
    or the text, rows that cannot be split as asked.
    """
    entries = list(_rows(source))
    rows = [entry for entry in entries if isinstance(entry, Row)]
    outcome = iter(_with_splits(rows, source))
    for entry in entries:
        yield next(outcome) if isinstance(entry, Row) else entry


def count(source: ManifestSource) -> int | None:
    """Number of entries in the list."""
    return sum(1 for _ in _rows(source))


def identity(source: ManifestSource) -> str:
    """A digest of the list and of the size and time of each recording that it names."""
    digest = hashlib.sha256(repr(source.path).encode())
    for entry in _rows(source):
        digest.update(repr(entry).encode("utf-8", "backslashreplace"))
        if isinstance(entry, Row):
            try:
                stat = entry.audio.stat()
            except (OSError, ValueError):
                continue
            digest.update(f"{stat.st_size} {stat.st_mtime_ns}".encode())
    return digest.hexdigest()


def _rows(source: ManifestSource) -> Iterator[Row | Rejected]:
    kind = SUFFIXES.get(source.path.suffix.lower())
    if kind is None:
        raise UserError(
            f"{source.path}: a list of recordings is a .jsonl, .csv or .tsv file; "
            f"rename or convert it"
        )
    try:
        # Bytes that are no UTF-8 come through as surrogates and cost their line, not the list.
        with source.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            lines = _json_lines(file) if kind == "json" else _table(file, kind, source.path)
            for number, line in lines:
                where = f"{source.path} line {number}"
                yield (
                    _row(line, where, source)
                    if isinstance(line, dict)
                    else Rejected("", "bad-line", line, where)
                )
    except FileNotFoundError as error:
        raise UserError(f"{source.path}: there is no such list of recordings") from error
    except OSError as error:
        raise UserError(f"{source.path}: the list cannot be read ({error})") from error


def _json_lines(file: TextIO) -> Iterator[tuple[int, dict[str, Any] | str]]:
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield number, f"the line is no JSON ({error})"
            continue
        yield number, value if isinstance(value, dict) else "the line is no JSON object"


def _table(file: TextIO, delimiter: str, path: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    # Tab-separated lists (Common Voice's too) hold quotation marks that quote nothing.
    lines = (
        csv.reader(file, delimiter=delimiter, quoting=csv.QUOTE_NONE)
        if delimiter == "\t"
        else csv.reader(file, delimiter=delimiter)
    )
    try:
        header = [name.strip() for name in next(lines, [])]
        names = {name.lower() for name in header}
        for wanted in ("audio", "text"):
            if not names & set(COLUMNS[wanted]):
                raise UserError(
                    f"{path} line 1: no column for the {wanted}; it has "
                    f"{', '.join(header) or 'none'}, needed is one of {', '.join(COLUMNS[wanted])}"
                )
        for cells in lines:
            if not any(cells):
                continue
            if len(cells) != len(header):
                yield lines.line_num, f"{len(cells)} cells where the header has {len(header)}"
            else:
                yield lines.line_num, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise UserError(f"{path} line {lines.line_num}: no table that can be read ({error})") from (
            error
        )


def _row(line: dict[str, Any], where: str, source: ManifestSource) -> Row | Rejected:
    lowered = {str(name).strip().lower(): value for name, value in line.items()}
    found: dict[str, str | None] = {}
    for column, names in COLUMNS.items():
        value = next((lowered[name] for name in names if lowered.get(name) is not None), None)
        if isinstance(value, dict | list | bool):
            return Rejected("", "bad-line", f"the value of {column} is no text", where)
        found[column] = str(value).strip() if value is not None else None
    audio, text = found["audio"], found["text"]
    utterance_id = found["id"] or audio or ""
    if not audio:
        needed = ", ".join(COLUMNS["audio"])
        return Rejected(utterance_id, "bad-line", f"names no audio file ({needed})", where)
    if text is None and not set(COLUMNS["text"]) & set(lowered):
        needed = ", ".join(COLUMNS["text"])
        return Rejected(utterance_id, "bad-line", f"has no transcript ({needed})", where)
    if lowered.get("offset") not in (None, "", 0, 0.0, "0", "0.0"):
        return Rejected(
            utterance_id, "bad-line", "a part of a file (offset) is not read: cut it out", where
        )
    translation = found["translation"] or None
    return Row(
        where=where,
        id=utterance_id,
        audio=source.path.parent / audio,
        text=text or "",
        language=_language(found["language"] or source.language),
        speaker=found["speaker"] or None,
        translation=translation,
        translation_language=(
            _language(found["translation_language"] or source.translation_language or "") or None
            if translation
            else None
        ),
        split=(found["split"] or "").lower() or None,
    )


def _language(code: str) -> str:
    """`ko` of `ko-KR`, `ko_kr`, `KO`."""
    return code.replace("_", "-").partition("-")[0].strip().lower()


def _with_splits(rows: Sequence[Row], source: ManifestSource) -> list[Utterance | Rejected]:
    if any(row.split for row in rows):
        return [_given(row) for row in rows]
    by_speaker = "speaker" in source.split_by and any(row.speaker for row in rows)
    by_sentence = "sentence" in source.split_by
    if not by_speaker and not by_sentence:
        raise UserError(
            f"{source.path}: split_by speaker needs a column {' or '.join(COLUMNS['speaker'])}; "
            f"add it, or set split_by: [sentence]"
        )
    # Who is not named could be a speaker of the test: such rows cannot be split by speaker.
    # An empty transcript is no sentence; prepare puts it into the quarantine wherever it is.
    usable = [row for row in rows if (row.speaker or not by_speaker) and sentence_key(row.text)]
    keys = [
        Keys(row.speaker if by_speaker else None, sentence_key(row.text) if by_sentence else None)
        for row in usable
    ]
    try:
        splits = split_entries(keys, Shares(source.test_share, source.dev_share), source.seed)
    except UserError as error:
        raise UserError(f"{source.path}: {error}") from error
    of_row = {id(row): split for row, split in zip(usable, splits, strict=True)}
    return [
        _placed(row, of_row[id(row)]) if id(row) in of_row else _unplaceable(row) for row in rows
    ]


def _given(row: Row) -> Utterance | Rejected:
    if row.split is None:
        return Rejected(row.id, "no-split", "names no split though other lines do", row.where)
    split = SPLITS.get(row.split)
    if split is None:
        known = ", ".join(SPLITS)
        return Rejected(row.id, "bad-split", f"split {row.split} is none of {known}", row.where)
    return _utterance(row, split)


def _placed(row: Row, split: Split | None) -> Utterance | Rejected:
    if split is None:
        return Rejected(
            row.id,
            "split-conflict",
            "its speaker and its sentence belong to different splits",
            row.where,
        )
    return _utterance(row, split)


def _unplaceable(row: Row) -> Utterance | Rejected:
    if not sentence_key(row.text):
        return Rejected(row.id, "empty-text", "the transcript has no letter or digit", row.where)
    return Rejected(row.id, "no-speaker", "names no speaker though other lines do", row.where)


def _utterance(row: Row, split: Split) -> Utterance:
    return Utterance(
        id=row.id,
        audio=row.audio,
        text=row.text,
        language=row.language,
        split=split,
        speaker=row.speaker,
        translation=row.translation,
        translation_language=row.translation_language,
    )
