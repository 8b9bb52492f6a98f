"""Cuts a recording at its pauses into windows that a model can take, while it is being read.

A window ends where nobody speaks for `pause_s`, or, once it is as long as the model allows, at the
longest pause in its later part. Where the voice detector sees none, it ends between two words, at
the quietest moment of its last third; where no moment is quiet, it ends in the middle of speech and
the next one begins `OVERLAP_S` before: their texts are joined (`joining.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from soritune.audio import SAMPLE_RATE_HZ, Samples
from soritune.audio.voice import FRAME_S, FRAME_SAMPLES, VoiceDetector
from soritune.models.family import ClipLimits

# As in silero-vad's get_speech_timestamps: speech begins above the first, ends below the second.
SPEECH_ON, SPEECH_OFF = 0.5, 0.35
SHORTEST_PAUSE_S = 0.1
SHORTEST_SPEECH_S = 0.1
"""A cough is longer; what is shorter is a click."""
PAD_S = 0.2
"""Kept around speech: soft beginnings and ends are below the threshold."""
LONG_SILENCE_S = 0.7
"""Before or behind the speech of a short recording, from which on it is left out but for the pad:
models that are trained on utterances write nonsense for it."""
UNBROKEN_SHARE = 1.25
"""A sentence that is a little longer than all of the training is worse off cut in the middle."""
OVERLAP_S = 4.0
SHORTEST_WINDOW_S = 2.0
EARLIEST_CUT = 1 / 3
"""Share of a window before which it is not cut."""
QUIET_FRAMES = 4
"""An eighth of a second: the closure of a consonant is mostly shorter."""
QUIET_SHARE = 1 / 16
"""Share of a window's mean power below which a moment is between words. In real read speech without
pauses it is below 1/2,500 at the quietest, beside noise it is that of the noise."""
SMOOTHED_FRAMES = 8
"""A quarter of a second: the shortest words are as long."""

_ON = round(SHORTEST_PAUSE_S / FRAME_S)
_PAD = round(PAD_S / FRAME_S)
_LONG_SILENCE = round(LONG_SILENCE_S / FRAME_S)

Span = tuple[float, float]


@dataclass(frozen=True)
class Window:
    """A part of a recording that the model hears at once.

    Attributes:
        start_s, end_s: in the recording.
        samples: 16 kHz mono, within [-1, 1].
        speech: spans in which somebody speaks, in seconds of the recording.
        speech_prob: highest probability of speech over a quarter of a second.
        overlap_s: how much of it the window before has heard as well.
    """

    start_s: float
    end_s: float
    samples: Samples
    speech: tuple[Span, ...]
    speech_prob: float
    overlap_s: float = 0.0

    @property
    def duration_s(self) -> float:
        """How long it is."""
        return self.end_s - self.start_s

    @property
    def speech_s(self) -> float:
        """For how long somebody speaks."""
        return sum(end_s - start_s for start_s, end_s in self.speech)


def longest_window_s(limits: ClipLimits, asked_s: float | None = None) -> float:
    """Return how long a window of a recording may be.

    A model that was trained on short clips alone writes one of them for a long window and leaves
    the rest out, so its windows are as long as those, with the silence that is kept around speech.
    Where a short window costs as much as a long one, they stay as long as the family allows.

    Args:
        asked_s: at most this, and as long as the engine can whatever was trained on.
    """
    if asked_s is None:
        trained_s = None if limits.fixed_cost else limits.longest_trained_s
        asked_s = limits.max_duration_s if trained_s is None else trained_s + 2 * PAD_S
    return min(limits.max_duration_s, max(asked_s, SHORTEST_WINDOW_S))


def longest_unbroken_s(limits: ClipLimits, asked_s: float | None = None) -> float:
    """Return how long a recording without a pause may be that is still heard in one window."""
    longest_s = longest_window_s(limits, asked_s)
    if asked_s is not None:
        return longest_s
    return min(limits.max_duration_s, UNBROKEN_SHARE * longest_s)


def windows(
    sound: Samples | Iterable[Samples], *, longest_s: float, pause_s: float
) -> Iterator[Window]:
    """Yield the windows of a recording: one for an array, cut ones for blocks.

    An array that is longer than a window is cut as well, if there is a pause in it.

    Args:
        longest_s: of a window.
        pause_s: a pause that always ends a window.
    """
    if isinstance(sound, np.ndarray):
        window = whole(sound)
        pauses = (after[0] - before[1] for before, after in pairwise(window.speech))
        if window.duration_s <= longest_s or max(pauses, default=0.0) < pause_s:
            yield window
            return
        sound = [sound]
    cutter = Cutter(longest_s=longest_s, pause_s=pause_s)
    for block in sound:
        yield from cutter.feed(block)
    yield from cutter.finish()


def whole(samples: Samples) -> Window:
    """Return a recording that the model can take in one piece as its only window.

    Long silence before and behind speech is left out.
    """
    detector = VoiceDetector()
    probabilities = np.concatenate([detector.feed(samples), detector.finish()])
    track = _Track()
    track.extend(probabilities)
    regions = track.regions(close=True)
    first, last = 0, len(probabilities)
    if regions:
        begins, ends = regions[0][0], regions[-1][1]
        first = begins - _PAD if begins > _LONG_SILENCE else first
        last = ends + _PAD if last - ends > _LONG_SILENCE else last
    kept = samples[first * FRAME_SAMPLES : last * FRAME_SAMPLES]
    start_s = first * FRAME_S
    end_s = start_s + len(kept) / SAMPLE_RATE_HZ
    return Window(
        start_s,
        end_s,
        _within_scale(kept),
        tuple((begins * FRAME_S, min(ends * FRAME_S, end_s)) for begins, ends in regions),
        _highest(probabilities),
    )


def halves(window: Window, samples: Samples) -> list[Window]:
    """Return a window in two: cut in its middle third, in the longest pause if there is one, else
    at the quietest moment; where none is quiet, both hear what is in the middle.

    Args:
        window: whose `samples` may be missing.
        samples: of the window.
    """
    third_s = window.duration_s / 3
    pauses = [
        (after[0] - before[1], (after[0] + before[1]) / 2 - window.start_s)
        for before, after in pairwise(window.speech)
    ]
    inside = [pause for pause in pauses if third_s <= pause[1] <= 2 * third_s]
    overlap = 0
    if inside:
        middle = round(max(inside)[1] / FRAME_S)
    else:
        frames = len(samples) // FRAME_SAMPLES
        quiet = _quietest(samples, frames // 3, frames - frames // 3)
        middle = frames // 2 if quiet is None else quiet
        overlap = round(min(OVERLAP_S, third_s) / 2 / FRAME_S) if quiet is None else 0
    parts = []
    for first, last, heard in (
        (0, middle + overlap, window.overlap_s),
        (middle - overlap, len(samples), (middle + overlap) * FRAME_S),
    ):
        part = whole(samples[first * FRAME_SAMPLES : last * FRAME_SAMPLES])
        begins_s = window.start_s + first * FRAME_S
        start_s = begins_s + part.start_s
        parts.append(
            replace(
                part,
                start_s=start_s,
                end_s=begins_s + part.end_s,
                speech=tuple((begins_s + a, begins_s + b) for a, b in part.speech),
                overlap_s=max(0.0, window.start_s + heard - start_s),
            )
        )
    return parts


class Cutter:
    """Takes the blocks of one recording and gives its windows as soon as they are decided.

    Positions are frames of `FRAME_S` from the beginning of the recording; what is before the window
    that is being filled is forgotten.
    """

    def __init__(self, *, longest_s: float, pause_s: float) -> None:
        self._longest = int(longest_s / FRAME_S)
        self._pause = round(pause_s / FRAME_S)
        self._overlap = round(min(OVERLAP_S, longest_s / 3) / FRAME_S)
        self._detector = VoiceDetector()
        self._track = _Track()
        self._samples = np.zeros(0, np.float32)
        self._probabilities = np.zeros(0, np.float32)
        self._kept = 0  # frame with which both of the above begin
        self._floor = 0  # the next window begins no earlier
        self._overlapped = 0  # frames that the next window shares with the one before

    def feed(self, samples: Samples) -> list[Window]:
        """Take the next samples, 16 kHz mono, and return the windows that they complete."""
        found: list[Window] = []
        # In small steps, so that a decision does not depend on the sizes of blocks.
        for start in range(0, len(samples), SAMPLE_RATE_HZ):
            step = samples[start : start + SAMPLE_RATE_HZ]
            self._samples = np.concatenate([self._samples, step])
            for probability in self._detector.feed(step):
                self._probabilities = np.append(self._probabilities, probability)
                self._track.add(float(probability))
                found += self._decided()
        return found

    def finish(self) -> list[Window]:
        """Return the last window, if there is one."""
        found: list[Window] = []
        for probability in self._detector.finish():
            self._probabilities = np.append(self._probabilities, probability)
            self._track.add(float(probability))
            found += self._decided()
        regions = self._track.regions(close=True)
        if regions:
            found.append(self._emit(regions, self._track.position))
        return found

    def _decided(self) -> list[Window]:
        """Return the window that the last frame completes, if it does."""
        now = self._track.position
        regions = self._track.regions()
        if not regions:
            # Nobody speaks: only what pads the next speech, or may become it, is kept.
            self._forget(now - _PAD - _ON - 1)
            return []
        last_end = regions[-1][1]
        if not self._track.speaking and now - last_end >= self._pause:
            return [self._emit(regions, now)]
        start = max(self._floor, regions[0][0] - _PAD)
        if now - start < self._longest:
            return []
        return [self._cut(regions, start, now)]

    def _cut(self, regions: list[tuple[int, int]], start: int, now: int) -> Window:
        """Return the longest window that there can be, ended at its best pause."""
        pauses = [
            (after[0] - before[1], number)
            for number, (before, after) in enumerate(pairwise(regions), start=1)
            if before[1] - start >= EARLIEST_CUT * self._longest
        ]
        if not self._track.speaking and now - regions[-1][1] >= _ON:
            pauses.append((now - regions[-1][1], len(regions)))
        if pauses:
            _, number = max(pauses)
            end = regions[number][0] if number < len(regions) else now
            return self._emit(regions[:number], end)
        quiet = self._quietest(start, now)
        window = self._emit(regions, quiet or now, spoken=True)
        if quiet is None:
            self._overlapped = self._overlap
        self._floor = quiet or now - self._overlap
        self._track.restart(self._floor)
        return window

    def _quietest(self, start: int, now: int) -> int | None:
        """Return the frame in the last third of a window at which one can cut between words."""
        first, frames = (start - self._kept) * FRAME_SAMPLES, now - start
        samples = self._samples[first : first + frames * FRAME_SAMPLES]
        quiet = _quietest(samples, frames - frames // 3, frames)
        return None if quiet is None else start + quiet

    def _emit(self, regions: list[tuple[int, int]], until: int, *, spoken: bool = False) -> Window:
        """Return the window of `regions`, padded towards `until`, where the next may begin."""
        first = max(self._floor, regions[0][0] - _PAD, self._kept)
        last_end = regions[-1][1]
        last = until if spoken else min(last_end + min(_PAD, (until - last_end + 1) // 2), until)
        last = min(last, first + self._longest)
        lead = (first - self._kept) * FRAME_SAMPLES
        samples = self._samples[lead : lead + (last - first) * FRAME_SAMPLES]
        window = Window(
            start_s=first * FRAME_S,
            end_s=last * FRAME_S,
            samples=_within_scale(samples),
            speech=tuple(
                (max(a, first) * FRAME_S, min(b, last) * FRAME_S) for a, b in regions if a < last
            ),
            speech_prob=_highest(self._probabilities[first - self._kept : last - self._kept]),
            overlap_s=self._overlapped * FRAME_S,
        )
        self._overlapped = 0
        self._floor = last
        self._track.drop(len(regions))
        self._forget(last - self._overlap)
        return window

    def _forget(self, before: int) -> None:
        count = max(0, min(before, self._track.position) - self._kept)
        if count * FRAME_S < 1:  # copying what is kept for each frame would take longer than all
            return
        self._samples = self._samples[count * FRAME_SAMPLES :].copy()
        self._probabilities = self._probabilities[count:].copy()
        self._kept += count


class _Track:
    """Turns probabilities into regions of speech, frame by frame, with hysteresis."""

    def __init__(self) -> None:
        self.position = 0
        self.speaking = False
        self._regions: list[tuple[int, int]] = []
        self._start = 0
        self._quiet_since: int | None = None

    def extend(self, probabilities: npt.NDArray[np.float32]) -> None:
        for probability in probabilities:
            self.add(float(probability))

    def add(self, probability: float) -> None:
        """Take the probability of the next frame."""
        frame = self.position
        self.position += 1
        if not self.speaking:
            if probability >= SPEECH_ON:
                self.speaking, self._start, self._quiet_since = True, frame, None
            return
        if probability >= SPEECH_OFF:
            self._quiet_since = None
            return
        if self._quiet_since is None:
            self._quiet_since = frame
        if self.position - self._quiet_since >= _ON:
            self._close(self._quiet_since)

    def _close(self, end: int) -> None:
        self.speaking = False
        if (end - self._start) * FRAME_S >= SHORTEST_SPEECH_S - FRAME_S / 2:
            self._regions.append((self._start, end))

    def regions(self, *, close: bool = False) -> list[tuple[int, int]]:
        """Return regions as frames, the one that is open up to now."""
        if close and self.speaking:
            self._close(self.position)
        if not self.speaking:
            return list(self._regions)
        return [*self._regions, (self._start, self.position)]

    def drop(self, count: int) -> None:
        """Forget the first regions; an open one that is among them ends."""
        if count > len(self._regions):
            self.speaking = False
        del self._regions[:count]

    def restart(self, frame: int) -> None:
        """Go on as if speech had begun at `frame`."""
        self.speaking, self._start, self._quiet_since = True, frame, None


def _quietest(samples: Samples, first: int, last: int) -> int | None:
    """Return the quietest frame between two at which one can cut between words, if there is one."""
    whole_frames = samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES]
    power = np.square(whole_frames.reshape(-1, FRAME_SAMPLES)).mean(axis=1)
    if last - first < QUIET_FRAMES:
        return None
    level = np.convolve(power[first:last], np.full(QUIET_FRAMES, 1 / QUIET_FRAMES), "valid")
    if level.min() > QUIET_SHARE * power.mean():
        return None
    return first + int(level.argmin()) + QUIET_FRAMES // 2


def _highest(probabilities: npt.NDArray[np.float32]) -> float:
    if not len(probabilities):
        return 0.0
    size = min(SMOOTHED_FRAMES, len(probabilities))
    return float(np.convolve(probabilities, np.full(size, 1 / size), "valid").max())


def _within_scale(samples: Samples) -> Samples:
    """Return samples whose peak is at most 1; they are scaled down, not clipped."""
    loudest = float(np.abs(samples).max()) if len(samples) else 0.0
    return samples / np.float32(loudest) if loudest > 1 else samples.copy()
