"""From the cues of a long recording to utterances: joined, padded, apart from each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from soritune.sources.formats.rolling import BadCue, Cue

OVERLAP_S = 0.05
"""Less than two frames of film (1/24 s): a matter of rounding, not of two people talking."""
_CLOSING = "\"'”’»)]）］」』"
_SENTENCE_ENDS = (".", "?", "!", "。", "？", "！")
_GOES_ON = ("..", "…", "‥")


@dataclass(frozen=True)
class CutSettings:
    """All in seconds; see `SubtitlesSource`."""

    max_duration_s: float
    max_gap_s: float
    pad_s: float
    shift_s: float


@dataclass(frozen=True)
class Segment:
    """One utterance: `start_s` to `end_s` of the recording, without its padding.

    `before_s` and `after_s` is how far it may be padded: half of the way to the speech next to
    it, so no part of the recording stands in two segments.
    """

    line: int
    start_s: float
    end_s: float
    text: str
    speaker: str | None
    before_s: float
    after_s: float


@dataclass(frozen=True)
class UnusableCue:
    """A cue that cannot be used; `reason` and `detail` are those of its `Rejected`."""

    line: int
    reason: str
    detail: str


def cut(cues: Sequence[Cue | BadCue], settings: CutSettings) -> list[Segment | UnusableCue]:
    """Return segments and cues that are left out, in the order of time (of the file where none is
    known).

    Cues that follow each other within `max_gap_s` are joined while the sentence continues, its
    speaker stays the same and the whole lasts no longer than `max_duration_s`.
    """
    left = [
        UnusableCue(cue.line, "bad-time", cue.detail) for cue in cues if isinstance(cue, BadCue)
    ]
    timed = []
    for cue in cues:
        if isinstance(cue, Cue):
            shifted = replace(
                cue,
                start_s=round(cue.start_s + settings.shift_s, 6),
                end_s=round(cue.end_s + settings.shift_s, 6),
            )
            problem = _problem(shifted)
            if problem:
                left.append(UnusableCue(cue.line, "bad-time", problem))
            else:
                timed.append(shifted)
    timed.sort(key=lambda cue: (cue.start_s, cue.end_s, cue.line))
    speech = [cue for cue in timed if cue.text]
    overlapping = _overlapping(speech)
    room = dict(zip((cue.line for cue in speech), _rooms(speech), strict=True))
    outcome: list[Segment | UnusableCue] = list(left)
    joined: list[Cue] = []

    def finish() -> None:
        if joined:
            outcome.append(_segment(joined, room[joined[0].line][0], room[joined[-1].line][1]))
            joined.clear()

    for cue in timed:
        if not cue.text:
            finish()  # across a sound nothing is joined
            outcome.append(
                UnusableCue(cue.line, "no-speech", "a sound, music or nothing, no words")
            )
        elif cue.line in overlapping:
            finish()
            other = overlapping[cue.line]
            detail = f"is shown together with the cue in line {other}: who says what is not known"
            outcome.append(UnusableCue(cue.line, "overlap", detail))
        else:
            if joined and not _belongs(cue, joined, settings):
                finish()
            joined.append(cue)
    finish()
    return outcome


def sentence_goes_on(text: str) -> bool:
    """Return whether a sentence is not over where `text` ends; "..." is a pause, not an end."""
    bare = text.rstrip().rstrip(_CLOSING)
    return bare.endswith(_GOES_ON) or not bare.endswith(_SENTENCE_ENDS)


def _problem(cue: Cue) -> str:
    span = f"from {cue.start_s:.3f} s to {cue.end_s:.3f} s"
    if cue.end_s <= cue.start_s:
        return f"ends before it starts, {span}"
    return f"starts before the recording, {span}" if cue.start_s < 0 else ""


def _overlapping(speech: Sequence[Cue]) -> dict[int, int]:
    """Return lines of cues that are spoken at the time of another, with the line of one such."""
    found: dict[int, int] = {}
    latest: Cue | None = None
    for cue in speech:
        if latest is not None and cue.start_s < latest.end_s - OVERLAP_S:
            found.setdefault(latest.line, cue.line)
            found[cue.line] = latest.line
        if latest is None or cue.end_s > latest.end_s:
            latest = cue
    return found


def _rooms(speech: Sequence[Cue]) -> list[tuple[float, float]]:
    """Return seconds without speech that belong to each cue, before and after it.

    Below 0 where two overlap by a rounding: then they are also cut half of the way.
    """
    rooms: list[tuple[float, float]] = []
    end_s = -math.inf
    for cue, after in zip_longest(speech, speech[1:]):
        before_s = cue.start_s if end_s == -math.inf else (cue.start_s - end_s) / 2
        end_s = max(end_s, cue.end_s)
        after_s = math.inf if after is None else (after.start_s - end_s) / 2
        rooms.append((before_s, after_s))
    return rooms


def _belongs(cue: Cue, joined: Sequence[Cue], settings: CutSettings) -> bool:
    last = joined[-1]
    return (
        cue.speaker == last.speaker
        and cue.start_s - last.end_s < settings.max_gap_s
        and cue.end_s - joined[0].start_s + 2 * settings.pad_s <= settings.max_duration_s
        and sentence_goes_on(last.text)
    )


def _segment(joined: Sequence[Cue], before_s: float, after_s: float) -> Segment:
    return Segment(
        line=joined[0].line,
        start_s=joined[0].start_s,
        end_s=joined[-1].end_s,
        text=" ".join(cue.text for cue in joined),
        speaker=joined[0].speaker,
        before_s=before_s,
        after_s=after_s,
    )
