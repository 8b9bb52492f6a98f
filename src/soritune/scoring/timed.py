"""Transcripts with times: STM segments and CTM words (NIST SCTK)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from soritune.errors import UserError
from soritune.files import read_regular
from soritune.languages.encoding import decode_text


@dataclass(frozen=True)
class Entry:
    """A text of a file.

    `where` is its place for messages, `normalised` how the file says that it was normalised.
    """

    id: str | None
    text: str
    speaker: str | None
    where: str
    normalised: str | None = None


@dataclass(frozen=True)
class Timed:
    """A word or a segment of a CTM or STM file."""

    recording: str
    start_s: float
    end_s: float
    text: str
    speaker: str | None
    where: str


def lines_of(path: Path, language: str) -> list[str]:
    """Return the lines of a text file. Raises UserError where it cannot be read."""
    try:
        content = read_regular(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"{path}: cannot be read ({reason}). Name a file with texts.") from None
    text = decode_text(content, language)
    if text is None:
        raise UserError(f"{path}: is not text in UTF-8. Save it in UTF-8.")
    # Not splitlines: U+2028 and form feeds are part of a text.
    lines = text.replace("\r\n", "\n").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def read_stm(path: Path, language: str) -> Iterator[Timed]:
    """<file> <channel> <speaker> <start> <end> [<labels>] text (NIST SCTK)."""
    for number, line in enumerate(lines_of(path, language), start=1):
        if not line.strip() or line.startswith(";;"):
            continue
        where = f"{path}:{number}"
        parts = line.split(maxsplit=5)
        if len(parts) < 5:
            raise UserError(f"{where}: is not a line of STM (file channel speaker start end text).")
        text = parts[5] if len(parts) > 5 else ""
        if text.startswith("<"):
            text = text.partition(">")[2].strip()
        if text.strip().upper() == "IGNORE_TIME_SEGMENT_IN_SCORING":
            continue
        start, end = _seconds(parts[3], where), _seconds(parts[4], where)
        yield Timed(f"{parts[0]}-{parts[1]}", start, end, text, parts[2], where)


def read_ctm(path: Path, language: str) -> Iterator[Timed]:
    """<file> <channel> <start> <duration> <word> [<confidence>] (NIST SCTK)."""
    for number, line in enumerate(lines_of(path, language), start=1):
        if not line.strip() or line.startswith(";;"):
            continue
        where = f"{path}:{number}"
        parts = line.split()
        if len(parts) not in (5, 6):
            raise UserError(f"{where}: is not a line of CTM (file channel start duration word).")
        start = _seconds(parts[2], where)
        end = start + _seconds(parts[3], where)
        yield Timed(f"{parts[0]}-{parts[1]}", start, end, parts[4], None, where)


def _seconds(text: str, where: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found < 1e9:
        raise UserError(f'{where}: "{text}" is not a time in seconds.')
    return found


def numbered(segments: Iterable[Timed]) -> Iterator[Entry]:
    """Yield segments as texts with ids of their own."""
    for number, each in enumerate(segments):
        yield Entry(f"{each.recording}-{number}", each.text, each.speaker, each.where)


def joined(words: Iterable[Timed]) -> Iterator[Entry]:
    """Yield one text for each recording, its words in the order of time."""
    found: dict[str, list[Timed]] = {}
    for word in words:
        found.setdefault(word.recording, []).append(word)
    for recording, parts in found.items():
        ordered = sorted(parts, key=lambda word: word.start_s)
        yield Entry(recording, " ".join(word.text for word in ordered), None, parts[0].where)


def words_in(segments: Sequence[Timed], words: Sequence[Timed]) -> list[Entry]:
    """Give each word to the segment in which its middle is, or the nearest of its recording."""
    of_recording: dict[str, list[int]] = {}
    for number, segment in enumerate(segments):
        of_recording.setdefault(segment.recording, []).append(number)
    written: list[list[Timed]] = [[] for _ in segments]
    for word in words:
        numbers = of_recording.get(word.recording)
        if numbers is None:
            raise UserError(
                f'{word.where}: recording "{word.recording}" is not in the references. '
                "Score it against its own references."
            )
        middle = (word.start_s + word.end_s) / 2
        nearest = min(
            numbers,
            key=lambda n: max(segments[n].start_s - middle, middle - segments[n].end_s, 0.0),
        )
        written[nearest].append(word)
    return [
        Entry(
            f"{segment.recording}-{number}",
            " ".join(word.text for word in sorted(parts, key=lambda word: word.start_s)),
            None,
            segment.where,
        )
        for number, (segment, parts) in enumerate(zip(segments, written, strict=True))
    ]
