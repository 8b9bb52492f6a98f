"""FLEURS (CC BY 4.0): the same sentences read in 102 languages, joined to translation pairs.

Forms: `data/<language>/<split>.tsv` (no header) with `audio/<split>.tar.gz`, or Parquet. A
sentence has an id that is the same in all languages, and one to three recordings in each.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import Field

from soritune.errors import UserError
from soritune.files import read_regular
from soritune.hub import is_hub_id
from soritune.languages.setting import written_as
from soritune.sources.clips import bare_name, join_clips
from soritune.sources.corpora.fleurs_files import HUB_ID, Line, find_part, read_lines
from soritune.sources.hub_tables import HubOr, Published, download
from soritune.sources.options import SourceOptions
from soritune.sources.parquet import describe_files, read_rows
from soritune.utterance import Rejected, Split, Utterance

PAIRED_TEST = {frozenset({"ko_kr", "en_us"}): 270}
"""Sentences that both test splits hold; the published evaluation's number of samples."""
TABLE_SUFFIXES = (".txt", ".csv", ".tsv", ".json", ".jsonl", ".parquet")
LanguageName = Annotated[
    str,
    Field(pattern=r"^[a-z]{2,3}(_[a-z0-9]+)+$"),
    written_as({"ko": "ko_kr", "en": "en_us"}),
]


class FleursSource(SourceOptions):
    """`path` is a folder in one of the forms, or the id on the hub.

    Of two `languages` the corpus holds the recordings of both, each with the text of the other
    as its translation, so one corpus serves both directions; sentences that one of them lacks
    are left out. `ids` restricts the test split: a file with one id a line, or a data set on the
    hub with a column `id` (seastar105/fleurs_ko_en_test). `test_recordings`: the first of each
    test sentence in the order of the table, or all. `transcription`: raw (case, punctuation and
    digits as read) or plain (lower case, without punctuation).
    """

    source: Literal["fleurs"]
    path: Annotated[str, HubOr()] = HUB_ID
    languages: list[LanguageName] = Field(min_length=1, max_length=2)
    splits: list[Split] = Field(["train", "dev", "test"], min_length=1)
    ids: Annotated[str | None, HubOr("any")] = None
    test_recordings: Literal["first", "all"] = "first"
    transcription: Literal["raw", "plain"] = "raw"
    revision: str | None = None


def read(source: FleursSource) -> Iterator[Utterance | Rejected]:
    """Yield utterances by split, then language, then order of the clips.

    Raises UserError: no such folder, a split or language that is not there, a damaged or unsafe
    archive, no network, `ids` that are not in the test split.
    """
    if len(set(source.languages)) != len(source.languages):
        raise UserError(f"fleurs: languages names {source.languages[0]} twice")
    folder = _folder(source)
    wanted_ids = _read_ids(source)
    for split in source.splits:
        # 1. Tables of all languages, and the sentences to take of them.
        parts = [find_part(folder, language, split) for language in source.languages]
        tables = [list(read_lines(part, source.transcription)) for part in parts]
        texts = [_texts(table) for table in tables]
        ids = wanted_ids if split == "test" else None
        if ids is not None:
            _check_ids(ids, texts, source)
        first_only = split == "test" and source.test_recordings == "first"
        # 2. Each language with the texts of the other as translations.
        for index, part in enumerate(parts):
            translations = texts[1 - index] if len(parts) == 2 else None
            listed: dict[str, Utterance] = {}
            taken: set[str] = set()
            for line in tables[index]:
                if isinstance(line, Line) and (
                    (ids is not None and line.sentence not in ids)
                    or (first_only and line.sentence in taken)
                ):
                    continue
                entry = _entry(line, index, split, translations, listed, source)
                if isinstance(entry, Utterance) and isinstance(line, Line):
                    listed[line.clip] = entry
                    taken.add(line.sentence)
                elif isinstance(entry, Rejected):
                    yield entry
            # 3. Their audio.
            yield from join_clips(listed, part.clips(list(listed)), part.name)


def identity(source: FleursSource) -> str:
    """Return names and sizes of local files, and the ids; a hub id is its own identity."""
    folder, ids = Path(source.path), Path(source.ids or "")
    known = sorted(_read_ids(source) or ()) if source.ids and ids.exists() else []
    if not folder.is_dir():
        return ",".join(known)
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.name.endswith((".tsv", ".tar.gz", ".parquet"))
        and set(source.languages) & set(path.relative_to(folder).parts)
    )
    return "; ".join([describe_files(files, folder), ",".join(known)])


