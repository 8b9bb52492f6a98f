"""Cues of subtitles (SubRip, WebVTT): when something is said, what, and by whom.

Read with code of our own: of pysubs2 1.8, srt 3.5 and webvtt-py 0.6 none gives the line of a cue
(for the quarantine) or of one that it drops, and none gives voices, entities and ruby all as the
text that is spoken. The grammar is that of https://www.w3.org/TR/webvtt1/ section 6; SubRip has
no standard, so what players take is taken.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

from soritune.errors import UserError
from soritune.sources.formats.rolling import BadCue, Block, Cue, merge_growing, unroll, unslide

Kind = Literal["srt", "vtt"]

_ARROW = "-->"
_VTT_TIME = r"(?:(\d+):)?([0-5]\d):([0-5]\d)\.(\d{3})(?!\d)"
# Fewer or more than three digits behind the comma are read as 90 ms by some players, as 900 ms by
# others.
_SRT_TIME = r"(\d+):([0-5]?\d):([0-5]?\d)(?:[,.](\d{3}))?(?![,.]?\d)"
_MARKS = "\ufeff\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069"
"""Byte order marks and marks of direction, which editors leave at the beginning of a line."""
_TIMES: dict[Kind, re.Pattern[str]] = {
    "vtt": re.compile(rf"\s*{_VTT_TIME}\s*{_ARROW}\s*{_VTT_TIME}"),
    # Behind them only places on the screen: a comma of another script would cut milliseconds off.
    "srt": re.compile(
        rf"[\s{_MARKS}]*{_SRT_TIME}\s*{_ARROW}\s*{_SRT_TIME}(?=[\s{_MARKS}]*(?:[\s][A-Za-z]\w*:|$))"
    ),
}
_SRT_START = re.compile(
    rf"\W*\d(?:[^-]*|\d*\s*:.*){_ARROW}"
    r"|\W*\d+:\d\d?:\d\d?(?:&gt;|[\W\d]){1,30}?\d+:\d\d?:\d\d?(?!\d)"  # another arrow
)
_COUNTER = re.compile(r"(?:[#№(]|[Nn]o\.?)?\s*(\d{1,9})(?:[.,:]|\)|\s*/\s*\d{1,9})?")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>]*)>")
_RUBY_TEXT = re.compile(r"<rt[^>]*>.*?(?:</rt>|(?=</ruby>)|$)", re.DOTALL)
# In WebVTT every < opens a tag; in SubRip it may be a plain sign (3 < 5).
_TAG: dict[Kind, re.Pattern[str]] = {
    "vtt": re.compile(r"<[^>]*>?"),
    "srt": re.compile(r"</?[A-Za-z][^<>]*>"),
}
_OVERRIDE = re.compile(r"\{\\[^}]*\}|\{/?[ibusIBUS]\}|\{[a-zA-Z]:[^}]*\}")
"""What subtitles take from other formats: {\\an8} (placement), {i}, {y:i}."""
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_MUSIC = re.compile("[♩-♯🎵🎶]")
_SQUARE = re.compile(r"\[[^\[\]]*\]|【[^【】]*】")
_ROUND = re.compile(r"^(?:\([^()]*\)|（[^（）]*）)|\s(?:\([^()]*\)|（[^（）]*）)$")
_TURN = re.compile(r"^(?:[-–—‐](?!\d)|>>)")


def read_cues(content: str, kind: Kind) -> Iterator[Cue | BadCue]:
    """Yield cues in the order of the file; captions that roll give each line once.

    Raises UserError for a .vtt that is not WebVTT.
    """
    # \r\r\n: written as text twice.
    content = content.lstrip("\ufeff").replace("\r\r\n", "\n").replace("\r\n", "\n")
    lines = content.replace("\r", "\n").split("\n")
    blocks = list(_vtt_blocks(lines) if kind == "vtt" else _srt_blocks(lines))
    rolled = unroll(blocks, lambda line: spoken_text(line, kind)[0])
    yield from unslide(merge_growing(list(_cues(lines, rolled, kind))))


def _cues(lines: list[str], blocks: list[Block], kind: Kind) -> Iterator[Cue | BadCue]:
    for number, text in blocks:
        times = _TIMES[kind].match(lines[number])
        if times is None:
            yield BadCue(number + 1, f"times that cannot be read: {lines[number].strip()[:80]!r}")
            continue
        start_s, end_s = (_seconds(times.groups()[i : i + 4]) for i in (0, 4))
        spoken, speaker = spoken_text("\n".join(text), kind)
        yield Cue(number + 1, start_s, end_s, spoken, speaker)


def _seconds(parts: tuple[str | None, ...]) -> float:
    hours, minutes, seconds, thousandths = (int(part or 0) for part in parts)
    # Thousandths are summed first: whole numbers, so no rounding but the last.
    return (((hours * 60 + minutes) * 60 + seconds) * 1000 + thousandths) / 1000


def _srt_blocks(lines: list[str]) -> Iterator[Block]:
    """Yield line number (from 0) of each cue's times, and its text without the next number."""
    starts = [n for n, line in enumerate(lines) if _SRT_START.match(line)]
    # Where cues are counted, the line before the times is the number and no text (1984).
    numbers = [_number_before(lines, start) for start in starts]
    follow = [
        number is not None and abs(number - index) <= 1
        for index, number in enumerate(numbers[1:], start=2)
    ]
    counted = bool(starts) and (numbers[0] is not None or 2 * sum(follow) > len(follow))
    for start, after in pairwise([*starts, len(lines)]):
        text = lines[start + 1 : after]
        number = _number_before(lines, after) if counted and after < len(lines) else None
        if number is not None:
            _pop_blank(text)
            while text and _number(text[-1]) == number:  # some files have it twice
                text.pop()
        if counted:
            _pop_counters(text)
        yield start, text


