"""Lists as files: JSON lines, tables and Parquet, each line a dict, or what is wrong with it.

Bytes that are not UTF-8 come through as surrogates and cost their line, not the list. Files whose
name ends in .gz are unpacked while they are read.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from soritune.errors import UserError
from soritune.files import open_regular
from soritune.languages.encoding import decode_text
from soritune.languages.language import decode_utf8
from soritune.sources.formats.records import table_records
from soritune.sources.formats.written import load_json
from soritune.sources.limits import LIFTED_BY, lifted
from soritune.sources.parquet import column_types, read_columns

Line = dict[str, Any] | str
"""The content of a line, or text that says why it cannot be used."""


class Tabs(csv.excel_tab):
    """Tab-separated lists (Common Voice's too) hold quotation marks that quote nothing."""

    quoting = csv.QUOTE_NONE


class Semicolons(csv.excel):
    """What Excel writes where the decimal point is a comma."""

    delimiter = ";"


class Bars(csv.excel):
    """What lists of speech synthesis are written with."""

    delimiter = "|"


DIALECTS: dict[str, type[csv.Dialect]] = {".csv": csv.excel, ".tsv": Tabs}
JSON = (".json", ".json.gz")
JSON_LINES = (".jsonl", ".ndjson", ".jsonl.gz", *JSON)
"""NVIDIA NeMo calls its lists .json, although each line is an object."""
PARQUET = ".parquet"
MAX_LINE_CHARACTERS = 2**24
"""A recording has some hundred; a packed list of some megabytes may hold gigabytes in one line."""


_AUDIO_NAME = re.compile(r"\.(wav|flac|mp3|ogg|opus|m4a|aac|wma|webm)$", re.IGNORECASE)
_WIDE = {
    codecs.BOM_UTF32_LE: "UTF-32",  # begins as UTF-16 does
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_SAMPLE = 2**20
_MAX_DECODED = 2**28


@contextmanager
def open_lines(path: Path, language: str = "") -> Iterator[TextIO]:
    """Open a text file without its byte order mark; another encoding of its language is found out.

    Raises UserError, also while it is read.
    """
    try:
        with open_regular(path) as raw:
            zipped = path.name.lower().endswith(".gz")
            content = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if zipped else raw
            if not zipped:
                start = raw.read(_SAMPLE)
                raw.seek(0)
                if (mark := next((m for m in _WIDE if start.startswith(m)), None)) is not None:
                    raise UserError(f"{path}: is written in {_WIDE[mark]}; save it as UTF-8")
                if language and _never_utf8(start):
                    text = decode_text(raw.read(lifted(_MAX_DECODED)), language)
                    if text is not None and not raw.read(1):
                        yield io.StringIO(text, newline="")
                        return
                    raw.seek(0)
            with io.TextIOWrapper(
                content, encoding="utf-8-sig", errors="surrogateescape", newline=""
            ) as file:
                yield file
    except FileNotFoundError as error:
        raise UserError(f"{path}: there is no such list of recordings") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(
            f"{path}: no gzip file, or one that breaks off ({error}); copy or make it again"
        ) from error
    except OSError as error:
        raise UserError(f"{path}: the list cannot be read ({error})") from error


def _never_utf8(start: bytes) -> bool:
    """Return whether no line has letters in UTF-8, but some has other bytes (Excel's CP949).

    One line among others is damaged, and costs itself alone.
    """
    found = start.splitlines()
    if len(start) == _SAMPLE:
        found = found[:-1] or found  # the last one may be cut within a letter
    lines = [line for line in found if not line.isascii()]
    return bool(lines) and all(decode_utf8(line) is None for line in lines)


def _bounded(file: TextIO, path: Path) -> Iterator[str]:
    """Yield the lines of a list. Raises UserError for one that would fill the memory."""
    number = 0
    limit = lifted(MAX_LINE_CHARACTERS)
    while line := file.readline(limit + 1):
        number += 1
        if len(line) > limit:
            raise UserError(
                f"{path} line {number}: has more than {limit:,} characters. Write one "
                f"recording a line ({LIFTED_BY})"
            )
        yield line


def json_lines(path: Path, language: str = "") -> Iterator[tuple[int, Line]]:
    """Yield objects with their line numbers from 1.

    Raises UserError: the file cannot be read, it holds one array or an object over many lines.
    """
    with open_lines(path, language) as file:
        lines = ((n, line) for n, line in enumerate(_bounded(file, path), start=1) if line.strip())
        found = next(lines, None)
        # Of objects: another list in the first line is a bad line like any other.
        if found is not None and re.match(r"\s*\[\s*(\{|$)", found[1]):
            raise UserError(
                f"{path}: is one JSON array; write an object a line (jq -c '.[]' does it)"
            )
        first = 0 if found is None else found[0]
        while found is not None:
            number, line = found
            found = next(lines, None)
            content = _json_object(line)
            goes_on = found is not None and not found[1].lstrip().startswith("{")
            if number == first and goes_on and isinstance(content, str):
                raise UserError(
                    f"{path}: has a JSON object over several lines; write one a line (jq -c . does "
                    f"it)"
                )
            yield number, content


def _json_object(line: str) -> Line:
    try:
        value = load_json(line)
    except (ValueError, RecursionError) as error:
        return f"the line is not JSON ({error})"
    return value if isinstance(value, dict) else "the line is not a JSON object"


def table_lines(
    path: Path, needed: Sequence[tuple[str, Collection[str]]], language: str = ""
) -> Iterator[tuple[int, Line]]:
    """Yield rows of a .csv or .tsv under its header, with their line numbers.

    `needed` are meanings with the names that a column of them may have. Cells of a .csv may be
    separated by semicolons, tabs or bars; the header tells. Raises UserError: the
    file cannot be read or is not a table, such a column is not there.
    """
    with open_lines(path, language) as file:
        lines = _bounded(file, path)
        first = next(lines, "")
        dialect = _dialect(path, first, needed)
        records = table_records(chain([first], lines) if first else lines, dialect)
        number, header = next(records, (1, []))
        if isinstance(header, str):
            raise UserError(f"{path} line {number}: no table that can be read ({header})")
        header = [name.strip() for name in header]
        check_columns(f"{path} line 1", header, needed)
        for number, cells in records:
            if isinstance(cells, str):
                yield number, cells
            elif any(cells) and len(cells) != len(header):
                yield number, f"{len(cells)} cells where the header has {len(header)}"
            elif any(cells):
                yield number, dict(zip(header, cells, strict=True))


def _dialect(
    path: Path, first: str, needed: Sequence[tuple[str, Collection[str]]]
) -> type[csv.Dialect]:
    """Return how the cells of a table are separated, by its first line."""
    usual = DIALECTS[path.suffix.lower()]
    if usual is not csv.excel:
        return usual
    headers: dict[type[csv.Dialect], list[str]] = {}
    for dialect in (csv.excel, Semicolons, csv.excel_tab, Bars):
        try:
            headers[dialect] = [cell.strip() for cell in next(csv.reader([first], dialect), [])]
        except csv.Error:
            continue
        if not _lacking(headers[dialect], needed):
            return dialect
    return max(headers, key=lambda dialect: len(headers[dialect]), default=csv.excel)


def parquet_lines(
    path: Path,
    needed: Sequence[tuple[str, Collection[str]]],
    wanted: Collection[str],
    *,
    with_audio: bool,
) -> Iterator[tuple[int, Line]]:
    """Yield rows with their numbers; the columns that are `wanted` (in small letters), no others.

    Audio (a column of structs `bytes` and `path`, or of bytes) comes as a dict of both; without
    `with_audio` its bytes are not read and are None. Raises UserError like `table_lines`.
    """
    import pyarrow as pa

    if not path.is_file():
        raise UserError(f"{path}: there is no such list of recordings")
    types = column_types(path)
    check_columns(str(path), list(types), needed)
    columns: list[str] = []
    bare: set[str] = set()
    structs: set[str] = set()
    for name, kind in types.items():
        if name.lower() not in wanted:
            continue
        if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            bare.add(name)
            columns += [name] if with_audio else []
        elif pa.types.is_struct(kind) and "bytes" in {field.name for field in kind}:
            structs.add(name)
            parts = {field.name for field in kind} & ({"bytes", "path"} if with_audio else {"path"})
            columns += [f"{name}.{part}" for part in sorted(parts)]
        else:
            columns.append(name)
    for number, row in read_columns(path, columns):
        for name in bare:
            row[name] = {"bytes": row.get(name), "path": None}
        for name in structs:
            row[name] = {"bytes": None, "path": None, **(row.get(name) or {})}
        yield number, row


def check_columns(
    where: str, header: Sequence[str], needed: Sequence[tuple[str, Collection[str]]]
) -> None:
    """Raises UserError where a table has no column of a name that is needed, or two of one."""
    lacking = _lacking(header, needed)
    if not lacking:
        used = {name.lower() for _, names in needed for name in names}
        counts = Counter(name.lower() for name in header)
        if twice := [name for name in used if counts[name] > 1]:
            raise UserError(f"{where}: two columns are called {twice[0]}. Rename one of them")
        return
    meaning, names = lacking[0]
    if any(_AUDIO_NAME.search(name) for name in header):
        raise UserError(
            f"{where}: no column for the {meaning}: the first line is a recording already. Write a "
            "line above it that names the columns, such as audio,text"
        )
    used = {name.lower() for _, others in needed for name in others}
    left = [name for name in header if name.lower() not in used]
    hint = ""
    if left:
        likely = left[0] if meaning == "audio" else left[-1]
        hint = f", or say which it is in the recipe: columns: {{{meaning}: {likely}}}"
    raise UserError(
        f"{where}: no column for the {meaning}; it has {', '.join(header) or 'none'}. "
        f"Call one {next(iter(names))}{hint}"
    )


def _lacking(
    header: Sequence[str], needed: Sequence[tuple[str, Collection[str]]]
) -> list[tuple[str, Collection[str]]]:
    present = {name.lower() for name in header}
    return [each for each in needed if not present & {name.lower() for name in each[1]}]
