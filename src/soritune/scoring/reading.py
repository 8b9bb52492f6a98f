"""Edits between two texts of which either may be read in several ways.

Each text is a graph of its readings; the distance is that of the two nearest paths, found by the
recurrence of Levenshtein over the nodes of both graphs. So no choice of a reading depends on the
order in which numbers stand, as it would if one after another were chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from soritune.errors import UserError
from soritune.languages import find_language
from soritune.languages.language import Language
from soritune.scoring.bootstrap import Floats

# Above this many pairs of nodes, seconds go by: such a text is a book, not an utterance.
_MAX_CELLS = 20_000_000
Segments = tuple[tuple[str, ...], ...]


def reading_counts(
    references: Sequence[str], hypotheses: Sequence[str], language: str | None
) -> tuple[Floats, Floats]:
    """Return the edits of each pair, and the length of each reference in its usual reading.

    The length does not depend on the hypothesis, so the rates of two systems have one denominator.
    Raises UserError where the language has no readings.
    """
    from soritune.scoring.error_rates import distances

    readings = _readings_of(language)
    said = [readings(text) for text in references]
    written = [readings(text) for text in hypotheses]
    usual = [["".join(segment[0] for segment in text) for text in side] for side in (said, written)]
    edits = distances(usual[0], usual[1])
    for place, (one, other) in enumerate(zip(said, written, strict=True)):
        open_ = any(len(segment) > 1 for segment in (*one, *other))
        if edits[place] and open_:
            edits[place] = min(edits[place], graph_distance(one, other))
    return edits, np.array([len(text) for text in usual[0]], dtype=np.float64)


def reading_signature(language: str | None) -> str:
    """Return which readings count as equal, for a signature."""
    found = find_language(language or "")
    return f"readings:{found.code}-{found.readings_version}"


def graph_distance(one: Segments, other: Segments) -> float:
    """Return the smallest Levenshtein distance between a reading of each text.

    Infinite where the graphs are too large to compare.
    """
    letters, before, ends = _graph(one)
    other_letters, other_before, other_ends = _graph(other)
    if len(letters) * len(other_letters) > _MAX_CELLS:
        return float("inf")
    first = [0] * len(other_letters)
    for column in range(1, len(other_letters)):
        first[column] = 1 + min(first[previous] for previous in other_before[column])
    rows = [first]
    for row in range(1, len(letters)):
        above = [rows[previous] for previous in before[row]]
        nearest = above[0] if len(above) == 1 else list(map(min, *above))
        letter = letters[row]
        cells = [nearest[0] + 1]
        for column in range(1, len(other_letters)):
            previous = other_before[column]
            cost = letter != other_letters[column]
            if len(previous) == 1:
                at = previous[0]
                best = min(nearest[at] + cost, cells[at] + 1, nearest[column] + 1)
            else:
                best = min(
                    min(nearest[at] for at in previous) + cost,
                    min(cells[at] for at in previous) + 1,
                    nearest[column] + 1,
                )
            cells.append(best)
        rows.append(cells)
    return float(min(rows[end][other_end] for end in ends for other_end in other_ends))


def _graph(segments: Segments) -> tuple[list[str], list[list[int]], list[int]]:
    """Return letters, what stands before each, and the last ones; node 0 is the start."""
    letters, before, ends = [""], [[0]], [0]
    for alternatives in segments:
        last = []
        for text in alternatives:
            previous = ends
            for letter in text:
                letters.append(letter)
                before.append(previous)
                previous = [len(letters) - 1]
            last += previous
        ends = list(dict.fromkeys(last))
    return letters, before, ends


def _readings_of(language: str | None) -> Callable[..., Segments]:
    found: Language | None = find_language(language) if language else None
    if found is None or found.readings is None:
        raise UserError(
            f'variant "reading": no readings are known for the language {language!r}; '
            "name another language or another variant"
        )
    return found.readings
