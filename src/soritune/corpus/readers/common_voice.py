"""Common Voice (CC0): a release (folder or tar.gz, never unpacked), or a mirror on the hub.

A release holds, for each locale, `clips/*.mp3` and lists: train, dev and test, which share no
speaker and no sentence, and validated, other and invalidated. Columns that came and went
between releases 11 and 23 (sentence_id, sentence_domain, variant, accents) are not needed.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from soritune.corpus.clips import (
    Clip,
    archive_clips,
    archive_errors,
    bare_name,
    clip_name,
    folder_clips,
    join_clips,
    parquet_clips,
    read_archive,
    read_tsv,
)
from soritune.corpus.hub import ARCHIVE_SUFFIXES, Published, download, is_hub_id
from soritune.corpus.parquet import describe_files, read_rows
from soritune.corpus.split import sentence_key
from soritune.corpus.utterance import Rejected, Split, Utterance
from soritune.errors import UserError

ListName = Literal["train", "dev", "test", "validated", "other", "invalidated"]

OFFICIAL: tuple[tuple[Split, Split], ...] = (("test", "test"), ("dev", "dev"), ("train", "train"))
EXTRA: tuple[ListName, ...] = ("validated", "other", "invalidated")
LISTS = tuple(name for name, _ in OFFICIAL) + EXTRA
COLUMNS = ("client_id", "path", "sentence")
OFFICIAL_OWNER = "mozilla-foundation/"
REMEDY = (
    "download the release of the locale (cv-corpus-*.tar.gz) from "
    "https://datacollective.mozillafoundation.org and set path to that file"
)


class CommonVoiceSource(BaseModel):
    """`path` is a release's tar.gz, its folder, or the hub id of a mirror.

    `splits` are the lists to take. Clips of validated, other and invalidated (transcripts that
    two listeners confirmed, that too few heard, that two refused) that stand in no official list
    go to train, except those whose speaker or sentence is in dev or test.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    source: Literal["common-voice"]
    path: str
    locale: Annotated[str, Field(pattern=r"^[A-Za-z-]{2,10}$")] = "ko"
    splits: Annotated[list[ListName], Field(min_length=1)] = ["train", "dev", "test"]
    revision: str | None = None


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
    clips: Callable[[Iterable[str]], Iterator[Clip]]


def read(source: CommonVoiceSource) -> Iterator[Utterance | Rejected]:
    """Lines that cannot be used first, then utterances in the order of the clips.

    Raises UserError: no such file or folder, a damaged or unsafe archive, no lists of the
    locale, the hub copy that is empty.
    """
    release = _release(source)
    listed, rejected = _listed(release, source)
    yield from rejected
    yield from join_clips(listed, release.clips(listed), release.name)


def count(source: CommonVoiceSource) -> int | None:
    """Lines of the lists of a folder; None for an archive, which would have to be read whole."""
    if not Path(source.path).is_dir():
        return None
    listed, rejected = _listed(_release(source), source)
    return len(listed) + len(rejected)


def identity(source: CommonVoiceSource) -> str:
    """Size and time of an archive; of a folder the lists and when clips came or went."""
    path = Path(source.path)
    if path.is_file():
        return f"{path.stat().st_size} {path.stat().st_mtime_ns}"
    if not path.is_dir():
        return ""
    tables = _tables_folder(path, source.locale)
    if tables is None:
        return describe_files(sorted(path.rglob("*.parquet")), path)
    digest = hashlib.sha256()
    for file in sorted(tables.glob("*.tsv")):
        digest.update(file.name.encode() + file.read_bytes())
    for place in (tables / "clips", *_archives(path, source.locale)):
        if place.exists():
            stat = place.stat()
            digest.update(f"{place.name} {stat.st_size} {stat.st_mtime_ns}".encode())
    return digest.hexdigest()


def published(source: CommonVoiceSource) -> Published | None:
    """What has to be got first, where neither file nor folder is there; None where one is."""
    if Path(source.path).exists():
        return None
    mirror = is_hub_id(source.path) and not source.path.startswith(OFFICIAL_OWNER)
    return Published(by_hand="" if mirror else source.path)


