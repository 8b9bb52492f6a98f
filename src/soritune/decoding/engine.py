"""Who answers: an engine takes pieces of sound with what is asked, and gives answers in any order.

The local engine makes batches within a budget of tokens, across recordings, and nothing more
clever: whoever needs more puts a server behind `openai:URL`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from soritune.audio import SAMPLE_RATE_HZ, Samples
from soritune.decoding.records import Token, Word
from soritune.decoding.word_times import timed
from soritune.models.family import ClipLimits
from soritune.models.speech_model import Generated, ModelInput, SpeechModel, Watch
from soritune.tasks import Answer, Request

POOL_BATCHES = 4
"""Batches among which pieces are sorted by length: more would wait longer for the first answer."""


@dataclass(frozen=True)
class Piece:
    """A clip that the model can take (16 kHz mono), and what is asked.

    Attributes:
        key: the caller's.
        words: whether times of words are asked for.
    """

    key: tuple[int, int]
    samples: Samples
    request: Request
    words: bool = False

    @property
    def duration_s(self) -> float:
        """Length of the clip."""
        return len(self.samples) / SAMPLE_RATE_HZ


@dataclass(frozen=True)
class Decoded:
    """What an engine wrote for a piece.

    Attributes:
        output: all of it.
        answer: its parts, as the family reads them.
        mean_logprob: see `Generated`; None where the engine does not give it.
        tokens: see `Segment`.
        words: of the transcript, in seconds of the clip; empty where they were not asked for or
            the engine does not give them.
    """

    output: str
    answer: Answer
    mean_logprob: float | None
    tokens: tuple[Token, ...] = ()
    words: tuple[Word, ...] = ()


@dataclass(frozen=True)
class Refused:
    """A piece that an engine could not answer, and why in one line.

    Attributes:
        failing: whether the engine failed, rather than the piece was wrong.
    """

    error: str
    failing: bool = False


class Engine(Protocol):
    """Answers pieces."""

    @property
    def clip_limits(self) -> ClipLimits:
        """Which pieces it takes."""
        ...

    def check(self, request: Request) -> None:
        """Raise UserError where it cannot do what is asked."""
        ...

    def decode(self, pieces: Iterable[Piece]) -> Iterator[tuple[Piece, Decoded | Refused]]:
        """Yield the answer to each piece once, in any order, while pieces are still being made."""
        ...


@dataclass(frozen=True)
class LocalEngine:
    """A loaded model on this machine.

    Attributes:
        batch_size: windows of the longest kind that are decoded together; of shorter ones as many
            as cost no more.
        beams: 1 is greedy.
    """

    model: SpeechModel
    batch_size: int = 8
    beams: int = 1

    @property
    def clip_limits(self) -> ClipLimits:
        """See `Engine`."""
        return self.model.clip_limits

    def check(self, request: Request) -> None:
        """See `Engine`."""
        self.model.family.check_request(request)

    def decode(self, pieces: Iterable[Piece]) -> Iterator[tuple[Piece, Decoded]]:
        """See `Engine`."""
        from soritune.models.memory import trim_heap  # torch

        pool: list[Piece] = []
        room_s, pooled_s = POOL_BATCHES * self.batch_size * self.clip_limits.max_duration_s, 0.0
        for piece in pieces:
            pool.append(piece)
            pooled_s += piece.duration_s
            if pooled_s >= room_s:
                yield from self._decode_pool(pool)
                pool, pooled_s = [], 0.0
                trim_heap()
        yield from self._decode_pool(pool)

    def _decode_pool(self, pool: Sequence[Piece]) -> Iterator[tuple[Piece, Decoded]]:
        for batch in token_batches(self.model, pool, self.batch_size):
            yield from zip(batch, decode_batch(self.model, batch, beams=self.beams), strict=True)


def token_batches(
    model: SpeechModel, pieces: Sequence[Piece], batch_size: int
) -> Iterator[list[Piece]]:
    """Cut pieces into batches of one request, longest first.

    Rows times the tokens of the longest row stay within what `batch_size` clips of the longest
    kind take.
    """
    processor, limits = model.processor, model.family.clip_limits
    groups: dict[Request, list[Piece]] = {}
    for piece in pieces:
        groups.setdefault(piece.request, []).append(piece)
    for request, group in groups.items():
        budget = batch_size * processor.num_tokens(limits.max_duration_s, request)
        group.sort(key=lambda piece: -len(piece.samples))
        batch: list[Piece] = []
        longest = 0
        for piece in group:
            if batch and (len(batch) + 1) * longest > budget:
                yield batch
                batch = []
            if not batch:
                longest = processor.num_tokens(piece.duration_s, request)
            batch.append(piece)
        yield batch


def decode_batch(
    model: SpeechModel, batch: Sequence[Piece], *, beams: int = 1, watch: Watch | None = None
) -> list[Decoded]:
    """Answer pieces together; the answers are those that each would get alone.

    Args:
        watch: see `Watch`.
    """
    processor = model.processor
    inputs = [processor.encode(piece.samples, piece.request) for piece in batch]
    limits = [processor.max_new_tokens(piece.duration_s) for piece in batch]
    watching = {} if watch is None else {"watch": watch}
    outputs = model.generate(inputs, limits, beams=beams, **watching)
    answers = [
        processor.parse(piece.request, output.text)
        for piece, output in zip(batch, outputs, strict=True)
    ]
    words = _word_times(model, batch, inputs, outputs, answers)
    return [
        Decoded(
            output.text,
            answer,
            output.mean_logprob,
            tuple(map(Token, output.tokens, output.logprobs)),
            words.get(place, ()),
        )
        for place, (output, answer) in enumerate(zip(outputs, answers, strict=True))
    ]


def _word_times(
    model: SpeechModel,
    batch: Sequence[Piece],
    inputs: Sequence[ModelInput],
    outputs: Sequence[Generated],
    answers: Sequence[Answer],
) -> dict[int, tuple[Word, ...]]:
    """Return the words of the pieces of a batch for which they are asked, by place."""
    places = [
        place
        for place, piece in enumerate(batch)
        if piece.words and answers[place].transcript and outputs[place].tokens
    ]
    if not places:
        return {}
    tokens = [outputs[place].tokens for place in places]
    spans = model.align([inputs[place] for place in places], tokens)
    return {
        place: timed(answers[place].transcript or "", written, times, model.processor.decode)
        for place, written, times in zip(places, tokens, spans, strict=True)
    }
