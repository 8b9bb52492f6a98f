"""A folder of recordings: a `.txt` beside each, or `metadata.csv` (the form of AudioFolder).

speaker1/0001.wav, speaker1/0001.txt      any depth
metadata.csv                              `file_name,transcription`; .tsv, .jsonl, .parquet;
                                          for its folder and those below
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import Field

from soritune.errors import UserError
from soritune.files import open_regular
from soritune.languages.encoding import decode_text
from soritune.sources.folders import find_file, walk
from soritune.sources.formats.fields import read_metadata
from soritune.sources.formats.lines import ListedSource, ending_of, lines_of, row_of
from soritune.sources.formats.rows import Row, assign_splits, count_of, identity_of, split_folders
from soritune.sources.limits import LIFTED_BY, lifted
from soritune.utterance import Excerpt, Rejected, Split, Utterance

READABLE = "wav flac mp3 ogg oga opus aif aiff aifc au snd caf w64 rf64 sph nist"
FOREIGN = "m4a m4b mp4 m4v mov mka mkv webm weba aac wma wmv amr 3gp avi flv ts ape wv pcm raw"
"""Not read by libsndfile: named in the quarantine, not skipped."""
AUDIO_SUFFIXES = frozenset(f".{ending}" for ending in f"{READABLE} {FOREIGN}".split())
TEXT_SUFFIX = ".txt"
METADATA = "metadata"
MAX_TEXT_BYTES = 2**20


class FolderSource(ListedSource):
    """`path` is the folder, looked through with all below.

    `splits` gives folders in it to splits (`{train: train, test: test}`); without it all is
    divided. `speaker_from: parent` takes the name of the folder that a recording lies in for its
    speaker, where metadata name none.
    """

    source: Literal["folder"]
    path: Path
    splits: dict[Split, str] | None = Field(None, min_length=1)
    speaker_from: Literal["parent", "none"] = "none"


def read(source: FolderSource) -> Iterator[Utterance | Rejected]:
    """Yield utterances by folder, those of metadata first; text or audio alone is rejected.

    Raises UserError: no such folder, nothing in it, metadata without a column for audio or text,
    recordings that cannot be divided as asked.
    """
    rows = partial(_rows, source)
    return assign_splits(rows, rows, source, str(source.path))


def count(source: FolderSource) -> int | None:
    """Return the number of recordings and texts without one."""
    return count_of(partial(_rows, source))


def identity(source: FolderSource) -> str:
    """Return a digest of the texts and of the size and time of each recording."""
    return identity_of(partial(_rows, source))


def _rows(source: FolderSource) -> Iterator[Row | Rejected]:
    found = False
    for root, split in split_folders(source.path, source.splits, "folder"):
        named: set[str] = set()
        for folder, files in walk(root):
            visible = [name for name in files if not name.startswith(".")]
            for row in _of_folder(folder, visible, named, source):
                found = True
                yield replace(row, split=split) if split and isinstance(row, Row) else row
    if not found:
        raise UserError(
            f"folder: {source.path} holds no recordings with a .txt beside them and no "
            f"metadata.csv; set path to the folder that does"
        )


def _of_folder(
    folder: Path, files: list[str], named: set[str], source: FolderSource
) -> Iterator[Row | Rejected]:
    """Yield entries of one folder; `named` are places that metadata have named so far."""
    for name in files:
        if Path(name).stem == METADATA and ending_of(Path(name)):
            yield from _of_metadata(folder / name, named, source)
    texts = {_stem(name): name for name in files if name.lower().endswith(TEXT_SUFFIX)}
    for name in files:
        if Path(name).suffix.lower() not in AUDIO_SUFFIXES:
            continue
        text = texts.get(_stem(name))
        if _place(folder / name) in named:
            continue
        if text is None:
            detail = "has no .txt beside it, and no metadata name it"
            own_id = (folder / name).relative_to(source.path).as_posix()
            yield Rejected(own_id, "empty-text", detail, str(folder / name))
        else:
            yield _with_text(folder / name, folder / text, source)
    recorded = {_stem(name) for name in files if Path(name).suffix.lower() in AUDIO_SUFFIXES}
    for stem, name in texts.items():
        if stem not in recorded:
            own_id = (folder / name).relative_to(source.path).as_posix()
            detail = "no recording of this name lies beside it"
            yield Rejected(own_id, "missing", detail, str(folder / name))


def _of_metadata(path: Path, named: set[str], source: FolderSource) -> Iterator[Row | Rejected]:
    inside = path.parent.relative_to(source.path).as_posix()
    prefix = "" if inside == "." else f"{inside}/"
    for number, line in lines_of(path, source, with_audio=False):
        where = f"{path} line {number}"
        if isinstance(line, str):
            yield Rejected("", "bad-line", line, where)
            continue
        row = row_of(
            line,
            where,
            source,
            lambda name: _inside(path.parent, name),
            prefix=prefix,
            speaker=lambda clip: _speaker(clip, source),
        )
        audio = row.audio if isinstance(row, Row) else None
        if isinstance(audio, Excerpt):
            audio = audio.path
        if isinstance(audio, Path):
            named.add(_place(audio))
        yield row


def _with_text(audio: Path, text: Path, source: FolderSource) -> Row | Rejected:
    own_id = audio.relative_to(source.path).as_posix()
    try:
        with open_regular(text) as file:
            content = file.read(lifted(MAX_TEXT_BYTES) + 1)
    except OSError as error:
        return Rejected(own_id, "unreadable", f"cannot be opened ({error})", str(text))
    if len(content) > lifted(MAX_TEXT_BYTES):
        detail = f"is too large for a transcript; {LIFTED_BY}"
        return Rejected(own_id, "bad-line", detail, str(text))
    metadata = read_metadata(
        {
            "text": _decode(content, source.default_language),
            "speaker": _speaker(audio, source),
        },
        own_id,
        str(text),
        source.default_language,
        None,
    )
    return metadata if isinstance(metadata, Rejected) else Row(str(text), metadata, audio)


def _decode(content: bytes, language: str) -> str:
    """Return the text of a file; other bytes come through as surrogates, which prepare rejects."""
    text = decode_text(content, language)
    return content.decode("utf-8-sig", "surrogateescape") if text is None else text


def _inside(folder: Path, name: str) -> Path | None:
    """Return a file in or below the folder; None for a path that leaves it."""
    path = PurePosixPath(name)
    return None if path.is_absolute() or ".." in path.parts else find_file(folder / name)


def _speaker(clip: Path, source: FolderSource) -> str | None:
    """Return the name of the folder of a recording; None for a recording in `path` itself."""
    if source.speaker_from == "none":
        return None
    split_roots = [source.path / name for name in (source.splits or {}).values()]
    return None if clip.parent in [source.path, *split_roots] else clip.parent.name


def _place(file: Path) -> str:
    """Return the place of a file: its folder without links; the file itself may well be one."""
    return os.path.join(os.path.realpath(file.parent), file.name)


def _stem(name: str) -> str:
    return unicodedata.normalize("NFC", Path(name).stem)