def published(source: FleursSource) -> Published | None:
    """Return what is known of the data set where it would be downloaded."""
    if source.path != HUB_ID or Path(source.path).is_dir():
        return None
    sentences = PAIRED_TEST.get(frozenset(source.languages))
    if sentences is None or source.splits != ["test"] or source.test_recordings != "first":
        return Published()
    languages = {name.partition("_")[0]: sentences for name in source.languages}
    return Published({"test": sum(languages.values())}, languages)


def _folder(source: FleursSource) -> Path:
    folder = Path(source.path)
    if folder.is_dir():
        return folder
    if not is_hub_id(source.path):
        raise UserError(
            f"fleurs: no folder {source.path}; give the folder with data/<language>/ of "
            f"{HUB_ID}, or that id to download it"
        )
    tables = [
        pattern
        for language in source.languages
        for split in source.splits
        for pattern in (f"data/{language}/{split}.tsv", f"data/{language}/audio/{split}.tar.gz")
    ]
    folder = download(source.path, source.revision, tables)
    if all((folder / pattern).is_file() for pattern in tables):
        return folder
    patterns = [
        f"*{language}/*{'validation' if split == 'dev' else split}*.parquet"
        for language in source.languages
        for split in source.splits
    ]
    return download(source.path, source.revision, patterns)


def _texts(lines: list[Line | Rejected]) -> dict[str, str]:
    """Return the text of each sentence that has one (the first; its recordings share it)."""
    texts: dict[str, str] = {}
    for line in lines:
        if isinstance(line, Line) and line.sentence and line.text.strip():
            texts.setdefault(line.sentence, line.text)
    return texts


def _entry(
    line: Line | Rejected,
    index: int,
    split: Split,
    translations: dict[str, str] | None,
    listed: dict[str, Utterance],
    source: FleursSource,
) -> Utterance | Rejected:
    if isinstance(line, Rejected):
        return line
    language = source.languages[index]
    name = f"{language}/{split}/{line.sentence}/{PurePosixPath(line.clip).stem}"
    if not line.sentence or bare_name(line.clip) is None:
        return Rejected(name, "bad-line", "lacks an id or names no file", line.where)
    if line.clip in listed:
        return Rejected(name, "duplicate-id", "an earlier line names the same clip", line.where)
    if not line.text.strip():
        return Rejected(name, "empty-text", "the transcript is empty", line.where)
    other = None if translations is None else source.languages[1 - index]
    translation = None if translations is None else translations.get(line.sentence)
    if other is not None and translation is None:
        detail = f"the sentence is not in {split} of {other}"
        return Rejected(name, "no-translation", detail, line.where)
    return Utterance(
        id=name,
        audio=b"",
        text=line.text,
        language=language.partition("_")[0],
        split=split,
        translation=translation,
        translation_language=other and other.partition("_")[0],
    )


def _check_ids(ids: set[str], texts: list[dict[str, str]], source: FleursSource) -> None:
    lacking = sorted(each for each in ids if not all(each in known for known in texts))
    if lacking:
        raise UserError(
            f"fleurs: {len(lacking)} of the {len(ids)} ids of {source.ids} are not in the test "
            f"split of {' and '.join(source.languages)} (first: {lacking[0]}); fix the list or "
            f"leave ids out to take all that are"
        )


def _read_ids(source: FleursSource) -> set[str] | None:
    if source.ids is None:
        return None
    path = Path(source.ids)
    if path.is_file() and path.suffix != ".parquet":
        try:
            ids = set(read_regular(path).decode("utf-8-sig").split())
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: is not a list of ids, one a line (not UTF-8 text)") from error
    else:
        if not path.exists() and (not is_hub_id(source.ids) or path.suffix in TABLE_SUFFIXES):
            raise UserError(
                f"fleurs: ids {source.ids} is neither a file nor the id of a data set on the hub"
            )
        if not path.exists():
            path = download(source.ids, None, ["*.parquet"])
        files = [path] if path.is_file() else sorted(path.rglob("*.parquet"))
        rows = (row for file in files for _, row in read_rows(file, {"id"}, set(), source.ids))
        ids = {str(row["id"]) for row in rows}
    if not ids:
        raise UserError(f"fleurs: {source.ids} holds no ids")
    return ids
