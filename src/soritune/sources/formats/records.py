"""Records of a table, such that a quotation mark that is never closed costs its line alone."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from itertools import chain

MAX_LINES = 100
"""Of one record: a transcript of more is a mark that was never closed."""


def table_records(
    lines: Iterable[str], dialect: type[csv.Dialect]
) -> Iterator[tuple[int, list[str] | str]]:
    """Yield cells with the number of their line, or text that says why it has none.

    A cell may have several lines where its quotation marks are closed. A record of several lines
    of which one is a whole row by itself is none: then only its first line is lost.
    """
    source = enumerate(lines, start=1)
    held: list[tuple[int, str]] = []
    width = 0
    while True:
        first = held.pop(0) if held else next(source, None)
        if first is None:
            return
        number, line = first
        record = [line]
        cells = _cells(record, dialect)
        more: list[tuple[int, str]] = []
        following = chain(list(held), source)
        while cells is None and len(record) < MAX_LINES:
            after = next(following, None)
            if after is None:
                break
            more.append(after)
            if width and _is_row(after[1], dialect, width):
                break
            record.append(after[1])
            cells = _cells(record, dialect)
        if cells is None or (len(record) > 1 and width and len(cells) != width):
            held = more + held[len(more) :]
            yield number, "a quotation mark in it is not closed"
            continue
        held = held[len(more) :]
        width = width or len(cells)
        yield number, cells


def _cells(record: list[str], dialect: type[csv.Dialect]) -> list[str] | None:
    """Return the cells of a record, None where it does not end in its last line."""
    try:
        return next(csv.reader(record, dialect, strict=True), [])
    except csv.Error as error:
        if "unexpected end" in str(error):
            return None
    if '\\"' in record[0]:  # of other programs; taken for two marks, it would change the text
        return None
    try:  # a mark inside a cell: taken as it has always been
        return next(csv.reader(record, dialect), []) if len(record) == 1 else None
    except csv.Error:
        return None


def _is_row(line: str, dialect: type[csv.Dialect], width: int) -> bool:
    """Return whether a line has the cells of a row before a quotation mark closes the record."""
    if width < 2:
        return False
    separator = dialect.delimiter
    inside = line.split('"', maxsplit=1)[0].count(separator) == width - 1
    return inside or (f'{separator}"' in line and line.count(separator) == width - 1)