def _pop_blank(text: list[str]) -> None:
    while text and not text[-1].strip():
        text.pop()


def _pop_counters(text: list[str]) -> None:
    """Remove numbers that stand alone behind a text, between empty lines or at the end."""
    _pop_blank(text)
    while (
        len(text) > 2
        and _number(text[-1]) is not None
        and not text[-2].strip()
        and any(line.strip() for line in text[:-2])
    ):
        text.pop()
        _pop_blank(text)


def _number_before(lines: list[str], start: int) -> int | None:
    """Return the number in the last line before `start` that is not empty, None for other text."""
    before = start - 1
    while before >= 0 and not lines[before].strip():
        before -= 1
    return _number(lines[before]) if before >= 0 else None


def _number(line: str) -> int | None:
    found = _COUNTER.fullmatch(re.sub(f"[{_MARKS}]", "", line).strip())
    return int(found[1]) if found else None


def _vtt_blocks(lines: list[str]) -> Iterator[Block]:
    """Yield the same; comments, styles and regions are skipped."""
    if not re.match(r"WEBVTT(?:[ \t]|$)", lines[0]):
        raise UserError("its first line is not WEBVTT")
    number = next((n for n, line in enumerate(lines) if not line or _ARROW in line), len(lines))
    while number < len(lines):
        if not lines[number]:
            number += 1
            continue
        # An arrow is in the first line of a cue, or after its name in the second.
        is_cue = _ARROW in lines[number]
        if not is_cue and number + 1 < len(lines) and _ARROW in lines[number + 1]:
            is_cue = True
            number += 1
        end = number + 1
        while end < len(lines) and lines[end] and _ARROW not in lines[end]:
            end += 1
        if is_cue:
            yield number, lines[number + 1 : end]
        number = end


def spoken_text(text: str, kind: Kind) -> tuple[str, str | None]:
    """Return what is said in a cue's text, and by whom.

    Off go tags, entities, marks of turns (a dash, >>), notes in square brackets, notes in round
    ones at either end of a line, and all of a cue with a note of music: that is sung.
    """
    voices = {" ".join(html.unescape(name).split()) for name in _VOICE.findall(text)} - {""}
    text = _RUBY_TEXT.sub("", text)
    text = _BREAK.sub("\n", _OVERRIDE.sub("", text)).replace("\\N", "\n").replace("\\h", " ")
    text = html.unescape(_TAG[kind].sub("", text))
    speaker = voices.pop() if len(voices) == 1 else None
    if _MUSIC.search(text):
        return "", speaker
    lines = []
    for line in text.split("\n"):
        said = _SQUARE.sub(" ", line).strip()
        while (shorter := _ROUND.sub("", _TURN.sub("", said)).strip()) != said:
            said = shorter
        lines.append(said)
    said = " ".join(" ".join(lines).split())
    return (said if any(character.isalnum() for character in said) else ""), speaker
