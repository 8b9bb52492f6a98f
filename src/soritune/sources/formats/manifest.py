"""A list of one's own recordings: JSONL (NVIDIA NeMo's too), CSV, TSV or Parquet, one a line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal

from soritune.sources.folders import find_file
from soritune.sources.formats.fields import COLUMNS, SPLITS
from soritune.sources.formats.lines import ListedSource, ending_of, lines_of, row_of
from soritune.sources.formats.rows import Row, assign_splits, count_of, file_state, identity_of
from soritune.sources.formats.tables import PARQUET
from soritune.utterance import Rejected, Utterance

__all__ = ["COLUMNS", "SPLITS", "ManifestSource", "count", "identity", "read"]


class ManifestSource(ListedSource):
    """`path` is the list; the recordings' paths in it are relative to its folder.

    Rows without a column `split` are divided so that test and dev share no speaker and no
    sentence with train (`split_by`; without a speaker column, no sentence).
    """

    source: Literal["manifest"]
    path: Path


def read(source: ManifestSource) -> Iterator[Utterance | Rejected]:
    """Yield utterances in the order of the list, lines that are none as `Rejected`.

    Raises UserError: no such list, unknown kind of list, a table without a column for the audio
    or the text, rows that cannot be split as asked.
    """
    return assign_splits(
        partial(_rows, source, with_audio=True),
        partial(_rows, source, with_audio=False),
        source,
        str(source.path),
    )


def count(source: ManifestSource) -> int | None:
    """Return the number of entries in the list."""
    return count_of(partial(_rows, source, with_audio=False))


def identity(source: ManifestSource) -> str:
    """Return a digest of the list and of the size and time of each recording that it names."""
    state = file_state(source.path).decode() if ending_of(source.path) == PARQUET else ""
    return identity_of(partial(_rows, source, with_audio=False)) + state


def _rows(source: ManifestSource, *, with_audio: bool) -> Iterator[Row | Rejected]:
    unit = "row" if ending_of(source.path) == PARQUET else "line"
    folder = source.path.parent
    for number, line in lines_of(source.path, source, with_audio=with_audio):
        where = f"{source.path} {unit} {number}"
        if isinstance(line, str):
            yield Rejected("", "bad-line", line, where)
        else:
            own_id = f"{source.path.name} {unit} {number}"
            yield row_of(line, where, source, partial(_file, folder), own_id)


def _file(folder: Path, name: str) -> Path:
    # os.path, not Path: it leaves a ~user that is unknown.
    return find_file(folder / os.path.expanduser(name))
