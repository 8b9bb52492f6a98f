"""A source of a recipe whose entries a test makes, and corpora of it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, PrivateAttr

from soritune.corpus.card import CorpusCard
from soritune.corpus.folder import CorpusFolder
from soritune.corpus.job import Job
from soritune.corpus.prepare import CHUNK_SIZE, prepare
from soritune.corpus.selection import Entry, Note
from soritune.sources import READERS, Reader
from soritune.sources.options import SourceOptions


class MadeSource(SourceOptions):
    """Entries in memory; equal `version` promises equal entries."""

    source: Literal["made"] = "made"
    version: int = 0
    _entries: Iterable[Entry | Note] = PrivateAttr(())


def prepare_made(
    name: str, entries: Iterable[Entry | Note], out: Path, *, version: int = 0, **given: Any
) -> CorpusCard:
    """`prepare` of a source with these entries."""
    source = MadeSource(version=version)
    source._entries = entries
    READERS[MadeSource] = Reader(lambda source: iter(source._entries), disjoint=True)
    try:
        return prepare(name, source, out, **given)
    finally:
        del READERS[MadeSource]


def is_prepared(name: str, source: BaseModel, out: Path) -> bool:
    """Whether `prepare` with these arguments would return at once."""
    return CorpusFolder(out).finished_card(Job.of(name, source, CHUNK_SIZE)) is not None


def contents(out: Path) -> dict[str, bytes]:
    """The files of a folder by their paths."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }
