"""Any data set of the Hugging Face hub, or a folder in its form, through `datasets`.

A data set that has its own source (`zeroth`, `minds14`, `fleurs`, `common-voice`) is best read by
that: it knows the columns, ids and quirks, downloads the Parquet files as they are
(`sources/hub_tables.py`), and does not need `datasets`. This source is for all others, whatever
their form: it needs the extra `hub`, and a `columns` map where the names are unusual.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import model_validator

from soritune.errors import UserError
from soritune.hub import is_hub_id
from soritune.languages.setting import LanguageCode
from soritune.sources.clips import MAX_CLIP_BYTES, too_large
from soritune.sources.formats.division import OwnRecordings, Unusable, divide
from soritune.sources.formats.fields import Columns, Meaning, Metadata, read_metadata
from soritune.sources.formats.hub_rows import (
    Dataset,
    cache_folders,
    read_file,
    read_rows,
    split_columns,
)
from soritune.sources.formats.manifest import SPLITS
from soritune.sources.hub_tables import HubOr, Published
from soritune.sources.limits import lifted
from soritune.sources.parquet import check_packing
from soritune.utterance import Rejected, Split, Utterance

NEEDED: tuple[Meaning, ...] = ("audio", "text")
USUAL: tuple[Meaning, ...] = (*NEEDED, "speaker", "translation")
"""Looked for under the common names; others only under a name that the recipe gives, since a
column `id` is not unique everywhere and `language` may be a word."""

SplitNames = str | list[str]
ColumnPath = tuple[str, ...]
"""A column, and the names that lead on inside it."""


class HubSource(OwnRecordings):
    """`path` is a hub id (`owner/name`) or a local folder of a data set.

    `splits` gives splits of the data set to ours, `{train: train, test: validation}`; one name
    alone is divided. Without it, splits of the usual names are taken as they are, and a data set
    that has only one is divided. `streaming` keeps nothing on disk; by default that is so for
    local folders, and data sets of the hub are downloaded.
    """

    source: Literal["hub"]
    path: Annotated[str, HubOr()]
    config: str | None = None
    revision: str | None = None
    splits: dict[Split, SplitNames] | str | None = None
    columns: Columns = Columns()
    translation_language: LanguageCode | None = "en"
    streaming: bool | None = None

    @model_validator(mode="after")
    def _splits_are_apart(self) -> Self:
        if isinstance(self.splits, dict):
            names = [name for given in self.splits.values() for name in _listed(given)]
            for name in names:
                if names.count(name) > 1:
                    raise ValueError(
                        f'"splits" names "{name}" twice; what is tested must not be trained on'
                    )
        return self


@dataclass(frozen=True)
class HubSplit:
    """A split of the data set: its name, our split (None: it is divided), paths to its values."""

    name: str
    split: Split | None
    paths: Mapping[Meaning, ColumnPath]


def read(source: HubSource) -> Iterator[Utterance | Rejected]:
    """Yield rows in the order of the data set; train first, then dev and test.

    Raises UserError: `datasets` is not installed, no such data set, config, split or column, no
    network after some tries, rows that cannot be divided as asked.
    """
    dataset = _dataset(source)
    for part in _hub_splits(dataset, source):
        division = None if part.split is not None else iter(_divide(dataset, part, source))
        for number, row in enumerate(_rows(dataset, part, part.paths), start=1):
            where = f"{source.path} {part.name} row {number}"
            metadata = _metadata(row, part, number, source)
            if isinstance(metadata, Rejected):
                yield metadata
                continue
            split = part.split if division is None else next(division)
            assert split is not None
            if isinstance(split, Unusable):
                yield Rejected(metadata.id, split.reason, split.detail, where)
                continue
            audio = _audio(_value_at(row, part.paths["audio"]), dataset)
            if isinstance(audio, str):
                yield Rejected(metadata.id, "missing", audio, where)
            else:
                yield metadata.utterance(audio, split)


def identity(source: HubSource) -> str:
    """Return names, sizes and times of local files; a hub id is its own identity."""
    folder = Path(source.path)
    if not folder.is_dir():
        return ""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return "; ".join(
        f"{path.relative_to(folder).as_posix()} {stat.st_size} {stat.st_mtime_ns}"
        for path in files
        for stat in (path.stat(),)
    )


def published(source: HubSource) -> Published | None:
    """Return what is known before a download: of a data set of the hub, nothing."""
    return None if Path(source.path).is_dir() else Published()


def _dataset(source: HubSource) -> Dataset:
    local = Path(source.path).is_dir()
    if not local and not is_hub_id(source.path):
        raise UserError(
            f"hub: {source.path} is neither a folder nor an id such as owner/name; fix path"
        )
    for file in sorted(Path(source.path).rglob("*.parquet")) if local else ():
        check_packing(file)
    streaming = local if source.streaming is None else source.streaming
    return Dataset(source.path, source.config, source.revision, streaming)


def _listed(names: SplitNames) -> list[str]:
    return [names] if isinstance(names, str) else names


def _hub_splits(dataset: Dataset, source: HubSource) -> list[HubSplit]:
    """Return what is read, in order. Raises UserError for splits and columns that are not there."""
    there = split_columns(dataset)
    wanted: list[tuple[str, Split | None]]
    if isinstance(source.splits, dict):
        by_split = {split: source.splits.get(split, []) for split in get_args(Split)}
        wanted = [(name, split) for split, names in by_split.items() for name in _listed(names)]
    elif source.splits is not None:
        wanted = [(source.splits, None)]
    elif len(there) == 1:
        wanted = [(name, None) for name in there]
    elif set(there) <= set(SPLITS):
        order = get_args(Split)
        wanted = sorted(
            ((name, SPLITS[name]) for name in there), key=lambda item: order.index(item[1])
        )
    else:
        raise UserError(
            f"hub: {source.path} has the splits {', '.join(there)}; say in the recipe which are "
            f"which, such as splits: {{train: {next(iter(there))}}}"
        )
    for name, _ in wanted:
        if name not in there:
            raise UserError(
                f"hub: {source.path} has no split {name}; it has {', '.join(there) or 'none'}"
            )
    return [HubSplit(name, split, _columns(there[name], name, source)) for name, split in wanted]


def _columns(there: list[str], split: str, source: HubSource) -> dict[Meaning, ColumnPath]:
    """Return the path to what is needed; one that the recipe gives may lead inside
    (`translation.en`).
    """
    lowered = {name.lower(): name for name in reversed(there)}
    found: dict[Meaning, ColumnPath] = {}
    for meaning in get_args(Meaning):
        named = source.columns.given(meaning)
        if named is None and meaning not in USUAL:
            continue
        for name in source.columns.names(meaning):
            column, _, inside = name.partition(".")
            if name in there or name.lower() in lowered:
                found[meaning] = (name if name in there else lowered[name.lower()],)
                break
            if named is not None and inside and column in there:
                found[meaning] = (column, *inside.split("."))
                break
        if meaning not in found and (named is not None or meaning in NEEDED):
            what = f"column {named}" if named is not None else f"column for the {meaning}"
            raise UserError(
                f"hub: {source.path} has no {what} in {split}; it has {', '.join(there)}; name it "
                f"in the recipe, such as columns: {{{meaning}: {there[0] if there else '…'}}}"
            )
    return found


def _rows(
    dataset: Dataset, part: HubSplit, paths: Mapping[Meaning, ColumnPath]
) -> Iterator[dict[str, Any]]:
    """Yield rows of a part with no other columns than those that the paths lead into."""
    columns = list(dict.fromkeys(path[0] for path in paths.values()))
    return read_rows(dataset, part.name, columns, paths["audio"][0] if "audio" in paths else None)


def _divide(dataset: Dataset, part: HubSplit, source: HubSource) -> list[Split | Unusable]:
    """Return the split of each row that can be used; audio is not read."""
    paths: dict[Meaning, ColumnPath] = {m: path for m, path in part.paths.items() if m != "audio"}

    def spoken() -> Iterator[tuple[str | None, str]]:
        for number, row in enumerate(_rows(dataset, part, paths), start=1):
            metadata = _metadata(row, part, number, source)
            if isinstance(metadata, Metadata):
                yield metadata.speaker, metadata.text

    return divide(spoken(), source, f"hub: {source.path}")


def _metadata(
    row: dict[str, Any], part: HubSplit, number: int, source: HubSource
) -> Metadata | Rejected:
    values: dict[Meaning, Any] = {
        meaning: _value_at(row, path) for meaning, path in part.paths.items() if meaning != "audio"
    }
    where = f"{source.path} {part.name} row {number}"
    return read_metadata(
        values,
        f"{part.name}/{number}",
        where,
        source.default_language,
        source.translation_language,
    )


def _value_at(row: dict[str, Any], path: ColumnPath) -> Any:
    value: Any = row
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _audio(value: Any, dataset: Dataset) -> bytes | Path | str:
    """Return the encoded file, or why there is none."""
    if isinstance(value, dict):
        if value.get("array") is not None:
            return "the audio is numbers, not an encoded file; write it again with datasets.Audio"
        value = value["bytes"] if value.get("bytes") is not None else value.get("path")
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str) or not value:
        return "the row has no audio"
    if "://" in value:
        # Inside a zip on the hub it is zip://a.wav::hf://datasets/…; the last part counts.
        *archived, place = value.split("::")
        in_folder = dataset.is_local and _is_inside(Path(place), [Path(dataset.path)])
        in_zip = bool(archived) and all(each.startswith("zip://") for each in archived)
        if not place.startswith("hf://") and not (in_folder and in_zip):
            return f"the audio is outside the data set ({value})"
        content = read_file(value, dataset, lifted(MAX_CLIP_BYTES))
        return content if content is not None else f"the audio {too_large()}"
    # A row can name any file of this machine: only those that belong to the data set are read.
    folders = [Path(dataset.path)] if dataset.is_local else cache_folders()
    path = Path(dataset.path if dataset.is_local else "", value)
    if not _is_inside(path, folders):
        return f"the audio is outside the data set ({value})"
    return path


def _is_inside(path: Path, folders: list[Path]) -> bool:
    return any(path.resolve().is_relative_to(folder.resolve()) for folder in folders)
