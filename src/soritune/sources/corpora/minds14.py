"""MInDS-14 (CC BY 4.0): people telling a bank what they want, 8 kHz, with English translations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import Field

from soritune.errors import UserError
from soritune.hub import is_hub_id
from soritune.languages.setting import written_as
from soritune.sources.hub_tables import HubOr, Published, download
from soritune.sources.options import SourceOptions
from soritune.sources.parquet import audio_of, describe_files, num_rows, read_rows
from soritune.sources.split import Keys, Shares, split_entries
from soritune.utterance import Rejected, Split, Utterance, sentence_key

HUB_ID = "PolyAI/minds14"
# Korean: rows of the data set's card, bytes of its Parquet file.
HUB_ROWS = {"ko-KR": 592}
HUB_BYTES = {"ko-KR": 34_200_000}
REQUIRED = frozenset({"audio", "transcription"})
TEXT = frozenset({"path", "transcription", "english_transcription"})
LABEL_MARK = "~"
"""Paths in the data set are `ko-KR~ADDRESS/602b….wav`: locale and intent, then the recording."""


class Minds14Source(SourceOptions):
    """`path` is a folder with the data set's Parquet files, or its id on the hub.

    The data set has neither splits nor names of speakers: `test_share` and `dev_share` of
    the recordings are held back so that no sentence of them is trained on, by `seed`. Set both
    to 0 to train on all of it.
    """

    source: Literal["minds14"]
    path: Annotated[str, HubOr()] = HUB_ID
    locale: Annotated[str, Field(pattern=r"^[a-z]{2}-[A-Z]{2}$"), written_as({"ko": "ko-KR"})]
    test_share: Annotated[float, Field(ge=0, lt=1)] = 0.1
    dev_share: Annotated[float, Field(ge=0, lt=1)] = 0.05
    seed: int = 0
    revision: str | None = None


def read(source: Minds14Source) -> Iterator[Utterance | Rejected]:
    """Yield utterances in the order of the files, each with its English translation.

    Raises UserError: no such folder, no files of the locale, no network, too few sentences.
    """
    files = _files(_folder(source), source.locale)
    splits = _splits(files, source)
    for path in files:
        for number, row in read_rows(path, REQUIRED, TEXT, HUB_ID):
            text = row["transcription"] or ""
            yield _entry(row, splits.get(sentence_key(text)), source, path, number)


def count(source: Minds14Source) -> int | None:
    """Return rows in the files of a folder; the published number for the data set on the hub."""
    if published(source) is not None:
        return HUB_ROWS.get(source.locale)
    if not Path(source.path).is_dir():
        return None
    files = _files(Path(source.path), source.locale)
    return sum(num_rows(path, REQUIRED, HUB_ID) for path in files)


def identity(source: Minds14Source) -> str:
    """Return names and sizes of local files; a hub id is its own identity."""
    folder = Path(source.path)
    if not folder.is_dir():
        return ""
    return describe_files(_files(folder, source.locale), folder)


def published(source: Minds14Source) -> Published | None:
    """Return what is known of the data set where it would be downloaded."""
    if source.path != HUB_ID or Path(source.path).is_dir():
        return None
    # Where nothing is held back, the splits are known.
    rows = HUB_ROWS.get(source.locale)
    whole = {"train": rows} if rows and not source.test_share and not source.dev_share else None
    return Published(splits=whole, num_bytes=HUB_BYTES.get(source.locale))


def _folder(source: Minds14Source) -> Path:
    folder = Path(source.path)
    if folder.is_dir():
        return folder
    if not is_hub_id(source.path):
        raise UserError(
            f"minds14: no folder {source.path}; give the folder with the Parquet files of "
            f"{HUB_ID}, or that id to download them"
        )
    return download(source.path, source.revision, [f"{source.locale}/*.parquet"])


def _files(folder: Path, locale: str) -> list[Path]:
    """Return Parquet files in a folder of the locale's name, or else those in `folder` itself."""
    found = sorted(folder.rglob("*.parquet"))
    named = [path for path in found if locale in path.relative_to(folder).parts[:-1]]
    files = named or [path for path in found if path.parent == folder]
    if not files:
        raise UserError(
            f"minds14: {folder} holds no Parquet files of {locale}; download {locale}/*.parquet "
            f"from https://huggingface.co/datasets/{HUB_ID} into it"
        )
    return files


def _splits(files: list[Path], source: Minds14Source) -> dict[str, Split]:
    """Return the split of each sentence; text alone is read for it."""
    sentences = [
        sentence
        for path in files
        for _, row in read_rows(path, {"transcription"}, set(), HUB_ID)
        if (sentence := sentence_key(row["transcription"] or ""))
    ]
    keys = [Keys(None, sentence) for sentence in sentences]
    try:
        shared_out = split_entries(keys, Shares(source.test_share, source.dev_share), source.seed)
    except UserError as error:
        raise UserError(f"minds14: {source.path}: {error}") from error
    return {
        sentence: split
        for sentence, split in zip(sentences, shared_out, strict=True)
        if split is not None
    }


def _entry(
    row: dict[str, Any], split: Split | None, source: Minds14Source, path: Path, number: int
) -> Utterance | Rejected:
    where = f"{path} row {number}"
    # Either column may name the recording; older copies have the path of another machine here.
    name = PurePosixPath(row.get("path") or (row["audio"] or {}).get("path") or "")
    recording = "/".join(part for part in (name.parent.name, name.stem) if part)
    if not recording:
        return Rejected("", "bad-line", "the row names no recording (path)", where)
    locale, mark, _ = name.parent.name.partition(LABEL_MARK)
    if mark and locale != source.locale:
        return Rejected(recording, "other-language", f"is {locale}, not {source.locale}", where)
    audio = audio_of(row, path.parent)
    if audio is None:
        return Rejected(recording, "missing", "the row has no audio", where)
    if split is None:
        return Rejected(recording, "empty-text", "the transcript has no letter or digit", where)
    language = source.locale[:2]
    translation = (row.get("english_transcription") or "").strip()
    has_other = bool(translation) and language != "en"
    return Utterance(
        id=recording,
        audio=audio,
        text=row["transcription"],
        language=language,
        split=split,
        translation=translation if has_other else None,
        translation_language="en" if has_other else None,
    )
