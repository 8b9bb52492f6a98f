"""Common Voice (CC0): a release (folder or tar.gz, never unpacked), or a mirror on the hub.

A release holds, for each locale, `clips/*.mp3` and lists: train, dev and test, which share no
speaker and no sentence, and validated, other and invalidated. Columns that came and went
between releases 11 and 23 (sentence_id, sentence_domain, variant, accents) are not needed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import Field

from soritune.errors import UserError
from soritune.hub import ARCHIVE_SUFFIXES, is_hub_id
from soritune.languages.setting import written_as
from soritune.sources.clips import bare_name, join_clips
from soritune.sources.corpora.common_voice_release import (
    REMEDY,
    Line,
    Release,
    describe_release,
    no_lists,
    open_release,
)
from soritune.sources.hub_tables import HubOr, Published, download
from soritune.sources.options import SourceOptions
from soritune.utterance import Rejected, Split, Utterance, sentence_key

ListName = Literal["train", "dev", "test", "validated", "other", "invalidated"]

OFFICIAL: tuple[tuple[Split, Split], ...] = (("test", "test"), ("dev", "dev"), ("train", "train"))
EXTRA: tuple[ListName, ...] = ("validated", "other", "invalidated")
OFFICIAL_OWNER = "mozilla-foundation/"
Locale = Annotated[
    str,
    Field(pattern=r"^[A-Za-z-]{2,10}$"),
    written_as({"ko": "ko", "en": "en", "ja": "ja"}),  # others may have a region: sv-SE, zh-CN
]


class CommonVoiceSource(SourceOptions):
    """`path` is a release's tar.gz, its folder, or the hub id of a mirror.

    `locale` is the language as Common Voice writes it (ko, zh-CN); None: the recipe's. `splits`
    are the lists to take. Clips of validated, other and invalidated (transcripts that two
    listeners confirmed, that too few heard, that two refused) that are in no official list go
    to train, except those whose speaker or sentence is in dev or test.
    """

    source: Literal["common-voice"]
    path: Annotated[str, HubOr("archive")]
    locale: Locale | None = None
    splits: list[ListName] = Field(["train", "dev", "test"], min_length=1)
    revision: str | None = None

    def in_language(self, language: str) -> Self:
        return self if self.locale else self.model_copy(update={"locale": language})

    @property
    def own_locale(self) -> str:
        """The locale. Raises UserError where it is not known."""
        if self.locale is None:
            raise UserError("common-voice: no locale is given. Add locale, such as locale: ko.")
        return self.locale


def read(source: CommonVoiceSource) -> Iterator[Utterance | Rejected]:
    """Yield lines that cannot be used first, then utterances in the order of the clips.

    Raises UserError: no such file or folder, a damaged or unsafe archive, no lists of the
    locale, the hub copy that is empty.
    """
    release = open_release(_place(source), source.own_locale)
    listed, rejected = _listed(release, source)
    yield from rejected
    yield from join_clips(listed, release.clips(listed), release.name)


def count(source: CommonVoiceSource) -> int | None:
    """Return lines of the lists of a folder; None for an archive, which would have to be read
    whole.
    """
    if not Path(source.path).is_dir():
        return None
    listed, rejected = _listed(open_release(Path(source.path), source.own_locale), source)
    return len(listed) + len(rejected)


def identity(source: CommonVoiceSource) -> str:
    """Return text that changes with the file or folder; a hub id is its own identity."""
    path = Path(source.path)
    return describe_release(path, source.own_locale) if path.exists() else ""


def published(source: CommonVoiceSource) -> Published | None:
    """Return what is to be downloaded or got by hand; None where a file or folder is there."""
    if Path(source.path).exists():
        return None
    mirror = is_hub_id(source.path) and not source.path.startswith(OFFICIAL_OWNER)
    return Published(by_hand="" if mirror else source.path)


def _place(source: CommonVoiceSource) -> Path:
    path = Path(source.path)
    if path.exists():
        return path
    if source.path.startswith(OFFICIAL_OWNER):
        raise UserError(
            f"common-voice: {source.path} is empty, Common Voice is no longer on the hub; {REMEDY}"
        )
    if not is_hub_id(source.path):
        kind = "file" if source.path.endswith(ARCHIVE_SUFFIXES) else "file or folder"
        raise UserError(f"common-voice: there is no {kind} {source.path}; {REMEDY}")
    locale = source.own_locale
    patterns = [f"{locale}/*", f"*/{locale}/*", "data/*.parquet"]
    return download(source.path, source.revision, patterns)


def _listed(
    release: Release, source: CommonVoiceSource
) -> tuple[dict[str, Utterance], list[Rejected]]:
    """Return what to take, by clip, and what cannot be taken."""
    lines: defaultdict[str, list[Line | Rejected]] = defaultdict(list)
    for name, table in release.tables():
        lines[name] += table
    if not lines:
        raise no_lists(release.name, source.own_locale)
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
                continue  # every clip of the official lists is also in validated
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
                    language=source.own_locale.partition("-")[0].lower(),
                    split=split,
                    speaker=line.speaker or None,
                )
    return listed, rejected
