"""A Kaldi data directory: `wav.scp`, `text`, and where they are there `segments`, `utt2spk`.

wav.scp     RECORDING PATH                  commands (`sox … |`) are refused, never run
segments    UTTERANCE RECORDING START END   seconds; an END of -1 is that of the recording;
                                            a fifth column is the channel, from 0
text        UTTERANCE TRANSCRIPT
utt2spk     UTTERANCE SPEAKER
(https://kaldi-asr.org/doc/data_prep.html; segments as in featbin/extract-segments.cc)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from soritune.errors import UserError
from soritune.sources.folders import find_file
from soritune.sources.formats.division import OwnRecordings, Unusable
from soritune.sources.formats.fields import Meaning, read_metadata
from soritune.sources.formats.lines import number_of
from soritune.sources.formats.rows import Row, assign_splits, count_of, identity_of, split_folders
from soritune.sources.formats.tables import open_lines
from soritune.utterance import Excerpt, Rejected, Split, Utterance

IN_ARCHIVE = re.compile(r"\.ark(\.gz)?:\d+$")
BLANK = " \t\r\n"
KEY = re.compile(r"([^ \t]+)[ \t]*(.*)", re.DOTALL)


class KaldiSource(OwnRecordings):
    """`path` is a data directory, or the folder that holds those of `splits`.

    Relative paths in wav.scp count from `audio_folder`, which counts from `path`; without it
    from the data directory. (Kaldi's own count from where its scripts are started.)
    """

    source: Literal["kaldi"]
    path: Path
    splits: dict[Split, str] | None = Field(None, min_length=1)
    audio_folder: str | None = None


@dataclass(frozen=True)
class Segment:
    """A part of a recording."""

    recording: str
    start_s: float
    duration_s: float | None
    channel: int | None


def read(source: KaldiSource) -> Iterator[Utterance | Rejected]:
    """Yield utterances in the order of `text`, then recordings and segments without one, rejected.

    Raises UserError: no such directory, no wav.scp or text in it, utterances that cannot be
    divided as asked.
    """
    rows = partial(_rows, source)
    return assign_splits(rows, rows, source, str(source.path))


def count(source: KaldiSource) -> int | None:
    """Return the number of utterances and of what is left over."""
    return count_of(partial(_rows, source))


def identity(source: KaldiSource) -> str:
    """Return a digest of the files and of the size and time of each recording."""
    return identity_of(partial(_rows, source))


def _rows(source: KaldiSource) -> Iterator[Row | Rejected]:
    for folder, split in split_folders(source.path, source.splits, "kaldi"):
        for name in ("wav.scp", "text"):
            if not (folder / name).is_file():
                raise UserError(
                    f"kaldi: {folder} holds no {name}; set path to a data directory with wav.scp "
                    f"and text, or name several under splits"
                )
        yield from _of_folder(folder, split, source)


def _of_folder(folder: Path, split: Split | None, source: KaldiSource) -> Iterator[Row | Rejected]:
    base = folder if source.audio_folder is None else source.path / source.audio_folder
    recordings: dict[str, Path | Unusable] = {}
    for where, recording, rest in _table(folder / "wav.scp", source.default_language):
        if recording in recordings:
            yield _repeated(recording, where)
        else:
            recordings[recording] = _recording(rest, base)
    segments: dict[str, Segment | Unusable] | None = None
    if (folder / "segments").exists():
        segments = {}
        for where, utterance, rest in _table(folder / "segments", source.default_language):
            if utterance in segments:
                yield _repeated(utterance, where)
            else:
                segments[utterance] = _segment(rest)
    speakers: dict[str, str] = {}
    if (folder / "utt2spk").exists():
        for where, utterance, speaker in _table(folder / "utt2spk", source.default_language):
            if not speaker:
                yield Rejected(utterance, "bad-line", "names no speaker", where)
            elif speakers.setdefault(utterance, speaker) != speaker:
                yield _repeated(utterance, where)
    transcribed: set[str] = set()
    for where, utterance, text in _table(folder / "text", source.default_language):
        transcribed.add(utterance)
        audio = _audio(utterance, recordings, segments)
        if isinstance(audio, Unusable):
            yield Rejected(utterance, audio.reason, audio.detail, where)
            continue
        values: dict[Meaning, Any] = {"text": text, "speaker": speakers.get(utterance)}
        metadata = read_metadata(values, utterance, where, source.default_language, None)
        yield metadata if isinstance(metadata, Rejected) else Row(where, metadata, audio, split)
    yield from _left_over(folder, transcribed, recordings, segments)


def _left_over(
    folder: Path,
    transcribed: set[str],
    recordings: dict[str, Path | Unusable],
    segments: dict[str, Segment | Unusable] | None,
) -> Iterator[Rejected]:
    """Yield segments that `text` does not name, and recordings that nothing does."""
    used = transcribed
    if segments is not None:
        for utterance in segments:
            if utterance not in transcribed:
                detail = "text has no line of it"
                yield Rejected(utterance, "empty-text", detail, f"{folder / 'segments'}")
        used = {part.recording for part in segments.values() if isinstance(part, Segment)}
    for recording, found in recordings.items():
        if recording in used:
            continue
        where = str(folder / "wav.scp")
        if isinstance(found, Unusable):
            yield Rejected(recording, found.reason, found.detail, where)
        else:
            detail = f"{'text' if segments is None else 'segments'} has no line of it"
            yield Rejected(recording, "empty-text", detail, where)


def _audio(
    utterance: str,
    recordings: dict[str, Path | Unusable],
    segments: dict[str, Segment | Unusable] | None,
) -> Path | Excerpt | Unusable:
    if segments is None:
        return recordings.get(utterance) or Unusable("missing", "wav.scp has no line of it")
    part = segments.get(utterance) or Unusable("missing", "segments has no line of it")
    if isinstance(part, Unusable):
        return part
    recording = recordings.get(part.recording)
    if recording is None:
        return Unusable("missing", f"wav.scp has no line of its recording {part.recording}")
    if isinstance(recording, Unusable):
        return recording
    return Excerpt(recording, part.start_s, part.duration_s, part.channel)


def _recording(rest: str, base: Path) -> Path | Unusable:
    if rest.endswith("|") or rest.startswith("|"):
        return Unusable(
            "command",
            f"wav.scp gives a command ({rest[:60]}), and commands are never run; write what it "
            f"puts out to a file",
        )
    if IN_ARCHIVE.search(rest):
        return Unusable(
            "bad-line", f"wav.scp gives a place in an archive ({rest}); write a file for each"
        )
    if rest in ("", "-"):
        return Unusable("bad-line", "wav.scp names no file of it")
    return find_file(base / rest)


def _segment(rest: str) -> Segment | Unusable:
    cells = rest.split()
    if len(cells) not in (3, 4):
        return Unusable("bad-line", "its line in segments is not RECORDING START END [CHANNEL]")
    start_s, end_s = number_of(cells[1]), number_of(cells[2])
    if start_s is None or end_s is None or start_s < 0 or (end_s != -1 and end_s <= start_s):
        return Unusable("bad-line", f"{cells[1]} to {cells[2]} in segments is not a span of time")
    channel = None
    if len(cells) == 4:
        if not re.fullmatch(r"[0-9]{1,3}", cells[3]):
            return Unusable("bad-line", f"{cells[3]} in segments is not a channel (0, 1, …)")
        channel = int(cells[3])
    return Segment(cells[0], start_s, None if end_s == -1 else end_s - start_s, channel)


def _table(path: Path, language: str) -> Iterator[tuple[str, str, str]]:
    """Yield the place of each line, its first word, and the rest; blank lines are skipped."""
    with open_lines(path, language) as file:
        for number, line in enumerate(file, start=1):
            match = KEY.fullmatch(line.strip(BLANK))
            if match:
                yield f"{path} line {number}", match[1], match[2]


def _repeated(key: str, where: str) -> Rejected:
    return Rejected(key, "duplicate-id", "an earlier line has the same name", where)
