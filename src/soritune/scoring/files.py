"""Transcripts in files of any system: plain text, JSONL, TSV, Kaldi's text, CTM and STM.

What cannot be matched is refused with its place; nothing is left out silently.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from soritune.errors import UserError
from soritune.scoring.normalised import TEXT_KEYS, declared
from soritune.scoring.score import check_text
from soritune.scoring.timed import Entry, joined, lines_of, numbered, read_ctm, read_stm, words_in
from soritune.utterance import same_id

_ADVICE = (
    "Score texts as they were written, or accept these with --normalised accept, which the "
    "signature then says."
)
_NOT_READ = (".csv", ".parquet", ".xlsx", ".srt", ".vtt", ".trn", ".textgrid")
_SHOWN = 3  # ids that a message names
_ID_KEYS = ("id", "utt_id", "utterance_id", "key", "audio", "audio_filepath", "path", "file")
_SPEAKER_KEYS = ("speaker", "speaker_id", "spk", "client_id")
_REFERENCE_KEYS = ("reference", "ref", "text", "transcript", "transcription", "sentence")
_HYPOTHESIS_KEYS = (
    *("hypothesis", "hyp", "pred_text", "prediction", "translation", "transcript"),
    *("transcription", "text", "output"),
)


@dataclass(frozen=True)
class Pairs:
    """References and hypotheses in the order of the references."""

    ids: tuple[str, ...]
    references: tuple[str, ...]
    hypotheses: tuple[str, ...]
    speakers: tuple[str | None, ...]
    notes: tuple[str, ...]


def read_pairs(
    reference: Path,
    hypothesis: Path,
    language: str,
    *,
    missing_as_empty: bool = False,
    normalised: bool = False,
) -> Pairs:
    """Read two files and match their texts, by ids where both have them, else line by line.

    Args:
        missing_as_empty: a hypothesis that is missing counts as an empty one.
        normalised: take texts of which a file says that they were normalised.

    Raises UserError where a file cannot be read or the two do not fit together.
    """
    kinds = kind_of(reference), kind_of(hypothesis)
    if kinds == ("stm", "ctm"):
        segments = list(read_stm(reference, language))
        written = words_in(segments, list(read_ctm(hypothesis, language)))
        said = list(numbered(segments))
    else:
        more = TEXT_KEYS if normalised else ()
        said = _entries(reference, language, (*_REFERENCE_KEYS, *more))
        written = _entries(hypothesis, language, (*_HYPOTHESIS_KEYS, *more))
    for entry in (*said, *written):
        if entry.normalised is not None and not normalised:
            raise UserError(
                f"{entry.where}: says that its text was normalised ({entry.normalised}). {_ADVICE}"
            )
    if not said:
        raise UserError(f"{reference}: holds no texts. Name the file of the references.")
    by_id = all(entry.id is not None for entry in (*said, *written)) and bool(written)
    if by_id:
        texts = _by_id(said, written, reference, hypothesis, missing_as_empty)
    elif len(said) != len(written):
        raise UserError(
            f"{hypothesis}: has {len(written):,} texts, but {reference} has {len(said):,}. "
            "Without ids in both files, line n belongs to line n: give both as many."
        )
    else:
        texts = [entry.text for entry in written]
    if not any(entry.text.strip() for entry in said):
        raise UserError(
            f"{reference}: all references are empty, so there is nothing to compare with. "
            "Name a file with transcripts."
        )
    return Pairs(
        ids=tuple(entry.id or str(n + 1) for n, entry in enumerate(said)),
        references=tuple(entry.text for entry in said),
        hypotheses=tuple(texts),
        speakers=tuple(entry.speaker for entry in said),
        notes=tuple(_notes([entry.text for entry in said])),
    )


def kind_of(path: Path) -> str:
    """Return the kind of a file by its name: text, jsonl, tsv, kaldi, ctm or stm.

    Raises UserError where the name says that ids or times would be taken for words.
    """
    endings = {".jsonl": "jsonl", ".json": "jsonl", ".tsv": "tsv", ".ctm": "ctm", ".stm": "stm"}
    if path.name == "text":
        return "kaldi"
    ending = path.suffix.lower()
    if ending in _NOT_READ:
        raise UserError(
            f"{path}: {ending} is not read, and as plain text its columns or times would count as "
            "words. Save it as .tsv, .jsonl or one text a line."
        )
    return endings.get(ending, "text")


def _entries(path: Path, language: str, keys: Sequence[str]) -> list[Entry]:
    readers: dict[str, Callable[[], Iterator[Entry]]] = {
        "text": lambda: _read_text(path, language),
        "kaldi": lambda: _read_kaldi(path, language),
        "jsonl": lambda: _read_jsonl(path, language, keys),
        "tsv": lambda: _read_tsv(path, language, keys),
        "stm": lambda: numbered(read_stm(path, language)),
        "ctm": lambda: joined(read_ctm(path, language)),
    }
    entries = list(readers[kind_of(path)]())
    first: dict[str, str] = {}
    for entry in entries:
        check_text(entry.where, entry.text)
        if entry.id is not None and entry.id in first:
            raise UserError(
                f'{entry.where}: id "{entry.id}" stands at {first[entry.id]} as well. '
                "Give each utterance one line."
            )
        if entry.id is not None:
            first[entry.id] = entry.where
    return entries


def _by_id(
    said: Sequence[Entry],
    written: Sequence[Entry],
    reference: Path,
    hypothesis: Path,
    missing_as_empty: bool,
) -> list[str]:
    texts = {same_id(str(entry.id)): entry.text for entry in written}
    wanted = [same_id(str(entry.id)) for entry in said]
    surplus = sorted(texts.keys() - set(wanted))
    if surplus:
        raise UserError(
            f"{hypothesis}: {len(surplus):,} ids are not in {reference}: {_listed(surplus)}. "
            "Score it against its own references."
        )
    missing = [each for each in wanted if each not in texts]
    if missing and not missing_as_empty:
        raise UserError(
            f"{hypothesis}: {len(missing):,} of {len(wanted):,} utterances are missing: "
            f"{_listed(missing)}. Add them, or count them as empty with --missing empty."
        )
    return [texts.get(each, "") for each in wanted]


def _listed(ids: Sequence[str]) -> str:
    return ", ".join(ids[:_SHOWN]) + (", …" if len(ids) > _SHOWN else "")


def _notes(said: Sequence[str]) -> Iterator[str]:
    empty = sum(not text.strip() for text in said)
    if empty:
        yield (
            f"{empty:,} of {len(said):,} references are empty: what was written for them counts "
            "as inserted."
        )


def _read_text(path: Path, language: str) -> Iterator[Entry]:
    for number, line in enumerate(lines_of(path, language), start=1):
        yield Entry(None, line, None, f"{path}:{number}")


def _read_kaldi(path: Path, language: str) -> Iterator[Entry]:
    for number, line in enumerate(lines_of(path, language), start=1):
        parts = line.split(maxsplit=1)
        if parts:
            yield Entry(parts[0], "".join(parts[1:]), None, f"{path}:{number}")


def _read_jsonl(path: Path, language: str, keys: Sequence[str]) -> Iterator[Entry]:
    for number, line in enumerate(lines_of(path, language), start=1):
        where = f"{path}:{number}"
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            raise UserError(f"{where}: is not JSON. Give each line one object.") from None
        if not isinstance(row, dict):
            raise UserError(f"{where}: is not an object. Give each line one object.")
        yield _entry(row, keys, where)


def _read_tsv(path: Path, language: str, keys: Sequence[str]) -> Iterator[Entry]:
    rows = list(csv.reader(lines_of(path, language), delimiter="\t", quoting=csv.QUOTE_NONE))
    head = [cell.strip().lower() for cell in rows[0]] if rows else []
    named = set(head) & set(keys)
    for number, row in enumerate(rows[1:] if named else rows, start=2 if named else 1):
        where = f"{path}:{number}"
        if not row:
            continue
        if named:
            if len(row) != len(head):
                raise UserError(
                    f"{where}: has {len(row)} columns, the first line {len(head)}. "
                    "Separate columns with one tab."
                )
            yield _entry(dict(zip(head, row, strict=True)), keys, where)
        elif len(row) == 2:
            yield Entry(row[0], row[1], None, where)
        else:
            raise UserError(
                f"{where}: has {len(row)} columns. Give an id and a text, or name the columns in "
                f"the first line ({', '.join(keys[:3])}, …)."
            )


def _entry(row: dict[str, object], keys: Sequence[str], where: str) -> Entry:
    # A key without a value (null) is passed over: an answer without a translation has a transcript.
    key = next((key for key in keys if row.get(key) is not None), None)
    if key is None:
        if any(name in row for name in keys):
            return Entry(_named(row, _ID_KEYS), "", _named(row, _SPEAKER_KEYS), where)
        there = next((name for name in TEXT_KEYS if row.get(name) is not None), None)
        if there is not None:
            raise UserError(f'{where}: has a normalised text alone ("{there}"). {_ADVICE}')
        raise UserError(f"{where}: has none of the keys {', '.join(keys)}. Rename its text.")
    text = row[key]
    if not isinstance(text, str):
        raise UserError(f'{where}: "{key}" is not a text. Put it in quotation marks.')
    return Entry(_named(row, _ID_KEYS), text, _named(row, _SPEAKER_KEYS), where, declared(row))


def _named(row: dict[str, object], keys: Sequence[str]) -> str | None:
    return next((str(row[key]) for key in keys if row.get(key) not in (None, "")), None)
