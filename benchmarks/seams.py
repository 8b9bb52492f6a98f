"""Words lost or doubled where windows meet, and what lost them: joining, cutting or the model.

    python benchmarks/seams.py MODEL --language ko [--window SECONDS]

Sentences of the demo's voices are joined with pauses and with none. A word counts as written where
half of its letters or more stand at its place. Of words that the model writes for their sentence
alone, with 0.2 s around it, those that the joined text lacks are

- dropped by joining: a window's own text has the word;
- of sentences that are cut: no window has heard the whole sentence, and none wrote the word;
- of whole sentences: one has heard it whole, beside others, and the model did not write the word.

Doubled are words that the texts of two windows keep.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from listening import RATE_HZ, Clip, Samples, clips, gaps, joined
from rapidfuzz.distance import Levenshtein

import soritune
from soritune.audio.stream import Sound
from soritune.decoding.cutting import PAD_S
from soritune.decoding.engine import Decoded, LocalEngine, Piece
from soritune.decoding.listening import Listening, listen
from soritune.decoding.records import Transcript
from soritune.models.family import ClipLimits
from soritune.tasks import Request, Task

SLACK_S = 0.05
"""By which a window may miss the ends of a sentence, which are soft."""


@dataclass(frozen=True)
class Word:
    """A word that is said.

    Attributes:
        middle_s: of the word, in the recording.
        sentence: from where to where it lasts.
    """

    text: str
    middle_s: float
    sentence: tuple[float, float]


@dataclass
class Overhearing:
    """An engine that keeps what it is asked and what it writes."""

    engine: LocalEngine
    heard: list[tuple[Samples, str]] = field(default_factory=list)

    @property
    def clip_limits(self) -> ClipLimits:
        return self.engine.clip_limits

    def check(self, request: Request) -> None:
        self.engine.check(request)

    def decode(self, pieces: Iterable[Piece]) -> Iterator[tuple[Piece, Decoded]]:
        for piece, decoded in self.engine.decode(pieces):
            self.heard.append((piece.samples, decoded.answer.transcript or ""))
            yield piece, decoded


def words_of(parts: Sequence[Clip], between: Sequence[Samples]) -> list[Word]:
    """Return the words of a joined recording."""
    words, begin_s = [], 0.0
    for part, gap in zip(parts, between, strict=True):
        end_s = begin_s + len(part.samples) / RATE_HZ
        edges = [*(begin_s + start_s for start_s in part.starts_s), end_s]
        for text, (first_s, last_s) in zip(part.text.split(), pairwise(edges), strict=True):
            words.append(Word(text, (first_s + last_s) / 2, (begin_s, end_s)))
        begin_s = end_s + len(gap) / RATE_HZ
    return words


def written(words: Sequence[str], text: str) -> npt.NDArray[np.bool_]:
    """Return which words a text has, by the letters that are aligned."""
    owners = [number for number, word in enumerate(words) for _ in _letters(word)]
    said = [letter for word in words for letter in _letters(word)]
    found = np.zeros(len(words))
    for block in Levenshtein.opcodes(said, _letters(text)).as_matching_blocks():
        np.add.at(found, owners[block.a : block.a + block.size], 1)
    return found >= 0.5 * np.bincount(owners, minlength=len(words))


def _letters(text: str) -> list[str]:
    return [letter for letter in text.casefold() if letter.isalnum()]


def row(engine: LocalEngine, parts: Sequence[Clip], kind: str, asked: Listening) -> str:
    """Return the figures of sentences that are joined in one way."""
    request = asked.request
    padded = [np.pad(part.samples, round(PAD_S * RATE_HZ)) for part in parts]
    alone = _alone(engine, parts, padded, request)
    at_ends = _alone(engine, parts, [part.samples for part in parts], request)
    between = gaps(kind, len(parts))
    sound, words = joined(parts, between).samples, words_of(parts, between)
    overhearing = Overhearing(engine)
    (found,) = listen(overhearing, [Sound(sound, RATE_HZ, kind)], asked)
    assert isinstance(found, Transcript)

    spans: list[tuple[float, float, str]] = []
    for samples, text in overhearing.heard:
        start_s = sound.tobytes().index(samples.tobytes()) / 4 / RATE_HZ
        end_s = start_s + len(samples) / RATE_HZ
        # What is heard again in halves counts by its halves.
        spans = [span for span in spans if not (span[0] <= start_s and end_s <= span[1])]
        spans.append((start_s, end_s, text))
    by_windows, kept, whole = np.zeros((3, len(words)), int)
    for start_s, end_s, text in spans:
        _add(by_windows, words, start_s, end_s, text)
        for number, word in enumerate(words):
            first_s, last_s = word.sentence
            whole[number] |= start_s - SLACK_S <= first_s and last_s <= end_s + SLACK_S
    for segment in found.segments:
        shared = [min(segment.end_s, s[1]) - max(segment.start_s, s[0]) for s in spans]
        start_s, end_s, _ = spans[int(np.argmax(shared))]
        _add(kept, words, start_s, end_s, segment.text)

    lost = alone & (kept == 0)
    dropped, cut = lost & (by_windows > 0), lost & (by_windows == 0) & (whole == 0)
    counts = [
        len(words),
        len(spans),
        int(alone.sum()),
        *([] if kind != "none" else [int(at_ends.sum())]),
        int((kept > 0).sum()),
        int(dropped.sum()),
        int((kept > 1).sum()),
        int(cut.sum()),
        int((lost & ~dropped & ~cut).sum()),
    ]
    if kind != "none":
        counts.insert(3, counts[2])  # windows that end with sentences have the pauses around them
    return " | ".join([kind, f"{len(sound) / RATE_HZ:.0f}", *map(str, counts)])


def _alone(
    engine: LocalEngine, parts: Sequence[Clip], sounds: Sequence[Samples], request: Request
) -> npt.NDArray[np.bool_]:
    pieces = [Piece((0, number), sound, request) for number, sound in enumerate(sounds)]
    texts = {piece.key[1]: decoded.answer.transcript for piece, decoded in engine.decode(pieces)}
    found = [written(part.text.split(), texts[n] or "") for n, part in enumerate(parts)]
    return np.concatenate(found)


def _add(
    counts: npt.NDArray[np.int_], words: Sequence[Word], start_s: float, end_s: float, text: str
) -> None:
    inside = [n for n, word in enumerate(words) if start_s <= word.middle_s <= end_s]
    counts[inside] += written([words[number].text for number in inside], text)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--language", default="en", help="en or ko")
    parser.add_argument("--window", type=float, help="the longest, in seconds")
    arguments = parser.parse_args()
    engine = LocalEngine(soritune.load(arguments.model, device="cpu").model)
    parts = list(clips(arguments.clips, arguments.language))
    asked = Listening(
        Request(Task.ASR, arguments.language), keep_unsure=True, window_s=arguments.window
    )
    print(
        "| between | s | words | windows | alone | cut at sentence ends | joined | dropped by "
        "joining | doubled | of cut sentences | of whole sentences |\n" + "|---" * 11 + "|"
    )
    for kind in ("pauses", "none"):
        print(f"| {row(engine, parts, kind, asked)} |", flush=True)


if __name__ == "__main__":
    main()
