"""The forms of FLEURS: a table without header beside a tar.gz of clips, or Parquet files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from soritune.errors import UserError
from soritune.files import open_regular
from soritune.sources.clips import (
    NamedAudio,
    archive_clips,
    clip_name,
    folder_clips,
    parquet_clips,
    read_tsv,
)
from soritune.sources.parquet import read_rows
from soritune.utterance import Rejected, Split

HUB_ID = "google/fleurs"
COLUMNS = 7
"""Id, file, raw transcription, transcription, characters, number of samples, gender."""


@dataclass(frozen=True)
class Line:
    """A recording: its place in the table, the sentence's id, the file, what is said."""

    where: str
    sentence: str
    clip: str
    text: str


@dataclass(frozen=True)
class FleursSplit:
    """One split of one language: a table and its clips, or the Parquet files that hold both."""

    name: str
    table: Path | None
    archive: Path
    files: tuple[Path, ...] = ()

    def clips(self, names: list[str]) -> Iterator[NamedAudio]:
        if self.table is None:
            return parquet_clips(self.files, HUB_ID)
        unpacked = self.archive.with_name(self.archive.name.partition(".")[0])
        if not self.archive.is_file() and unpacked.is_dir():
            return folder_clips(unpacked, names)
        return archive_clips([self.archive])


def find_part(folder: Path, language: str, split: Split) -> FleursSplit:
    """Return where a split of a language is. Raises UserError where it is not."""
    name = f"{folder} {language} {split}"
    for place in (folder / "data" / language, folder / language):
        table = place / f"{split}.tsv"
        if table.is_file():
            return FleursSplit(name, table, place / "audio" / f"{split}.tar.gz")
    words = {"dev", "validation"} if split == "dev" else {split}
    files = tuple(
        path
        for path in sorted(folder.rglob("*.parquet"))
        if language in path.relative_to(folder).parts
        and words & {path.parent.name, *path.stem.split("-")}
    )
    if not files:
        raise UserError(
            f"fleurs: {folder} holds neither {language}/{split}.tsv nor Parquet files of it; "
            f"download data/{language} from https://huggingface.co/datasets/{HUB_ID}, or take "
            f"revision: refs/convert/parquet"
        )
    return FleursSplit(name, None, folder, files)


def read_lines(
    part: FleursSplit, transcription: Literal["raw", "plain"]
) -> Iterator[Line | Rejected]:
    """Yield all recordings of a part, with the text of the wanted column."""
    column = 2 if transcription == "raw" else 3
    if part.table is not None:
        with open_regular(part.table) as file:
            for number, cells in read_tsv(file, str(part.table)):
                where = f"{part.table} line {number}"
                if len(cells) != COLUMNS:
                    detail = f"{len(cells)} cells, a line of FLEURS has {COLUMNS}"
                    yield Rejected(cells[0], "bad-line", detail, where)
                else:
                    yield Line(where, cells[0].strip(), cells[1].strip(), cells[column])
        return
    text = "raw_transcription" if transcription == "raw" else "transcription"
    for path in part.files:
        for number, row in read_rows(path, {"id", "path", text}, set(), HUB_ID):
            sentence = "" if row["id"] is None else str(row["id"])
            yield Line(f"{path} row {number}", sentence, clip_name(row), row[text] or "")
