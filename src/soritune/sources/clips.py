"""Clips that a table lists by file name: in a folder, in tar archives, or in Parquet files.

Archives are streamed, never unpacked: a clip is held in memory from its place in the
archive to where it is decoded. An archive with a path that leaves its folder is refused.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, Self, cast

from soritune.errors import UserError
from soritune.files import open_regular
from soritune.sources.limits import LIFTED_BY, lifted
from soritune.sources.parquet import audio_of, read_rows
from soritune.utterance import Rejected, Utterance

MAX_CLIP_BYTES = 64 * 2**20
"""Three minutes of 24-bit stereo at 48 kHz; utterances are far below."""
MAX_LINE_BYTES = 2**24
"""Of a table in an archive; a recording has some hundred."""
MAX_HEADER_BYTES = 2**20
"""Of a name or of settings (pax) before a file; a path has at most 4,096 bytes."""
MAX_MEMBER_BYTES = 2**38
"""tarfile reads on to the end that a header claims, also behind the end of the archive."""
_BLOCK = 2**17
_EXTENDED_HEADERS = (
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
)
GZIP_MAGIC = b"\x1f\x8b"
_UNPACK: dict[bytes, Callable[[BinaryIO], object]] = {
    GZIP_MAGIC: lambda raw: gzip.GzipFile(fileobj=raw),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
    b"]\x00\x00": lzma.LZMAFile,
}


NamedAudio = tuple[str, bytes | Path | None]
"""File name without folders, and the file; None where it is too large for a clip."""


def too_large() -> str:
    """Return what is wrong with a file that is too large for a clip."""
    return f"has more than {lifted(MAX_CLIP_BYTES) // 2**20} MiB, not an utterance; {LIFTED_BY}"


def read_tsv(file: IO[bytes], where: str) -> Iterator[tuple[int, list[str]]]:
    """Yield lines of a table with their numbers from 1, cut at tabs; quotation marks quote nothing.

    Bytes that are not UTF-8 come through as surrogates, so they cost their line only. Raises
    UserError, which begins with `where`, for a line that would fill the memory.
    """
    limit = lifted(MAX_LINE_BYTES)
    for number, line in enumerate(iter(lambda: file.readline(limit + 1), b""), start=1):
        if len(line) > limit:
            raise UserError(f"{where} line {number}: has more than {limit:,} bytes; {LIFTED_BY}")
        text = line.decode("utf-8-sig" if number == 1 else "utf-8", "surrogateescape")
        if text.strip():
            yield number, text.rstrip("\r\n").split("\t")


def bare_name(name: str) -> str | None:
    """`name` if it is that of a file in the folder itself, else None."""
    return name if name not in ("", ".", "..") and not set(name) & set("/\\\0") else None


def join_clips(
    listed: Mapping[str, Utterance], clips: Iterable[NamedAudio], where: str
) -> Iterator[Utterance | Rejected]:
    """Yield the listed utterances (by file name) with their audio, in the order of the clips.

    Clips that are not listed are skipped; what is listed and has no clip is rejected at the
    end. `where` names the place that was searched.
    """
    left = dict(listed)
    for name, audio in clips:
        utterance = left.pop(name, None)
        if utterance is None:
            continue
        if audio is None:
            detail = f"{name} {too_large()}"
            yield Rejected(utterance.id, "too-long", detail, where)
        else:
            yield replace(utterance, audio=audio)
    for name, utterance in left.items():
        yield Rejected(utterance.id, "missing", f"{name} is listed but not there", where)


def folder_clips(folder: Path, names: Iterable[str]) -> Iterator[NamedAudio]:
    """Yield the files `names` of a folder, in that order; whether they exist is found out later."""
    for name in names:
        yield name, folder / name


def archive_clips(archives: Iterable[Path]) -> Iterator[NamedAudio]:
    """Yield all files of tar archives, in their order there."""
    for archive in archives:
        with archive_errors(archive):
            for path, num_bytes, file in read_archive(archive):
                yield path.name, file.read() if num_bytes <= lifted(MAX_CLIP_BYTES) else None


def parquet_clips(files: Iterable[Path], origin: str) -> Iterator[NamedAudio]:
    """Yield the audio of all rows, by the file name in `audio` or else in the column `path`."""
    for path in files:
        for _, row in read_rows(path, {"audio"}, {"path"}, origin):
            audio = audio_of(row, path.parent)
            if audio is not None:
                yield clip_name(row), audio


def clip_name(row: Mapping[str, object]) -> str:
    """Return the file name of a Parquet row's clip, "" where it has none."""
    audio = row.get("audio")
    of_audio = audio.get("path") if isinstance(audio, dict) else None
    return PurePosixPath(str(row.get("path") or of_audio or "")).name


def read_archive(path: Path) -> Iterator[tuple[PurePosixPath, int, IO[bytes]]]:
    """Yield files of a tar (packed or not) with their sizes; each must be read before the next is
    asked.

    Links and devices are skipped. To be used inside `archive_errors`. Raises UserError for an
    archive with a path that leaves its folder.
    """
    with open_regular(path) as raw:
        start = raw.read(6)
        raw.seek(0)
        # tarfile's own unpacking does not notice a stream that breaks off, and holds at once what
        # a block of it unpacks to, which may be thousands of times as large.
        unpack = next(
            (unpack for magic, unpack in _UNPACK.items() if start.startswith(magic)), None
        )
        stream = raw if unpack is None else cast(BinaryIO, unpack(raw))
        with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member, bufsize=_BLOCK) as archive:
            for member in archive:
                name = PurePosixPath(member.name)
                if name.is_absolute() or ".." in name.parts or "\\" in member.name:
                    raise UserError(
                        f"{path}: holds {member.name!r}, a path that leaves its folder; it is "
                        f"not the published archive: download it again"
                    )
                if member.size > MAX_MEMBER_BYTES:
                    raise tarfile.ReadError(f"{name} claims to have {member.size:,} bytes")
                if member.sparse is not None:
                    raise tarfile.ReadError(f"{name} has holes; pack it without --sparse")
                file = archive.extractfile(member) if member.isfile() else None
                if file is not None:
                    yield name, member.size, file
                archive.members.clear()  # type: ignore[attr-defined]  # or it keeps them all


class _Member(tarfile.TarInfo):
    """Refuses headers that alone would fill the memory: names and settings of a file."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        member = super().frombuf(buf, encoding, errors)
        if member.type in _EXTENDED_HEADERS and member.size > lifted(MAX_HEADER_BYTES):
            raise tarfile.ReadError(f"a header of {member.size:,} bytes; {LIFTED_BY}")
        return member


@contextmanager
def archive_errors(path: Path) -> Iterator[None]:
    """Whatever is wrong with an archive, while it is read, becomes a UserError that names it."""
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(f"{path}: there is no such archive") from error
    except (
        tarfile.TarError,
        ValueError,
        OverflowError,
        EOFError,
        OSError,
        zlib.error,
        lzma.LZMAError,
    ) as error:
        raise UserError(
            f"{path}: not a tar archive, or a damaged one ({error}); download it again"
        ) from error
