"""Lhotse manifests: cuts, or recordings with supervisions, as JSON lines (.jsonl or .jsonl.gz).

One utterance for each supervision: the part of the recording that it spans. The JSON is read as
it is; Lhotse itself is not needed, and nothing that a manifest names is run or downloaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import Field, model_validator

from soritune.errors import UserError
from soritune.sources.formats.division import OwnRecordings
from soritune.sources.formats.fields import Meaning, read_metadata
from soritune.sources.formats.lhotse_records import (
    Fault,
    Recording,
    Supervision,
    cut_of,
    locate,
    recording_of,
    supervision_of,
)
from soritune.sources.formats.rows import Row, assign_splits, count_of, identity_of
from soritune.sources.formats.tables import json_lines
from soritune.utterance import Rejected, Split, Utterance

Kind = Literal["cuts", "recordings", "supervisions"]
KINDS: tuple[Kind, ...] = get_args(Kind)
USUAL = (".jsonl.gz", ".jsonl")
Files = dict[Split, str] | str


class LhotseSource(OwnRecordings):
    """`path` is a file of cuts, or the folder of the manifests, which the other keys then name.

    `cuts`, or `recordings` and `supervisions`, are one file each, which is divided, or one for
    each split (`{train: cuts_train.jsonl.gz, test: cuts_test.jsonl.gz}`). Without them the folder
    must hold files of these names. Relative paths of recordings count from `audio_folder`, which
    counts from the manifests' folder. (Lhotse's own count from where it was started.)
    """

    source: Literal["lhotse"]
    path: Path
    cuts: Files | None = Field(None, min_length=1)
    recordings: Files | None = Field(None, min_length=1)
    supervisions: Files | None = Field(None, min_length=1)
    audio_folder: str = "."

    @model_validator(mode="after")
    def _cuts_or_both_others(self) -> Self:
        if (self.recordings is None) != (self.supervisions is None):
            raise ValueError('"recordings" and "supervisions" go together; give both, or "cuts"')
        if self.cuts is not None and self.recordings is not None:
            raise ValueError('"cuts" hold their recordings; give them, or "recordings"')
        if _keys(self.recordings) != _keys(self.supervisions):
            raise ValueError('"recordings" and "supervisions" must name the same splits')
        return self


def read(source: LhotseSource) -> Iterator[Utterance | Rejected]:
    """Yield utterances in the order of the supervisions; what has no transcript is rejected.

    Raises UserError: no such manifest, a gzip file that breaks off, utterances that cannot be
    divided as asked.
    """
    rows = partial(_rows, source)
    return assign_splits(rows, rows, source, str(source.path))


def count(source: LhotseSource) -> int | None:
    """Return the number of supervisions and of what is left over."""
    return count_of(partial(_rows, source))


def identity(source: LhotseSource) -> str:
    """Return a digest of the manifests and of the size and time of each recording."""
    return identity_of(partial(_rows, source))


def _rows(source: LhotseSource) -> Iterator[Row | Rejected]:
    files = _manifests(source)
    for split, path in files.get("cuts", {}).items():
        yield from _of_cuts(path, split, source)
    by_recordings: dict[Path, list[tuple[Split | None, Path]]] = {}
    for split, path in files.get("supervisions", {}).items():
        by_recordings.setdefault(files["recordings"][split], []).append((split, path))
    for of_recordings, parts in by_recordings.items():
        yield from _of_supervisions(of_recordings, parts, source)


def _manifests(source: LhotseSource) -> dict[Kind, dict[Split | None, Path]]:
    """Return the files of each kind by split; None where they are to be divided."""
    if source.path.is_file():
        if source.cuts is not None or source.recordings is not None:
            raise UserError(
                f"lhotse: path is a file ({source.path}) and others are named beside it; set "
                f"path to their folder"
            )
        return {"cuts": {None: source.path}}
    if not source.path.is_dir():
        raise UserError(f"lhotse: there is no {source.path}; fix path in the recipe")
    given = {kind: files for kind in KINDS if (files := getattr(source, kind)) is not None}
    if not given:
        return _usual_manifests(source.path)
    found: dict[Kind, dict[Split | None, Path]] = {}
    for kind, files in given.items():
        named: dict[Split | None, str] = {None: files} if isinstance(files, str) else files
        if kind != "recordings" and len(set(named.values())) < len(named):
            raise UserError(
                f"lhotse: two splits have the same {kind}; what is tested must not be trained on"
            )
        found[kind] = {split: source.path / name for split, name in named.items()}
    return found


def _usual_manifests(folder: Path) -> dict[Kind, dict[Split | None, Path]]:
    found: dict[Kind, dict[Split | None, Path]] = {}
    for kind in KINDS:
        for path in (folder / f"{kind}{ending}" for ending in USUAL):
            if path.is_file():
                found.setdefault(kind, {None: path})
    if "cuts" in found:
        return {"cuts": found["cuts"]}
    if len(found) < 2:
        raise UserError(
            f"lhotse: {folder} holds neither cuts.jsonl(.gz) nor recordings and supervisions; "
            f"name the files in the recipe: cuts, or recordings and supervisions"
        )
    return found


def _of_cuts(path: Path, split: Split | None, source: LhotseSource) -> Iterator[Row | Rejected]:
    for number, line in json_lines(path):
        where = f"{path} line {number}"
        try:
            cut = cut_of(line)
        except Fault as fault:
            yield Rejected(fault.id, fault.reason, fault.detail, where)
            continue
        if not cut.supervisions:
            yield Rejected(cut.id, "empty-text", "the cut has no supervision", where)
        for value in cut.supervisions:
            try:
                supervision = supervision_of(value, cut)
            except Fault as fault:
                yield Rejected(fault.id, fault.reason, fault.detail, where)
                continue
            yield _row(supervision, cut.recording, where, split, source)


def _of_supervisions(
    of_recordings: Path, parts: list[tuple[Split | None, Path]], source: LhotseSource
) -> Iterator[Row | Rejected]:
    """Yield entries of the supervisions `parts`, with their splits, that share a file of
    recordings.
    """
    recordings: dict[str, Recording | Fault] = {}
    for number, line in json_lines(of_recordings):
        where = f"{of_recordings} line {number}"
        try:
            found: Recording | Fault = recording_of(line)
        except Fault as fault:
            if not fault.id:
                yield Rejected("", fault.reason, fault.detail, where)
                continue
            found = fault
        if found.id in recordings:
            detail = "an earlier line has the same id"
            yield Rejected(found.id, "duplicate-id", detail, where)
        recordings.setdefault(found.id, found)
    used: set[str] = set()
    for split, path in parts:
        for number, line in json_lines(path):
            where = f"{path} line {number}"
            try:
                supervision = supervision_of(line)
            except Fault as fault:
                yield Rejected(fault.id, fault.reason, fault.detail, where)
                continue
            used.add(supervision.recording_id)
            recording = recordings.get(supervision.recording_id)
            if recording is None:
                detail = f"there is no recording {supervision.recording_id}"
                yield Rejected(supervision.id, "missing", detail, where)
            else:
                yield _row(supervision, recording, where, split, source)
    for recording in recordings.values():
        if isinstance(recording, Fault) and recording.id not in used:
            yield Rejected(recording.id, recording.reason, recording.detail, str(of_recordings))
        elif recording.id not in used:
            detail = "no supervision is of it"
            yield Rejected(recording.id, "empty-text", detail, str(of_recordings))


def _row(
    supervision: Supervision,
    recording: Recording | Fault,
    where: str,
    split: Split | None,
    source: LhotseSource,
) -> Row | Rejected:
    if isinstance(recording, Fault):
        return Rejected(supervision.id, recording.reason, recording.detail, where)
    folder = source.path if source.path.is_dir() else source.path.parent
    try:
        audio = locate(supervision, recording, folder / source.audio_folder)
    except Fault as fault:
        return Rejected(supervision.id, fault.reason, fault.detail, where)
    values: dict[Meaning, Any] = {"text": supervision.text, "speaker": supervision.speaker}
    if supervision.language:
        values["language"] = supervision.language
    metadata = read_metadata(values, supervision.id, where, source.default_language, None)
    return metadata if isinstance(metadata, Rejected) else Row(where, metadata, audio, split)


def _keys(files: Files | None) -> set[Split] | None:
    return set(files) if isinstance(files, dict) else None
