"""Zeroth-Korean as OpenSLR 40 gives it: `zeroth_korean.tar.gz`, or the folder it unpacks to.

AUDIO_INFO                                   names and sex of the speakers; not taken
train_data_01/003/106/106_003_0019.flac      data set, script, speaker; test_data_01 alike
train_data_01/003/106/106_003.trans.txt      `106_003_0019 text` a line
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from soritune.errors import UserError
from soritune.files import read_regular
from soritune.sources.clips import MAX_CLIP_BYTES, archive_errors, read_archive, too_large
from soritune.sources.folders import walk
from soritune.sources.limits import lifted
from soritune.utterance import Rejected, Split, Utterance

TRANSCRIPTS = ".trans.txt"
AUDIO = ".flac"
SPLITS: dict[str, Split] = {"train_data": "train", "test_data": "test"}
REMEDY = "download zeroth_korean.tar.gz from https://www.openslr.org/40 and set path to it"


def is_openslr(folder: Path) -> bool:
    """Return whether the folder holds transcripts in the form of OpenSLR 40."""
    return any(True for _ in _transcript_files(folder))


def read_folder(folder: Path) -> Iterator[Utterance | Rejected]:
    """Yield utterances of the transcripts by path; recordings that no line names are rejected."""
    for path, files in walk(folder):
        split = _split_of((folder.name, *path.relative_to(folder).parts))
        if split is None:
            continue
        named: set[str] = set()
        for name in files:
            if name.endswith(TRANSCRIPTS):
                content = read_regular(path / name)
                for entry in _lines(content, str(path / name), split):
                    named.add(entry.id + AUDIO)
                    if isinstance(entry, Rejected):
                        yield entry
                    else:
                        yield replace(entry, audio=path / (entry.id + AUDIO))
        for name in files:
            if name.endswith(AUDIO) and name not in named:
                yield _without_text(name, str(path / name))


def count_folder(folder: Path) -> int:
    """Return the number of entries of `read_folder`."""
    return sum(1 for _ in read_folder(folder))


def describe_folder(folder: Path) -> str:
    """Return text that changes when a transcript does, or when recordings came or went."""
    digest = hashlib.sha256()
    for path in _transcript_files(folder):
        digest.update(path.relative_to(folder).as_posix().encode() + read_regular(path))
        digest.update(str(path.parent.stat().st_mtime_ns).encode())
    return digest.hexdigest()


def read_tarball(path: Path) -> Iterator[Utterance | Rejected]:
    """Yield utterances of the archive in its order; it is read twice and never unpacked.

    Raises UserError: a damaged or unsafe archive, one without transcripts.
    """
    with archive_errors(path):
        listed, rejected = _listed(path)
        yield from rejected
        if not listed:
            raise UserError(f"zeroth: {path} holds no {TRANSCRIPTS} of train or test; {REMEDY}")
        for name, num_bytes, file in read_archive(path):
            if name.suffix != AUDIO or _split_of(name.parts) is None:
                continue
            utterance = listed.pop(name, None)
            if utterance is None:
                yield _without_text(name.name, f"{path}: {name}")
            elif num_bytes > lifted(MAX_CLIP_BYTES):
                detail = too_large()
                yield Rejected(utterance.id, "too-long", detail, f"{path}: {name}")
            else:
                yield replace(utterance, audio=file.read())
    for name, utterance in listed.items():
        yield Rejected(utterance.id, "missing", f"{name} is not in the archive", str(path))


def _listed(path: Path) -> tuple[dict[PurePosixPath, Utterance], list[Rejected]]:
    """Return what the transcripts of an archive name, by the path of the recording."""
    listed: dict[PurePosixPath, Utterance] = {}
    rejected: list[Rejected] = []
    for name, _, file in read_archive(path):
        split = _split_of(name.parts)
        if split is None or not name.name.endswith(TRANSCRIPTS):
            continue
        for entry in _lines(file.read(), f"{path}: {name}", split):
            if isinstance(entry, Rejected):
                rejected.append(entry)
            else:
                listed[name.parent / (entry.id + AUDIO)] = entry
    return listed, rejected


def _transcript_files(folder: Path) -> Iterator[Path]:
    for path, files in walk(folder):
        if _split_of((folder.name, *path.relative_to(folder).parts)) is not None:
            yield from (path / name for name in files if name.endswith(TRANSCRIPTS))


def _split_of(parts: Sequence[str]) -> Split | None:
    """`train_data_01` and `test_data_01` among the folders decide."""
    for part in reversed(parts):
        for name, split in SPLITS.items():
            if part.startswith(name):
                return split
    return None


def _lines(content: bytes, where: str, split: Split) -> Iterator[Utterance | Rejected]:
    """Yield utterances of lines: an id (speaker_script_number), a space, and the text."""
    seen: set[str] = set()
    for number, line in enumerate(content.splitlines(), start=1):
        # Bytes that are not UTF-8 come through as surrogates and cost their line only.
        text = line.decode("utf-8-sig" if number == 1 else "utf-8", "surrogateescape").strip()
        if not text:
            continue
        utterance_id, _, transcript = text.partition(" ")
        place = f"{where} line {number}"
        speaker, script, _ = (*utterance_id.split("_"), "", "")[:3]
        if not speaker or not script or PurePosixPath(utterance_id).name != utterance_id:
            yield Rejected("", "bad-line", "does not begin with an id (106_003_0019)", place)
        elif utterance_id in seen:
            detail = "an earlier line names the same recording"
            yield Rejected(utterance_id, "duplicate-id", detail, place)
        else:
            seen.add(utterance_id)
            yield Utterance(
                id=utterance_id,
                audio=b"",
                text=transcript.strip(),
                language="ko",
                split=split,
                speaker=speaker,
            )


def _without_text(name: str, where: str) -> Rejected:
    stem = name.removesuffix(AUDIO)
    return Rejected(stem, "empty-text", "no line of a transcript names it", where)
