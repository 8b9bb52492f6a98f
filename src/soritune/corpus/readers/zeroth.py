"""Zeroth-Korean (51.6 h train, 1.2 h test, CC BY 4.0) from the hub or from its Parquet files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from soritune.corpus.hub import Published, download, is_hub_id
from soritune.corpus.options import SourceOptions
from soritune.corpus.parquet import audio_of, describe_files, num_rows, read_rows
from soritune.corpus.utterance import Rejected, Split, Utterance
from soritune.errors import UserError

HUB_ID = "kresnik/zeroth_korean"
# From the card of the data set: utterances, hours together, bytes to download.
HUB_SPLITS = {"train": 22_263, "test": 457}
HUB_ROWS = sum(HUB_SPLITS.values())
HUB_HOURS = 51.6 + 1.2
HUB_BYTES = 2_900_000_000
REQUIRED = frozenset({"id", "audio", "text"})
OPTIONAL = frozenset({"speaker_id"})


class ZerothSource(SourceOptions):
    """`path` is a folder with the data set's Parquet files, or its id on the hub."""

    source: Literal["zeroth"]
    path: str = HUB_ID
    revision: str | None = None


def read(source: ZerothSource) -> Iterator[Utterance | Rejected]:
    """Train and test utterances, the files in the order of their names.

    From the hub, files are downloaded once into its cache, so an interrupted `prepare` goes on
    without loading them again. Raises UserError: no such folder, no Parquet files, no network.
    """
    for path, split in _files(_folder(source)):
        yield from _read_file(path, split)


def count(source: ZerothSource) -> int | None:
    """Rows in the files of a folder; the published number for the data set on the hub."""
    if not Path(source.path).is_dir():
        return HUB_ROWS if source.path == HUB_ID else None
    return sum(num_rows(path, REQUIRED, HUB_ID) for path, _ in _files(Path(source.path)))


def identity(source: ZerothSource) -> str:
    """Names and sizes of local files. A hub id stands for itself: nothing is asked for over it."""
    folder = Path(source.path)
    if not folder.is_dir():
        return ""
    return describe_files((path for path, _ in _files(folder)), folder)


def published(source: ZerothSource) -> Published | None:
    """Figures of the data set's card where it would be downloaded."""
    if source.path != HUB_ID or Path(source.path).is_dir():
        return None
    return Published(HUB_SPLITS, {"ko": HUB_ROWS}, HUB_HOURS * 3600, HUB_BYTES)


def _folder(source: ZerothSource) -> Path:
    folder = Path(source.path)
    if folder.is_dir():
        return folder
    if not is_hub_id(source.path):
        raise UserError(
            f"zeroth: no folder {source.path}; give the folder with the Parquet files of "
            f"{HUB_ID}, or that id to download them (2.9 GB)"
        )
    return download(source.path, source.revision, ["data/*.parquet"], "zeroth")


def _files(folder: Path) -> list[tuple[Path, Split]]:
    """Parquet files below `folder` by name; `train-…` and `test-…` tell the split."""
    found: list[tuple[Path, Split]] = []
    for path in sorted(folder.rglob("*.parquet")):
        if path.name.startswith("train"):
            found.append((path, "train"))
        elif path.name.startswith("test"):
            found.append((path, "test"))
    if not found:
        raise UserError(
            f"zeroth: {folder} holds no train-*.parquet or test-*.parquet; download data/*.parquet "
            f"from https://huggingface.co/datasets/{HUB_ID} into it"
        )
    return found


def _read_file(path: Path, split: Split) -> Iterator[Utterance | Rejected]:
    for number, row in read_rows(path, REQUIRED, OPTIONAL, HUB_ID):
        yield _entry(row, split, path, number)


def _entry(row: dict[str, Any], split: Split, path: Path, number: int) -> Utterance | Rejected:
    where = f"{path} row {number}"
    if row["id"] is None:
        return Rejected("", "bad-line", "the row has no id", where)
    utterance_id = str(row["id"])
    content = audio_of(row, path.parent)
    if content is None:
        return Rejected(utterance_id, "missing", "the row has no audio", where)
    speaker = row.get("speaker_id")
    return Utterance(
        id=utterance_id,
        audio=content,
        text=row["text"] or "",
        language="ko",
        split=split,
        speaker=None if speaker is None else str(speaker),
    )