def _release(source: CommonVoiceSource) -> Release:
    path = Path(source.path)
    if path.is_file():
        return Release(
            str(path),
            lambda: _archive_tables(path, source.locale),
            lambda names: archive_clips([path]),
        )
    if not path.is_dir():
        path = _download(source)
    tables = _tables_folder(path, source.locale)
    if tables is not None:
        # Mirrors in the form of the hub's old scripts: lists in one folder, clips in archives.
        archives = [] if (tables / "clips").is_dir() else _archives(path, source.locale)
        return Release(
            str(tables),
            lambda: _folder_tables(tables),
            lambda names: (
                archive_clips(archives) if archives else folder_clips(tables / "clips", names)
            ),
        )
    files = _parquet_files(path, source.locale)
    if files:
        return Release(
            str(path), lambda: _parquet_tables(files), lambda names: parquet_clips(files, str(path))
        )
    raise UserError(
        f"common-voice: {source.path} holds no lists ({', '.join(LISTS)}) of locale "
        f"{source.locale}; {REMEDY}"
    )


def _download(source: CommonVoiceSource) -> Path:
    if source.path.startswith(OFFICIAL_OWNER):
        raise UserError(
            f"common-voice: {source.path} is empty, Common Voice is no longer on the hub; {REMEDY}"
        )
    if not is_hub_id(source.path):
        kind = "file" if source.path.endswith(ARCHIVE_SUFFIXES) else "file or folder"
        raise UserError(f"common-voice: there is no {kind} {source.path}; {REMEDY}")
    locale = source.locale
    patterns = [f"{locale}/*", f"*/{locale}/*", "data/*.parquet"]
    return download(source.path, source.revision, patterns, "common-voice")


def _tables_folder(root: Path, locale: str) -> Path | None:
    """The folder with the lists: `root` itself, or `[cv-corpus-…/]ko`, or `transcript/ko`."""
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
    """List of a Parquet file `validation-00000-of-00001.parquet` or `validation/0000.parquet`."""
    for word in (path.stem.partition("-")[0], path.parent.name):
        name = "dev" if word == "validation" else word
        if name in LISTS:
            return name
    return ""


def _folder_tables(folder: Path) -> Tables:
    for name in LISTS:
        path = folder / f"{name}.tsv"
        if path.is_file():
            with path.open("rb") as file:
                yield name, _lines(read_tsv(file), str(path))


def _archive_tables(archive: Path, locale: str) -> Tables:
    with archive_errors(archive):
        for path, _, file in read_archive(archive):
            if path.suffix == ".tsv" and path.stem in LISTS and path.parent.name == locale:
                # Read here, where a damaged archive is told.
                yield path.stem, iter(list(_lines(read_tsv(file), f"{archive}: {path}")))


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


def _listed(
    release: Release, source: CommonVoiceSource
) -> tuple[dict[str, Utterance], list[Rejected]]:
    """What to take, by clip, and what cannot be taken."""
    lines: defaultdict[str, list[Line | Rejected]] = defaultdict(list)
    for name, table in release.tables():
        lines[name] += table
    if not lines:
        raise UserError(
            f"{release.name}: holds no lists ({', '.join(LISTS)}) of locale {source.locale}; "
            f"{REMEDY}"
        )
    held_out = [line for name in ("test", "dev") for line in lines[name] if isinstance(line, Line)]
    in_train = [line for line in lines["train"] if isinstance(line, Line)]
    official = {line.clip for line in held_out + in_train}
    keys = {("speaker", line.speaker) for line in held_out if line.speaker}
    keys |= {("sentence", sentence_key(line.sentence)) for line in held_out}
    targets: list[tuple[ListName, Split]] = [*OFFICIAL, *((extra, "train") for extra in EXTRA)]
    listed: dict[str, Utterance] = {}
    rejected: list[Rejected] = []
    for name, split in targets:
        for line in lines[name] if name in source.splits else ():
            if isinstance(line, Rejected):
                rejected.append(line)
            elif name in EXTRA and line.clip in official:
                continue  # every clip of the official lists stands in validated, too
            elif bare_name(line.clip) is None:
                detail = f"names no file among the clips ({line.clip!r})"
                rejected.append(Rejected(line.clip, "bad-line", detail, line.where))
            elif line.clip in listed:
                detail = "an earlier line names the same clip"
                rejected.append(Rejected(line.clip, "duplicate-id", detail, line.where))
            elif name in EXTRA and keys & {
                ("speaker", line.speaker),
                ("sentence", sentence_key(line.sentence)),
            }:
                detail = "its speaker or its sentence is in dev or test"
                rejected.append(Rejected(line.clip, "split-conflict", detail, line.where))
            else:
                listed[line.clip] = Utterance(
                    id=PurePosixPath(line.clip).stem,
                    audio=b"",
                    text=line.sentence,
                    language=source.locale.partition("-")[0].lower(),
                    split=split,
                    speaker=line.speaker or None,
                )
    return listed, rejected
