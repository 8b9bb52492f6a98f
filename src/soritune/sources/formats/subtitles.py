"""Long recordings with subtitles beside them, cut into utterances."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from soritune.audio import MAX_DURATION_S
from soritune.errors import UserError
from soritune.files import open_regular
from soritune.languages.encoding import decode_text
from soritune.sources.formats.cues import read_cues
from soritune.sources.formats.division import OwnRecordings, Unusable, divide
from soritune.sources.formats.subtitles_cut import CutSettings, Segment, UnusableCue, cut
from soritune.sources.formats.subtitles_files import KINDS, Recording, Seconds, find_recordings
from soritune.sources.limits import LIFTED_BY, lifted
from soritune.utterance import Excerpt, Rejected, Split, Utterance

MAX_SUBTITLE_BYTES = 32 * 2**20
"""A film has 0.1 MiB."""
MAX_PAD_S = 0.5
"""How far a part may reach beyond the end of its file (`audio.END_SLACK_S`)."""


class SubtitlesSource(OwnRecordings):
    """`path` is a folder of recordings with `.srt` or `.vtt` of the same name, or a list of pairs.

    Subtitles may also have the language in their name (`talk.ko.vtt`). A list is a `.jsonl` file,
    each line a `Pair`. Cues of one sentence are joined up to `max_duration_s`: 20 s leave room
    under the 30 s that `prepare` takes and are what most models see in training. `pad_s` is
    added on both sides, never more than half of the way to the next speech. `shift_s` is added to
    all times of the subtitles (negative: they come too late).

    Where no split is given, recordings whose speakers have no names are kept in one split each.
    """

    source: Literal["subtitles"]
    path: Path
    max_duration_s: Annotated[float, Field(gt=0, le=MAX_DURATION_S)] = 20.0
    max_gap_s: Annotated[Seconds, Field(ge=0)] = 0.5
    pad_s: Annotated[float, Field(ge=0, le=MAX_PAD_S)] = 0.2
    shift_s: Seconds = 0.0


def read(source: SubtitlesSource) -> Iterator[Utterance | Rejected]:
    """Yield utterances of each recording in the order of time, recordings by name or as listed.

    Raises UserError: no such folder or list, nothing in it, utterances that cannot be divided as
    asked.
    """
    recordings = list(find_recordings(source.path, source.default_language))
    if not any(isinstance(entry, Recording) for entry in recordings):
        raise UserError(
            f"subtitles: {source.path} names no recording with subtitles; put talk.srt or talk.vtt "
            f"beside talk.wav, or list pairs of audio and subtitles in a .jsonl file"
        )
    split_is_given = any(isinstance(entry, Recording) and entry.split for entry in recordings)
    division = None if split_is_given else iter(_divide(recordings, source))
    for recording in recordings:
        if isinstance(recording, Rejected):
            yield recording
            continue
        for segment in _segments(recording, source):
            if not isinstance(segment, Segment):
                yield segment
                continue
            name, where = _id(recording, segment), f"{recording.subtitles} line {segment.line}"
            split = recording.split if division is None else next(division)
            if split is None:
                detail = "the recording names no split though others do"
                yield Rejected(name, "no-split", detail, where)
            elif isinstance(split, Unusable):
                yield Rejected(name, split.reason, split.detail, where)
            else:
                yield Utterance(
                    id=name,
                    audio=_excerpt(recording, segment, source.pad_s),
                    text=segment.text,
                    language=recording.language,
                    split=split,
                    speaker=segment.speaker or recording.speaker,
                )


def count(source: SubtitlesSource) -> int | None:
    """Return utterances and cues that are left out."""
    return sum(
        1 if isinstance(recording, Rejected) else sum(1 for _ in _segments(recording, source))
        for recording in find_recordings(source.path, source.default_language)
    )


def identity(source: SubtitlesSource) -> str:
    """Return names, sizes and times of recordings and subtitles, and what a list says of them."""
    digest = hashlib.sha256()
    for recording in find_recordings(source.path, source.default_language):
        digest.update(repr(recording).encode("utf-8", "backslashreplace"))
        if isinstance(recording, Recording):
            for path in (recording.audio, recording.subtitles):
                try:
                    stat = path.stat()
                except (OSError, ValueError):
                    continue
                digest.update(f"{stat.st_size} {stat.st_mtime_ns}".encode())
    return digest.hexdigest()


def _divide(
    recordings: list[Recording | Rejected], source: SubtitlesSource
) -> list[Split | Unusable]:
    """Return the split of each utterance; who has no name counts as one speaker a recording."""

    def spoken() -> Iterator[tuple[str, str]]:
        for recording in recordings:
            if isinstance(recording, Recording):
                for segment in _segments(recording, source):
                    if isinstance(segment, Segment):
                        speaker = segment.speaker or recording.speaker
                        yield speaker or f"recording {recording.id}", segment.text

    return divide(spoken(), source, f"subtitles: {source.path}")


def _segments(recording: Recording, source: SubtitlesSource) -> list[Segment | Rejected]:
    """Return the segments of a recording; one rejection where its subtitles cannot be read."""
    where = str(recording.subtitles)
    try:
        with open_regular(recording.subtitles) as file:
            content = file.read(lifted(MAX_SUBTITLE_BYTES) + 1)
    except FileNotFoundError:
        return [Rejected(recording.id, "missing", "there are no such subtitles", where)]
    except (OSError, ValueError) as error:
        return [Rejected(recording.id, "unreadable", f"cannot be opened ({error})", where)]
    if len(content) > lifted(MAX_SUBTITLE_BYTES):
        detail = f"is too large for subtitles; {LIFTED_BY}"
        return [Rejected(recording.id, "unreadable", detail, where)]
    text = decode_text(content, recording.language)
    if text is None:
        detail = f"is not in UTF-8, UTF-16 or another encoding of {recording.language}"
        return [Rejected(recording.id, "bad-text", detail, where)]
    settings = CutSettings(
        max_duration_s=source.max_duration_s,
        max_gap_s=source.max_gap_s,
        pad_s=source.pad_s,
        shift_s=source.shift_s + recording.shift_s,
    )
    try:
        cues = list(read_cues(text, KINDS[recording.subtitles.suffix.lower()]))
    except UserError as error:
        return [Rejected(recording.id, "unreadable", f"is not WebVTT: {error}", where)]
    if not cues:
        return [Rejected(recording.id, "empty", "holds no cues", where)]
    return [
        Rejected(
            f"{recording.id}/line-{entry.line}",
            entry.reason,
            entry.detail,
            f"{where} line {entry.line}",
        )
        if isinstance(entry, UnusableCue)
        else entry
        for entry in cut(cues, settings)
    ]


def _id(recording: Recording, segment: Segment) -> str:
    """Return the times in ms, so that ids sort as the recording goes."""
    start, end = (round(1000 * time_s) for time_s in (segment.start_s, segment.end_s))
    return f"{recording.id}/{start:08d}-{end:08d}"


def _excerpt(recording: Recording, segment: Segment, pad_s: float) -> Excerpt:
    start_s = segment.start_s - min(pad_s, segment.before_s)
    end_s = segment.end_s + min(pad_s, segment.after_s)
    return Excerpt(recording.audio, round(start_s, 6), round(end_s - start_s, 6), recording.channel)
