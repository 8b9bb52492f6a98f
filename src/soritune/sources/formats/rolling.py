"""Captions that roll: each line is shown two or three times while it moves up.

YouTube writes them of what it recognises, and so do programs that convert television's captions:
a cue repeats the last lines of the one before it and adds a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

Block = tuple[int, list[str]]
"""The number of the line with a cue's times, and the lines of its text."""


def unroll(blocks: Sequence[Block], plain: Callable[[str], str]) -> list[Block]:
    """Return the cues with each line once, where it is new; all of them where nothing rolls.

    Args:
        blocks: cues in the order of the file.
        plain: the text of a line without tags.
    """
    shown = [[line for line in text if plain(line)] for _, text in blocks]
    spoken = [[plain(line) for line in text] for text in shown]
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


def _repeated(before: Sequence[str], lines: Sequence[str]) -> int:
    """Return how many of the first lines are the last ones of the cue before."""
    counts = range(min(len(before), len(lines)), 0, -1)
    return next((count for count in counts if before[-count:] == lines[:count]), 0)
