"""The forms of a Common Voice release: where its lists and its clips are.

A folder, a tar.gz, lists and archives apart (mirrors in the form of the hub's old loading
scripts), or Parquet files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from soritune.errors import UserError
from soritune.files import open_regular, read_regular
from soritune.sources.clips import (
    NamedAudio,
    archive_clips,
    archive_errors,
    clip_name,
    folder_clips,
    parquet_clips,
    read_archive,
    read_tsv,
)
from soritune.sources.parquet import describe_files, read_rows
from soritune.utterance import Rejected

LISTS = ("test", "dev", "train", "validated", "other", "invalidated")
COLUMNS = ("client_id", "path", "sentence")
REMEDY = (
    "download the release of the locale (cv-corpus-*.tar.gz) from "
    "https://datacollective.mozillafoundation.org and set path to that file"
)


@dataclass(frozen=True)
class Line:
    """One line of a list."""

    where: str
    speaker: str
    clip: str
    sentence: str


Tables = Iterator[tuple[str, Iterator[Line | Rejected]]]


@dataclass(frozen=True)
class Release:
    """Where the lists (by name, in any order) and the clips (asked for by name) come from."""

    name: str
    tables: Callable[[], Tables]
    clips: Callable[[Iterable[str]], Iterator[NamedAudio]]


def open_release(path: Path, locale: str) -> Release:
    """Return the release in a file or folder. Raises UserError where it lacks the locale."""
    if path.is_file():
        return Release(
            str(path),
            lambda: _archive_tables(path, locale),
            lambda names: archive_clips([path]),
        )
    tables = _tables_folder(path, locale)
    if tables is not None:
        archives = [] if (tables / "clips").is_dir() else _archives(path, locale)
        return Release(
            str(tables),
            lambda: _folder_tables(tables),
            lambda names: (
                archive_clips(archives) if archives else folder_clips(tables / "clips", names)
            ),
        )
    files = _parquet_files(path, locale)
    if not files:
        raise no_lists(str(path), locale)
    return Release(
        str(path), lambda: _parquet_tables(files), lambda names: parquet_clips(files, str(path))
    )


def no_lists(name: str, locale: str) -> UserError:
    """Return the error for a release that has nothing of the locale."""
    return UserError(
        f"common-voice: {name} holds no lists ({', '.join(LISTS)}) of locale {locale}; {REMEDY}"
    )


def describe_release(path: Path, locale: str) -> str:
    """Return text that changes when a file or folder does.

    Size and time of an archive; of a folder the lists, and when clips came or went.
    """
    if path.is_file():
        return f"{path.stat().st_size} {path.stat().st_mtime_ns}"
    tables = _tables_folder(path, locale)
    if tables is None:
        return describe_files(_parquet_files(path, locale), path)
    digest = hashlib.sha256()
    for file in (tables / f"{name}.tsv" for name in LISTS):
        if file.is_file():
            digest.update(file.name.encode() + read_regular(file))
    for place in (tables / "clips", *_archives(path, locale)):
        if place.exists():
            stat = place.stat()
            digest.update(f"{place.name} {stat.st_size} {stat.st_mtime_ns}".encode())
    return digest.hexdigest()


def _tables_folder(root: Path, locale: str) -> Path | None:
    """Return the folder of the lists: `root` itself, or `[cv-corpus-…/]ko`, or `transcript/ko`."""
    for folder in (root, root / locale, *sorted(root.glob(f"*/{locale}"))):
        if any((folder / f"{name}.tsv").is_file() for name in LISTS):
            return folder
    return None


def _archives(root: Path, locale: str) -> list[Path]:
    return sorted((root / "audio" / locale).rglob("*.tar"))


def _parquet_files(root: Path, locale: str) -> list[Path]:
    files = sorted(path for path in root.rglob("*.parquet") if _list_of(path))
    return [path for path in files if locale in path.relative_to(root).parts] or files


def _list_of(path: Path) -> str:
    """Return the list of a Parquet file `validation-00000-of-00001.parquet` or
    `validation/0000.parquet`.
    """
    for word in (path.stem.partition("-")[0], path.parent.name):
        name = "dev" if word == "validation" else word
        if name in LISTS:
            return name
    return ""


def _folder_tables(folder: Path) -> Tables:
    for name in LISTS:
        path = folder / f"{name}.tsv"
        if path.is_file():
            with open_regular(path) as file:
                yield name, _lines(read_tsv(file, str(path)), str(path))


def _archive_tables(archive: Path, locale: str) -> Tables:
    with archive_errors(archive):
        for path, _, file in read_archive(archive):
            if path.suffix == ".tsv" and path.stem in LISTS and path.parent.name == locale:
                # Read here, where a damaged archive is reported.
                yield path.stem, iter(list(_lines(read_tsv(file, str(path)), f"{archive}: {path}")))


def _parquet_tables(files: Iterable[Path]) -> Tables:
    for path in files:
        yield _list_of(path), _parquet_lines(path)


def _lines(rows: Iterator[tuple[int, list[str]]], where: str) -> Iterator[Line | Rejected]:
    _, header = next(rows, (0, list[str]()))
    lacking = [name for name in COLUMNS if name not in header]
    if lacking:
        raise UserError(f"{where}: lacks the columns {', '.join(lacking)}; {REMEDY}")
    speaker, clip, sentence = (header.index(name) for name in COLUMNS)
    for number, cells in rows:
        place = f"{where} line {number}"
        if len(cells) != len(header):
            detail = f"{len(cells)} cells where the header has {len(header)}"
            yield Rejected(cells[clip] if len(cells) > clip else "", "bad-line", detail, place)
        else:
            yield Line(place, cells[speaker], cells[clip], cells[sentence])


def _parquet_lines(path: Path) -> Iterator[Line]:
    for number, row in read_rows(path, set(COLUMNS), set(), "Common Voice"):
        place = f"{path} row {number}"
        yield Line(place, row["client_id"] or "", clip_name(row), row["sentence"] or "")
