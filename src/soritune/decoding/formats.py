"""Transcripts as text, JSON, SubRip, WebVTT and TSV."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from soritune.decoding.records import Segment, Transcript
from soritune.decoding.subtitles import cues
from soritune.errors import visible_json


class Format(StrEnum):
    """What is written of a recording."""

    TEXT = "text"
    JSON = "json"
    VERBOSE_JSON = "verbose_json"
    SRT = "srt"
    VTT = "vtt"
    TSV = "tsv"

    @property
    def suffix(self) -> str:
        """Suffix of its files."""
        return {"text": ".txt", "verbose_json": ".json"}.get(self.value, f".{self.value}")

    @property
    def has_times(self) -> bool:
        """Whether it is about one recording only."""
        return self in (Format.SRT, Format.VTT, Format.TSV)


def shown(transcript: Transcript, form: Format, *, named: bool = False) -> str:
    """Return a transcript in a form, without the last line break.

    Args:
        named: whether a text line begins with the file's name.
    """
    if form is Format.JSON:
        return visible_json(_record(transcript))
    if form is Format.VERBOSE_JSON:
        return visible_json(_record(transcript) | verbose(transcript))
    if form is Format.TEXT:
        both = [transcript.text]
        if transcript.translation is not None:
            both.append(transcript.translation)
        line = "\t".join(" ".join(text.split()) for text in both)
        return f"{transcript.file}\t{line}" if named else line
    if form is Format.TSV:
        rows = ["start\tend\ttext"]
        for segment in transcript.segments:
            text = " ".join(_read(segment).split())
            rows.append(f"{round(1000 * segment.start_s)}\t{round(1000 * segment.end_s)}\t{text}")
        return "\n".join(rows)
    mark = "," if form is Format.SRT else "."
    blocks = []
    for number, cue in enumerate(cues(transcript.segments), start=1):
        times = f"{clock(cue.start_s, mark)} --> {clock(cue.end_s, mark)}"
        lines = [line if form is Format.SRT else _escaped(line) for line in cue.lines]
        head = [str(number)] if form is Format.SRT else []
        blocks.append("\n".join([*head, times, *lines, ""]))
    return "\n".join(blocks if form is Format.SRT else ["WEBVTT\n", *blocks])


def verbose(transcript: Transcript) -> dict[str, Any]:
    """Return segments, words and what was held back, under the names of OpenAI's verbose_json."""
    words = [word for segment in transcript.segments for word in segment.words]
    found: dict[str, Any] = {
        "segments": [
            _segment(number, segment) for number, segment in enumerate(transcript.segments)
        ]
    }
    if words:
        found["words"] = [
            {"word": word.text, "start": _s(word.start_s), "end": _s(word.end_s)} for word in words
        ]
    if transcript.dropped:
        found["dropped"] = [
            _segment(number, segment) for number, segment in enumerate(transcript.dropped)
        ]
    return found


def clock(seconds: float, mark: str = ",") -> str:
    """Return `01:02:03,456`, rounded to milliseconds."""
    total_ms = round(seconds * 1000)
    total_s, ms = divmod(total_ms, 1000)
    minutes, s = divmod(total_s, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:02d}:{minute:02d}:{s:02d}{mark}{ms:03d}"


def _segment(number: int, segment: Segment) -> dict[str, Any]:
    from soritune.decoding.guard import compression_ratio

    record = {
        "id": number,
        "start": _s(segment.start_s),
        "end": _s(segment.end_s),
        "text": segment.text,
        "translation": segment.translation,
        "avg_logprob": None if segment.mean_logprob is None else round(segment.mean_logprob, 4),
        "no_speech_prob": round(segment.no_speech_prob, 4),
        "compression_ratio": round(compression_ratio(segment.text), 3),
        "unsure": segment.unsure,
    }
    return {key: value for key, value in record.items() if value is not None}


def _record(transcript: Transcript) -> dict[str, Any]:
    record = {
        "file": transcript.file,
        "text": transcript.text,
        "translation": transcript.translation,
        "duration_s": round(transcript.duration_s, 3),
    }
    return {key: value for key, value in record.items() if value is not None}


def _read(segment: Segment) -> str:
    return segment.text if segment.translation is None else segment.translation


def _s(seconds: float) -> float:
    return round(seconds, 3)


def _escaped(line: str) -> str:
    """Return a line as WebVTT has it, where &, < and > mean something."""
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
