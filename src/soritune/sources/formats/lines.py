"""A line of a list of recordings, as JSON or a table gives it, to what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from soritune.errors import UserError
from soritune.languages.names import language_code
from soritune.languages.setting import LanguageCode
from soritune.sources.formats.division import OwnRecordings
from soritune.sources.formats.fields import (
    COLUMNS,
    Columns,
    Meaning,
    read_metadata,
    usual_names,
)
from soritune.sources.formats.rows import Row
from soritune.sources.formats.tables import (
    DIALECTS,
    JSON_LINES,
    PARQUET,
    Line,
    json_lines,
    parquet_lines,
    table_lines,
)
from soritune.utterance import Excerpt, Rejected

MEANINGS: tuple[Meaning, ...] = (
    "text",
    "id",
    "speaker",
    "translation",
    "translation_language",
    "language",
    "source",
)
NEEDED: tuple[Meaning, ...] = ("audio", "text")
OFFSET, DURATION, TARGET = "offset", "duration", "target_lang"
"""NVIDIA NeMo's names: where a part of a file starts, how long it is (both in seconds), and the
language of the text where that is not the spoken one."""

SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".ods", ".numbers")
LONGEST_S = 1e9
"""Thirty years."""


class ListedSource(OwnRecordings):
    """Settings of any list of recordings: columns, languages, how to divide it."""

    columns: Columns = Columns()
    translation_language: LanguageCode | None = "en"


def ending_of(path: Path) -> str:
    """Return the ending of a list that can be read, in small letters, "" for any other file."""
    name = path.name.lower()
    return next((e for e in (*JSON_LINES, *DIALECTS, PARQUET) if name.endswith(e)), "")


def lines_of(path: Path, source: ListedSource, *, with_audio: bool) -> Iterator[tuple[int, Line]]:
    """Yield lines of a list with their numbers; embedded audio only where it is wanted.

    Raises UserError: no such list, an unknown kind, a table without audio or text.
    """
    ending = ending_of(path)
    needed = [(meaning, source.columns.names(meaning)) for meaning in NEEDED]
    if ending in JSON_LINES:
        return json_lines(path, source.default_language)
    if ending in DIALECTS:
        return table_lines(path, needed, source.default_language)
    if ending == PARQUET:
        given = {name.lower() for name in source.columns.model_dump().values() if name}
        usual = {name for meaning in COLUMNS for name in usual_names(meaning)}
        wanted = given | usual | {OFFSET, DURATION, TARGET}
        return parquet_lines(path, needed, wanted, with_audio=with_audio)
    raise not_a_list(path)


def not_a_list(path: Path) -> UserError:
    """Return the error for a file whose ending is not that of a list."""
    if path.suffix.lower() in SPREADSHEETS:
        return UserError(f"{path}: is a spreadsheet; save it as CSV UTF-8 and name that file")
    return UserError(
        f"{path}: a list of recordings is a .jsonl, .json, .csv, .tsv or .parquet file; "
        f"rename or convert it"
    )


def row_of(
    line: Mapping[str, Any],
    where: str,
    source: ListedSource,
    find: Callable[[str], Path | None],
    own_id: str = "",
    prefix: str = "",
    speaker: Callable[[Path], str | None] = lambda path: None,
) -> Row | Rejected:
    """Return the recording that a line names.

    `find` gives the path of a file that is named, None where it must not be read. `own_id` is
    for audio without a name, `prefix` begins the id of audio with one. `speaker` knows who speaks
    in a file where the line does not say it.
    """
    lowered = {str(name).strip().lower(): value for name, value in line.items()}

    def value_of(names: tuple[str, ...]) -> Any:
        return next((lowered[n.lower()] for n in names if lowered.get(n.lower()) is not None), None)

    values: dict[Meaning, Any] = {
        meaning: value_of(source.columns.names(meaning))
        for meaning in MEANINGS
        if any(name.lower() in lowered for name in source.columns.names(meaning))
    }
    split = value_of(COLUMNS["split"])
    named = value_of(source.columns.names("audio"))
    content: bytes | None = None
    if isinstance(named, dict) and set(named) <= {"bytes", "path"}:  # a cell of a Parquet file
        content, named = named.get("bytes"), named.get("path")
    elif named is None or str(named).strip() == "":
        needed = _needed(source, "audio")
        return _bad(values, f"names no audio file ({needed})", where)
    for meaning, value in (("audio", named), ("split", split)):
        if isinstance(value, dict | list | bool | bytes):
            return _bad(values, f"the value of {meaning} is not text", where)
    name = "" if named is None else str(named).strip()
    part = _part(lowered)
    if isinstance(part, str):
        return _bad({"id": name, **values}, part, where)
    if "text" not in values:
        needed = _needed(source, "text")
        return _bad({"id": name, **values}, f"has no transcript ({needed})", where)
    path = find(name) if name and content is None else None
    if path is not None and values.get("speaker") in (None, ""):
        values["speaker"] = speaker(path)
    own_id = (prefix + name if name else own_id) + ("" if part is None else part[1])
    metadata = read_metadata(
        values, own_id, where, source.default_language, source.translation_language
    )
    if isinstance(metadata, Rejected):
        return metadata
    target = language_code(str(lowered.get(TARGET) or ""))
    if target and target != metadata.language:
        return Rejected(
            metadata.id,
            "bad-line",
            f"its text is in {target}, it is not a transcript (target_lang)",
            where,
        )
    if name and content is None and path is None:
        return Rejected(metadata.id, "bad-line", f"{name} leaves the folder of the list", where)
    audio: Path | bytes | Excerpt | None = path if content is None else content
    if part is not None:
        if not isinstance(audio, Path):
            return Rejected(metadata.id, "bad-line", "an offset needs the path of a file", where)
        audio = Excerpt(audio, *part[0])
    return Row(where, metadata, audio, str(split or "").strip().lower() or None)


def number_of(value: object) -> float | None:
    """Return a number of seconds, also where it is written as text.

    None where it is not one: infinity, or more than a recording can last.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) <= LONGEST_S else None


def part_name(start_s: float, duration_s: float | None) -> str:
    """Return the suffix of the id of a part: ` 12.5+3` starts at 12.5 s and lasts 3 s."""
    return f" {start_s:.9g}" + ("" if duration_s is None else f"+{duration_s:.9g}")


def _part(lowered: Mapping[str, Any]) -> tuple[tuple[float, float | None], str] | str | None:
    """Return start and duration with their `part_name`; None for a whole file; text is what is
    wrong.

    A duration alone is only information: many lists have one, rounded or in other units.
    """
    if lowered.get(OFFSET) in (None, ""):
        return None
    given = [lowered[OFFSET], lowered.get(DURATION)]
    start_s = number_of(given[0])
    duration_s = None if given[1] in (None, "") else number_of(given[1])
    if start_s is None or (duration_s is None and given[1] not in (None, "")):
        return f"offset {given[0]!r} and duration {given[1]!r} are not seconds"
    if start_s == 0 and duration_s is None:
        return None
    return (start_s, duration_s), part_name(start_s, duration_s)


def _needed(source: ListedSource, meaning: Meaning) -> str:
    """Return the name of a column: the one of the recipe, or the usual English ones."""
    given = source.columns.names(meaning)
    return ", ".join(given if len(given) == 1 else COLUMNS[meaning])


def _bad(values: Mapping[Meaning, Any], detail: str, where: str) -> Rejected:
    own_id = values.get("id")
    return Rejected(own_id if isinstance(own_id, str) else "", "bad-line", detail, where)
