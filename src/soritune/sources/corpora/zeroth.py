"""Zeroth-Korean (51.6 h train, 1.2 h test, CC BY 4.0): from the hub, its Parquet files, or OpenSLR.

The content of a folder decides which form it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from soritune.errors import UserError
from soritune.hub import ARCHIVE_SUFFIXES, is_hub_id
from soritune.sources.clips import clip_name
from soritune.sources.corpora.zeroth_openslr import (
    count_folder,
    describe_folder,
    is_openslr,
    read_folder,
    read_tarball,
)
from soritune.sources.hub_tables import HubOr, Published, download
from soritune.sources.options import SourceOptions
from soritune.sources.parquet import audio_of, describe_files, num_rows, read_rows
from soritune.utterance import Rejected, Split, Utterance

HUB_ID = "kresnik/zeroth_korean"
# From the card of the data set: utterances, hours together, bytes to download.
HUB_SPLITS = {"train": 22_263, "test": 457}
HUB_ROWS = sum(HUB_SPLITS.values())
HUB_HOURS = 51.6 + 1.2
HUB_BYTES = 2_900_000_000
REQUIRED = frozenset({"audio", "text"})
OPTIONAL = frozenset({"id", "speaker_id", "path"})
"""Bingsu/zeroth-korean has neither of them: there, the name of the audio file is the id."""


class ZerothSource(SourceOptions):
    """`path` is a folder with the data set's Parquet files, or its id on the hub.

    Or the tar.gz of OpenSLR 40, or the folder that it was unpacked to.
    """

    source: Literal["zeroth"]
    path: Annotated[str, HubOr("archive")] = HUB_ID
    revision: str | None = None


def read(source: ZerothSource) -> Iterator[Utterance | Rejected]:
    """Yield train and test utterances, the files in the order of their names.

    From the hub, files are downloaded once into its cache, so an interrupted `prepare` continues
    without loading them again. Raises UserError: no such folder, nothing of Zeroth in it, a
    damaged archive, no network.
    """
    path = Path(source.path)
    if path.is_file():
        yield from read_tarball(path)
        return
    folder = _folder(source)
    if _is_unpacked(folder):
        yield from read_folder(folder)
        return
    for file, split in _files(folder):
        yield from _read_file(file, split)


def count(source: ZerothSource) -> int | None:
    """Return entries of a folder; the published number for the data set on the hub.

    None for an archive, which would have to be read whole.
    """
    folder = Path(source.path)
    if not folder.is_dir():
        return HUB_ROWS if source.path == HUB_ID else None
    if _is_unpacked(folder):
        return count_folder(folder)
    return sum(num_rows(path, REQUIRED, HUB_ID) for path, _ in _files(folder))


def identity(source: ZerothSource) -> str:
    """Return text that changes with the local files; a hub id is its own identity."""
    path = Path(source.path)
    if path.is_file():
        return f"{path.stat().st_size} {path.stat().st_mtime_ns}"
    if not path.is_dir():
        return ""
    if _is_unpacked(path):
        return describe_folder(path)
    return describe_files((file for file, _ in _files(path)), path)


def published(source: ZerothSource) -> Published | None:
    """Return figures of the data set's card where it would be downloaded."""
    if Path(source.path).exists():
        return None
    if source.path.endswith(ARCHIVE_SUFFIXES):
        return Published(by_hand=source.path)
    if source.path != HUB_ID:
        return None
    return Published(HUB_SPLITS, {"ko": HUB_ROWS}, HUB_HOURS * 3600, HUB_BYTES)


def _folder(source: ZerothSource) -> Path:
    folder = Path(source.path)
    if folder.is_dir():
        return folder
    if not is_hub_id(source.path):
        raise UserError(
            f"zeroth: no folder or archive {source.path}; give the folder with the Parquet files "
            f"of {HUB_ID}, that id to download them (2.9 GB), or zeroth_korean.tar.gz of OpenSLR 40"
        )
    return download(source.path, source.revision, ["data/*.parquet"])


def _is_unpacked(folder: Path) -> bool:
    return not any(_split_files(folder)) and is_openslr(folder)


def _files(folder: Path) -> list[tuple[Path, Split]]:
    """Return Parquet files below `folder` by name."""
    found = list(_split_files(folder))
    if not found:
        raise UserError(
            f"zeroth: {folder} holds no train-*.parquet or test-*.parquet and no *.trans.txt below "
            f"train_data_01 or test_data_01; download data/*.parquet from "
            f"https://huggingface.co/datasets/{HUB_ID} into it"
        )
    return found


def _split_files(folder: Path) -> Iterator[tuple[Path, Split]]:
    """Yield the files with their splits, by the prefix `train-` or `test-`."""
    for path in sorted(folder.rglob("*.parquet")):
        if path.name.startswith("train"):
            yield path, "train"
        elif path.name.startswith("test"):
            yield path, "test"


def _read_file(path: Path, split: Split) -> Iterator[Utterance | Rejected]:
    for number, row in read_rows(path, REQUIRED, OPTIONAL, HUB_ID):
        yield _entry(row, split, path, number)


def _entry(row: dict[str, Any], split: Split, path: Path, number: int) -> Utterance | Rejected:
    where = f"{path} row {number}"
    of_audio = PurePosixPath(clip_name(row)).stem
    utterance_id = of_audio if "id" not in row else str(row["id"] or "")
    if not utterance_id:
        return Rejected("", "bad-line", "the row has no id", where)
    content = audio_of(row, path.parent)
    if content is None:
        return Rejected(utterance_id, "missing", "the row has no audio", where)
    # 106_003_0019 is what speaker 106 said; the column holds the same number.
    named, mark, _ = utterance_id.partition("_")
    speaker = row.get("speaker_id", named if mark else None)
    return Utterance(
        id=utterance_id,
        audio=content,
        text=row["text"] or "",
        language="ko",
        split=split,
        speaker=None if speaker is None else str(speaker),
    )
