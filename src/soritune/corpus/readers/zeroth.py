"""Zeroth-Korean (51.6 h train, 1.2 h test, CC BY 4.0) from the hub or from its Parquet files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from soritune.corpus.utterance import Rejected, Split, Utterance
from soritune.errors import UserError

HUB_ID = "kresnik/zeroth_korean"
HUB_ROWS = 22_263 + 457
"""Train and test rows, from the card of the data set."""
BATCH_ROWS = 50
REQUIRED = frozenset({"id", "audio", "text"})
OPTIONAL = frozenset({"speaker_id"})


class ZerothSource(BaseModel):
    """`path` is a folder with the data set's Parquet files, or its id on the hub."""

    model_config = ConfigDict(extra="forbid", frozen=True)
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
    return sum(_num_rows(path) for path, _ in _files(Path(source.path)))


def identity(source: ZerothSource) -> str:
    """Names and sizes of local files. A hub id stands for itself: nothing is asked for over it."""
    folder = Path(source.path)
    if not folder.is_dir():
        return ""
    return "; ".join(
        f"{path.relative_to(folder).as_posix()} {path.stat().st_size}" for path, _ in _files(folder)
    )


def _folder(source: ZerothSource) -> Path:
    folder = Path(source.path)
    if folder.is_dir():
        return folder
    if folder.is_absolute() or source.path.startswith(".") or source.path.count("/") != 1:
        raise UserError(
            f"zeroth: no folder {source.path}; give the folder with the Parquet files of "
            f"{HUB_ID}, or that id to download them (2.9 GB)"
        )
    return _download(source)


def _download(source: ZerothSource) -> Path:
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        folder = huggingface_hub.snapshot_download(
            source.path,
            repo_type="dataset",
            revision=source.revision,
            allow_patterns=["data/*.parquet"],
        )
    except (OSError, HfHubHTTPError, HFValidationError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"zeroth: {source.path} could not be downloaded ({reason}); download data/*.parquet "
            f"from https://huggingface.co/datasets/{source.path} on a machine with network and "
            f"set path to the folder that holds them"
        ) from error
    return Path(folder)


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


def _open(path: Path) -> Any:
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: no Parquet file that can be read ({error}); download it again"
        ) from error
    lacking = REQUIRED - set(file.schema_arrow.names)
    if lacking:
        raise UserError(
            f"{path}: lacks the columns {', '.join(sorted(lacking))}; is it from {HUB_ID}?"
        )
    return file


def _num_rows(path: Path) -> int:
    with _open(path) as file:
        return int(file.metadata.num_rows)


def _read_file(path: Path, split: Split) -> Iterator[Utterance | Rejected]:
    with _open(path) as file:
        columns = [n for n in file.schema_arrow.names if n in REQUIRED | OPTIONAL]
        number = 0
        try:
            for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=columns):
                for row in batch.to_pylist():
                    number += 1
                    yield _entry(row, split, path, number)
        except (OSError, ValueError) as error:
            raise UserError(
                f"{path}: damaged after row {number} ({error}); download it again"
            ) from error


def _entry(row: dict[str, Any], split: Split, path: Path, number: int) -> Utterance | Rejected:
    where = f"{path} row {number}"
    if row["id"] is None:
        return Rejected("", "bad-line", "the row has no id", where)
    utterance_id = str(row["id"])
    audio = row["audio"] or {}
    content: bytes | Path
    if audio.get("bytes") is not None:
        content = audio["bytes"]
    elif audio.get("path"):
        content = path.parent / audio["path"]
    else:
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
