"""Captions that are shown several times: they roll, grow or slide.

Captions roll where each line is shown two or three times while it moves up: YouTube writes them of
what it recognises, and so do programs that convert television's captions. A cue repeats the last
lines of the one before it and adds a new one. Live captions grow: a cue repeats the one before it
and adds a word or a letter to it. They slide where one line loses words at its beginning as it gets
new ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

MAX_GAP_S = 0.5
"""Between two cues of which one grows out of the other."""
MIN_GROWING = 3
"""Two people may say the same."""
Block = tuple[int, list[str]]
"""The number of the line with a cue's times, and the lines of its text."""


@dataclass(frozen=True)
class Cue:
    """What is shown from `start_s` to `end_s` (seconds, as written).

    `line` is that of its times, from 1. `text` is what is spoken, in one line; "" where it is
    only a sound or music. `speaker` is its voice, None where it has none or several.
    """

    line: int
    start_s: float
    end_s: float
    text: str
    speaker: str | None = None


@dataclass(frozen=True)
class BadCue:
    """Times that cannot be read; `detail` is what was found."""

    line: int
    detail: str


def merge_growing(cues: Sequence[Cue | BadCue]) -> list[Cue | BadCue]:
    """Return one cue for those that grow out of each other or repeat each other.

    It has their time and the last text. All cues are returned where fewer than half of them grow.
    """
    grows = [_grows(before, cue) for before, cue in pairwise(cues)]
    if sum(grows) < MIN_GROWING or 2 * sum(grows) < len(grows):
        return list(cues)
    found: list[Cue | BadCue] = list(cues[:1])
    for cue, does in zip(cues[1:], grows, strict=True):
        before = found[-1]
        if does and isinstance(cue, Cue) and isinstance(before, Cue):
            found[-1] = replace(cue, line=before.line, start_s=before.start_s)
        else:
            found.append(cue)
    return found


def _grows(before: Cue | BadCue, cue: Cue | BadCue) -> bool:
    if not (isinstance(before, Cue) and isinstance(cue, Cue) and before.text):
        return False
    same = cue.text.startswith(before.text) and cue.speaker == before.speaker
    return same and before.start_s <= cue.start_s <= before.end_s + MAX_GAP_S


def unslide(cues: Sequence[Cue | BadCue]) -> list[Cue | BadCue]:
    """Return the cues without the words that each shares with the one before it.

    All cues are returned where fewer than half of them begin as the one before ends.
    """
    shared = [0, *(_shared_words(before, cue) for before, cue in pairwise(cues))]
    slides = sum(map(bool, shared))
    if slides < MIN_GROWING or 2 * slides < len(cues) - 1:
        return list(cues)
    return [
        replace(cue, text=" ".join(cue.text.split()[count:]))
        if count and isinstance(cue, Cue)
        else cue
        for cue, count in zip(cues, shared, strict=False)
    ]


def _shared_words(before: Cue | BadCue, cue: Cue | BadCue) -> int:
    if not (isinstance(before, Cue) and isinstance(cue, Cue)):
        return 0
    if not before.start_s <= cue.start_s <= before.end_s + MAX_GAP_S:
        return 0
    count = _repeated(*([*map(_letters, each.text.split())] for each in (before, cue)))
    return 0 if count == len(cue.text.split()) else count  # all of it: said twice


def unroll(blocks: Sequence[Block], plain: Callable[[str], str]) -> list[Block]:
    """Return the cues with each line once, where it is new; all of them where nothing rolls.

    Args:
        blocks: cues in the order of the file.
        plain: the text of a line without tags.
    """
    shown = [[line for line in text if plain(line)] for _, text in blocks]
    spoken = [[_letters(plain(line)) for line in text] for text in shown]
    repeated = [0, *map(_repeated, spoken, spoken[1:])][: len(blocks)]
    adds = [0 < count < len(lines) for count, lines in zip(repeated, spoken, strict=True)]
    # Two people may say the same ("네." "네."), but not in half of all cues.
    if not any(adds) or 2 * sum(map(bool, repeated)) < len(blocks) - 1:
        return list(blocks)
    return [
        (number, lines[count:])
        for (number, _), lines, count in zip(blocks, shown, repeated, strict=True)
        if not lines or count < len(lines)
    ]


def _letters(text: str) -> str:
    """Return what of a line must be the same: captions get their full stops later."""
    return "".join(filter(str.isalnum, text.casefold()))


def _repeated(before: Sequence[str], lines: Sequence[str]) -> int:
    """Return how many of the first lines are the last ones of the cue before."""
    counts = range(min(len(before), len(lines)), 0, -1)
    return next((count for count in counts if before[-count:] == lines[:count]), 0)
