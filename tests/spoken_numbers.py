"""Recordings of which every word is known: a "word" is a level, and an engine that reads levels.

Voice activity is the level as well, so cutting and joining can be checked to the word, for hours of
sound in a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from soritune.decoding.engine import Decoded, Piece
from soritune.models.family import ClipLimits
from soritune.tasks import Answer, Request

RATE_HZ = 16_000
WORD_S = 0.4
LEVELS = 400
"""Words that differ."""


def word(number: int) -> str:
    """Return the word of a number: three syllables that are as unlike as those of a language."""
    generator = np.random.default_rng(number % LEVELS)
    return "".join(
        "bcdfghjklmnprstvz"[generator.integers(17)] + "aeiou"[generator.integers(5)]
        for _ in range(3)
    )


def spoken(numbers: Iterable[int], pause_s: float = 0.0) -> npt.NDArray[np.float32]:
    """Return words with a pause after each."""
    parts: list[npt.NDArray[np.float32]] = []
    for number in numbers:
        level = 0.1 + 0.8 * (number % LEVELS) / LEVELS
        parts.append(np.full(round(WORD_S * RATE_HZ), level, np.float32))
        parts.append(np.zeros(round(pause_s * RATE_HZ), np.float32))
    return np.concatenate(parts)


class LevelDetector:
    """In place of `VoiceDetector`: whatever is not silent is speech."""

    def __init__(self) -> None:
        self._rest = np.zeros(0, np.float32)

    def feed(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        waiting = np.concatenate([self._rest, samples])
        frames = len(waiting) // 512
        self._rest = waiting[frames * 512 :]
        heard = np.abs(waiting[: frames * 512].reshape(frames, 512)).mean(axis=1)
        return (heard > 0.05).astype(np.float32)

    def finish(self) -> npt.NDArray[np.float32]:
        return self.feed(np.zeros(-len(self._rest) % 512, np.float32))


class LevelEngine:
    """Reads words; of one that is cut, it reads only the beginning: "bacodi" becomes "ba"."""

    def __init__(
        self,
        logprob: float = -0.1,
        loops_above_s: float = 30.0,
        longest_trained_s: float | None = None,
    ) -> None:
        self.clip_limits = ClipLimits(400, 30.0, longest_trained_s=longest_trained_s)
        self.logprob = logprob
        self.loops_above_s = loops_above_s  # of longer pieces the first word is repeated
        self.pieces: list[Piece] = []

    def check(self, request: Request) -> None:
        pass

    def decode(self, pieces: Iterable[Piece]) -> Iterator[tuple[Piece, Decoded]]:
        for piece in pieces:
            self.pieces.append(piece)
            text = self.read(piece.samples)
            if piece.duration_s > self.loops_above_s:
                text = " ".join(text.split()[:1] * 60)
            yield piece, Decoded(text, Answer(text), self.logprob)

    def read(self, samples: npt.NDArray[np.float32]) -> str:
        numbers = np.round((samples - 0.1) / 0.8 * LEVELS).astype(int)
        changes = np.flatnonzero(np.diff(numbers)) + 1
        words = []
        for run in np.split(numbers, changes):
            if len(run) > 0.1 * RATE_HZ and run[0] >= 0:
                whole = len(run) > 0.95 * WORD_S * RATE_HZ
                words.append(word(int(run[0])) if whole else word(int(run[0]))[:2])
        return " ".join(words)
