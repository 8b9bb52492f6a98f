"""Cues that can be read: two lines of 42 columns, one to seven seconds, nothing lost."""

from __future__ import annotations

import unicodedata
from itertools import pairwise

import numpy as np
import pytest

from soritune.decoding.records import Segment, Word
from soritune.decoding.subtitles import Cue, cues

LETTERS = {
    "english": "etaoinshrdlu",
    "korean": "가나다라마바사아자차카타파하",
    "japanese": "あいうえおかきくけこ漢字",
}


def width(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in line)


def made_segments(kind: str, seed: int, *, timed: bool) -> list[Segment]:
    """Speech of every kind: from one word to half a minute, spoken fast or slowly, with pauses."""
    random = np.random.default_rng(seed)
    found, now_s = [], 0.0
    for _ in range(int(random.integers(1, 12))):
        start_s = now_s = now_s + float(random.choice([0.0, 0.05, 0.5, 3.0]))
        words = []
        for _ in range(int(random.integers(1, 50))):
            length = int(random.choice([1, 3, 6, 12, 60], p=[0.2, 0.4, 0.3, 0.08, 0.02]))
            text = "".join(random.choice(list(LETTERS[kind]), length))
            text += str(random.choice(["", "", "", ".", ","]))
            end_s = now_s + float(random.uniform(0.03, 0.12)) * length
            words.append(Word(text, now_s, end_s))
            now_s = end_s + float(random.choice([0.0, 0.0, 0.3, 1.0]))
        now_s = words[-1].end_s
        text = " ".join(word.text for word in words)
        found.append(Segment(start_s, now_s, text, -0.1, 0.1, words=tuple(words) if timed else ()))
    return found


def letters(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize("kind", sorted(LETTERS))
def test_cues_keep_their_limits_and_all_that_is_said(kind: str, timed: bool) -> None:
    for seed in range(12):
        segments = made_segments(kind, seed, timed=timed)
        found = cues(segments)
        for cue in found:
            assert 1 <= len(cue.lines) <= 2
            assert max(map(width, cue.lines)) <= 42
            assert 1.0 - 1e-6 <= cue.end_s - cue.start_s <= 7.0 + 1e-6
        for before, after in pairwise(found):
            assert before.end_s <= after.start_s + 1e-6
        said = letters("".join(segment.text for segment in segments))
        assert letters("".join(line for cue in found for line in cue.lines)) == said


def test_korean_takes_two_columns() -> None:
    text = "가" * 21
    (one,) = cues([Segment(0, 3, text, None, 0)])
    assert one == Cue(0, 3, (text,))
    two = cues([Segment(0, 3, f"{text} {text}", None, 0)])
    assert [cue.lines for cue in two] == [(text, text)]


def test_cues_stand_at_the_times_of_words() -> None:
    words = (Word("one", 0.5, 1.0), Word("two.", 1.2, 2.0), Word("three", 9.0, 10.5))
    found = cues([Segment(0, 12, "one two. three", None, 0, words=words)])
    assert found == [Cue(0.5, 2.0, ("one two.",)), Cue(9.0, 10.5, ("three",))]
