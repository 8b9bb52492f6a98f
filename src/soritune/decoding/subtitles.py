"""Segments as cues of subtitles: at most two lines of 42 columns, one to seven seconds.

Lines and seconds are those of the Netflix Timed Text Style Guide (general requirements: 42
characters, two lines, 7 seconds); Korean and other wide letters take two columns, so a line has 21
of them. Cues do not overlap.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from soritune.decoding.joining import one_text, unspaced
from soritune.decoding.records import Segment, Word

MAX_COLUMNS = 42
MAX_LINES = 2
MIN_S, MAX_S = 1.0, 7.0
PAUSE_S = 0.7
"""A pause between two words that ends a cue."""
SENTENCE_ENDS = (".", "?", "!", "。", "？", "！", "…")


@dataclass(frozen=True)
class Cue:
    """Lines that are shown from `start_s` to `end_s`."""

    start_s: float
    end_s: float
    lines: tuple[str, ...]


def cues(segments: Sequence[Segment]) -> list[Cue]:
    """Return the cues of segments; of a chain of thought, its translation is shown.

    Where segments have no word times, words are spread over the spoken spans by their columns.
    """
    found = [
        (words[0].start_s, words[-1].end_s, _text(words))
        for segment in segments
        for words in _groups(timed_words(segment))
    ]
    return _spaced(found)


def columns(text: str) -> int:
    """Return the columns of a text in a fixed-width font."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def timed_words(segment: Segment) -> list[Word]:
    """Return the words of a segment with their times, estimated where it has none."""
    shown = segment.text if segment.translation is None else segment.translation
    if segment.words and shown == segment.text:
        words = list(segment.words)
    else:
        words = _spread(shown.split(), segment.speech or ((segment.start_s, segment.end_s),))
    return [piece for word in words for piece in _pieces(word)]


def _spread(texts: Sequence[str], spans: Sequence[tuple[float, float]]) -> list[Word]:
    """Give each text the share of the spoken time that it has of all columns."""
    total_s = sum(end_s - start_s for start_s, end_s in spans)
    total = sum(columns(text) + 1 for text in texts)
    words, done = [], 0
    for text in texts:
        after = done + columns(text) + 1
        start_s, end_s = (
            _place(spans, total_s * share / total, at_end=share == after) for share in (done, after)
        )
        words.append(Word(text, start_s, end_s))
        done = after
    return words


def _place(spans: Sequence[tuple[float, float]], spoken_s: float, *, at_end: bool) -> float:
    """Return when `spoken_s` seconds have been spoken; at a pause, before or after it."""
    for start_s, end_s in spans:
        length_s = end_s - start_s
        if spoken_s < length_s - 1e-6 or (at_end and spoken_s < length_s + 1e-6):
            return start_s + min(spoken_s, length_s)
        spoken_s -= length_s
    return spans[-1][1]


def _pieces(word: Word) -> Iterator[Word]:
    """Cut a word that no line holds, and text without spaces, into parts of equal time."""
    bare = [place for place in range(1, len(word.text)) if unspaced(word.text[place])]
    if columns(word.text) <= MAX_COLUMNS and not bare:
        yield word
        return
    parts, part = [], ""
    for letter in word.text:
        full = columns(part + letter) > MAX_COLUMNS
        if part and (full or (unspaced(letter) and part[-1].isalnum())):
            parts.append(part)
            part = ""
        part += letter
    parts.append(part)
    step_s = (word.end_s - word.start_s) / len(parts)
    for number, text in enumerate(parts):
        start_s = word.start_s + number * step_s
        yield Word(text, start_s, start_s + step_s)


def _groups(words: Sequence[Word]) -> Iterator[list[Word]]:
    """Put words together for one cue each."""
    group: list[Word] = []
    for word in words:
        if group:
            length_s = group[-1].end_s - group[0].start_s
            sentence = group[-1].text.endswith(SENTENCE_ENDS) and length_s >= MIN_S
            pause = word.start_s - group[-1].end_s >= PAUSE_S and length_s >= MIN_S
            long = word.end_s - group[0].start_s > MAX_S
            if sentence or pause or long or wrapped(_text([*group, word])) is None:
                yield group
                group = []
        group.append(word)
    if group:
        yield group


def _text(words: Sequence[Word]) -> str:
    return one_text([word.text for word in words])


def wrapped(text: str) -> tuple[str, ...] | None:
    """Return a text as the most even lines that hold it, None where it does not fit."""
    if columns(text) <= MAX_COLUMNS:
        return (text,)
    best: tuple[int, tuple[str, str]] | None = None
    for place in range(1, len(text)):
        if text[place] != " " and not unspaced(text[place]):
            continue
        lines = text[:place], text[place:].lstrip()
        widths = [columns(line) for line in lines]
        if max(widths) <= MAX_COLUMNS and (best is None or max(widths) < best[0]):
            best = max(widths), lines
    return None if best is None else best[1]


def _spaced(texts: Sequence[tuple[float, float, str]]) -> list[Cue]:
    """Return cues that last long enough to be read, and none longer than allowed.

    A short cue takes of the pause that follows, then of the next cue's time.
    """
    joined = _joined(texts)
    starts_s = [*(start_s for start_s, _, _ in joined), math.inf][1:]
    found: list[Cue] = []
    free_s = 0.0
    for (spoken_s, until_s, text), next_s in zip(joined, starts_s, strict=True):
        start_s = max(spoken_s, free_s)
        free_s = min(max(until_s, start_s + MIN_S), start_s + MAX_S)
        if start_s + MIN_S <= next_s < free_s:
            free_s = next_s
        lines = wrapped(text)
        assert lines is not None  # groups are made to fit
        found.append(Cue(start_s, free_s, lines))
    return found


def _joined(texts: Sequence[tuple[float, float, str]]) -> list[tuple[float, float, str]]:
    """Put a short cue and the next one together where they fit into one."""
    found: list[tuple[float, float, str]] = []
    for start_s, end_s, text in texts:
        if found:
            before_s, until_s, before = found[-1]
            together = one_text([before, text])
            short = min(until_s - before_s, end_s - start_s) < MIN_S
            near = start_s - until_s < PAUSE_S and end_s - before_s <= MAX_S
            if short and near and wrapped(together) is not None:
                found[-1] = (before_s, end_s, together)
                continue
        found.append((start_s, end_s, text))
    return found
