"""From recordings of any length to transcripts: cut, decode, guard, join.

A window in which the model repeats itself is heard again in halves, as often as it takes, down to
`SHORTEST_HALVED_S`: other programs draw another text by chance, which no one can repeat.

Recordings are read block by block while the engine works, so memory depends on the engine's pool
and not on their length; windows of several recordings share batches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from soritune.audio import SAMPLE_RATE_HZ, AudioError, Samples
from soritune.audio.stream import Source, name_of, open_recording
from soritune.decoding.cutting import Window, halves, longest_unbroken_s, longest_window_s, windows
from soritune.decoding.engine import Decoded, Engine, Piece, Refused
from soritune.decoding.guard import Guard
from soritune.decoding.joining import cut_apart, one_text
from soritune.decoding.records import Failure, Segment, Token, Transcript, Word
from soritune.decoding.word_times import first_words, last_words, shifted
from soritune.errors import UserError
from soritune.tasks import Request, Task

PAUSE_S = 0.3
"""Pause that always ends a window: models that are trained on utterances hear them best."""
PAUSE_FIXED_COST_S = 8.0
"""As `PAUSE_S`, where each window costs as much as the longest. Whisper base hears a sentence
better beside others: 24 with 3 s of noise or music between had a WER of 27.4, alone 43.3."""
SHORTEST_HALVED_S = 8.0
"""Of 30 s, quarters are the least that is heard again."""
_NOTHING = np.zeros(0, np.float32)


@dataclass(frozen=True)
class Listening:
    """What is asked of recordings.

    Attributes:
        request: what the model is asked for each window.
        guard: when a text is held back.
        keep_unsure: keep what the guard would hold back; such segments still say why.
        window_s: longest window; None: see `cutting.longest_window_s`.
        words: whether the times of words are asked for, of transcripts only.
        max_duration_s: of a recording; more is refused while it is read, whatever its header says.
    """

    request: Request
    guard: Guard = field(default_factory=Guard)
    keep_unsure: bool = False
    window_s: float | None = None
    words: bool = False
    max_duration_s: float | None = None


Advance = Callable[[float], None]


def listen(
    engine: Engine,
    sources: Iterable[Source],
    asked: Listening,
    *,
    advance: Advance = lambda _: None,
) -> Iterator[Transcript | Failure]:
    """Yield what is said in each recording, in their order, as soon as it is known.

    Args:
        advance: called with seconds of recordings that are done.

    Raises:
        UserError: what is asked cannot be done at all.
    """
    for done in _heard(engine, sources, asked, advance):
        if not isinstance(done, Segment):
            yield done


def segments(
    engine: Engine, source: Source, asked: Listening, *, advance: Advance = lambda _: None
) -> Iterator[Segment]:
    """Yield the segments of one recording in the order of time, each as soon as it is decoded.

    Held back segments are yielded as well: those with a reason in `unsure`.

    Raises:
        AudioError: the recording cannot be read, or breaks off.
        UserError: what is asked cannot be done.
    """
    for done in hear(engine, source, asked, advance=advance):
        if isinstance(done, Segment):
            yield done


def hear(
    engine: Engine, source: Source, asked: Listening, *, advance: Advance = lambda _: None
) -> Iterator[Segment | Transcript]:
    """Yield the segments of one recording as `segments` does, and its transcript at the end."""
    for done in _heard(engine, [source], asked, advance):
        if isinstance(done, Failure):
            raise AudioError(done.reason, done.error)
        yield done


@dataclass
class _Hearing:
    """One recording on its way: its windows, and what has been decoded of them."""

    file: str
    asked: Listening
    windows: dict[int, Window] = field(default_factory=dict)  # without samples
    order: list[int] = field(default_factory=list)  # of the windows that wait, by time
    answers: dict[int, Decoded | None] = field(default_factory=dict)  # None: nothing is said
    num_windows: int = 0
    cut: bool = False  # no more windows come
    held: tuple[Window, Segment] | None = None  # the next one may take from its end
    done: list[Segment] = field(default_factory=list)
    duration_s: float = 0.0
    advanced_s: float = 0.0
    notes: list[str] = field(default_factory=list)
    error: str | None = None
    reason: str = "unusable"

    def measured(
        self, sound: Samples | Iterator[Samples], min_samples: int
    ) -> Samples | Iterator[Samples]:
        """Return `sound`, whose length is counted while it is read. Raises AudioError."""
        if not isinstance(sound, np.ndarray):
            return self._counted(sound)
        if len(sound) < min_samples:
            needed_ms = 1000 * min_samples / SAMPLE_RATE_HZ
            raise AudioError("too-short", f"is shorter than {needed_ms:.0f} ms", self.file)
        self.duration_s = len(sound) / SAMPLE_RATE_HZ
        self._check_duration()
        return sound

    def _check_duration(self) -> None:
        most_s = self.asked.max_duration_s
        if most_s is not None and self.duration_s > most_s:
            raise AudioError("too-long", f"lasts more than {most_s:,.0f} s", self.file)

    def _counted(self, blocks: Iterator[Samples]) -> Iterator[Samples]:
        for block in blocks:
            self.duration_s += len(block) / SAMPLE_RATE_HZ
            self._check_duration()
            yield block

    def step_s(self, seconds: float) -> float:
        """Count seconds as done, and return them; no more than the recording has."""
        seconds = min(seconds, self.duration_s - self.advanced_s)
        self.advanced_s += seconds
        return seconds

    def pieces(
        self, index: int, cut: Iterable[Window], place: int | None = None
    ) -> Iterator[Piece]:
        """Take windows, and yield those that are to be asked about.

        Args:
            index: of the recording.
            place: in the order of those that wait; None is the end.
        """
        for window in cut:
            number = self.num_windows
            self.num_windows += 1
            self.windows[number] = replace(window, samples=_NOTHING)
            if place is None:
                self.order.append(number)
            else:
                self.order.insert(place, number)
                place += 1
            if self.asked.guard.heard(window.speech_prob) is None or self.asked.keep_unsure:
                yield Piece((index, number), window.samples, self.asked.request, self.asked.words)
            else:
                self.answers[number] = None

    def take(self, piece: Piece, decoded: Decoded) -> list[Piece]:
        """Take an answer, and return what is to be asked in its place."""
        index, number = piece.key
        guard, window = self.asked.guard, self.windows[number]
        repeats = any(map(guard.repeats, texts(self.asked.request, decoded)))
        spoken = guard.heard(window.speech_prob) is None
        if not (repeats and spoken and piece.duration_s >= SHORTEST_HALVED_S):
            self.answers[number] = decoded
            return []
        place = self.order.index(number)
        del self.order[place], self.windows[number]
        self.notes.append(
            f"{self.file}: {window.start_s:.1f} to {window.end_s:.1f} s are heard again in halves, "
            "since the model repeated itself"
        )
        return list(self.pieces(index, halves(window, piece.samples), place))

    def ready(self) -> Iterator[Segment]:
        """Yield segments that nothing can change any more."""
        while self.order and self.order[0] in self.answers:
            number = self.order.pop(0)
            window = self.windows.pop(number)
            segment = self._segment(window, self.answers.pop(number))
            if self.held is not None:
                before, earlier = self.held
                if window.overlap_s and earlier.unsure is None and segment.unsure is None:
                    earlier, segment = _apart(before, earlier, window, segment)
                yield from self._finished(earlier)
            self.held = (window, segment)
        if self.held is not None and self.cut and not self.order:
            yield from self._finished(self.held[1])
            self.held = None

    @property
    def complete(self) -> bool:
        return self.cut and self.held is None and not self.order

    def transcript(self) -> Transcript | Failure:
        """Return the whole, once it is complete."""
        if self.error is not None:
            return Failure(self.file, self.error, self.reason)
        keep = self.asked.keep_unsure
        kept = [segment for segment in self.done if keep or segment.unsure is None]
        translations = [s.translation for s in kept if s.translation is not None]
        of_chain = self.asked.request.task is Task.AST_COT
        return Transcript(
            self.file,
            one_text([segment.text for segment in kept]),
            self.duration_s,
            one_text(translations) if of_chain else None,
            tuple(kept),
            tuple(segment for segment in self.done if not keep and segment.unsure is not None),
            "\n".join(self.notes),
        )

    def _finished(self, segment: Segment) -> Iterator[Segment]:
        if segment.text or segment.translation or segment.unsure is not None:
            self.done.append(segment)
            yield segment

    def _segment(self, window: Window, decoded: Decoded | None) -> Segment:
        start_s = window.speech[0][0] if window.speech else window.start_s
        end_s = window.speech[-1][1] if window.speech else window.end_s
        guard = self.asked.guard
        tokens: tuple[Token, ...] = ()
        words: tuple[Word, ...] = ()
        if decoded is None:
            text, translation, logprob = "", None, None
            unsure = guard.heard(window.speech_prob)
        else:
            text, translation = texts(self.asked.request, decoded)
            logprob, tokens = decoded.mean_logprob, decoded.tokens
            words = shifted(decoded.words, window.start_s)
            unsure = guard.unsure(
                text,
                logprob,
                window.speech_s or window.duration_s,
                window.speech_prob,
            )
        return Segment(
            start_s=start_s,
            end_s=end_s,
            text=text,
            mean_logprob=logprob,
            no_speech_prob=1 - window.speech_prob,
            translation=translation,
            tokens=tokens,
            speech=window.speech,
            words=words,
            unsure=unsure,
        )


def texts(request: Request, decoded: Decoded) -> tuple[str, str | None]:
    """Return text and translation as a `Segment` has them."""
    answer = decoded.answer
    if request.task is Task.AST:
        return answer.translation or "", None
    if request.task is Task.AST_COT:
        return answer.transcript or "", answer.translation or ""
    return answer.transcript or "", None


def _heard(
    engine: Engine,
    sources: Iterable[Source],
    asked: Listening,
    advance: Advance,
) -> Iterator[Segment | Transcript | Failure]:
    """Yield segments of recordings as they come, and each recording's end, in order."""
    engine.check(asked.request)
    if asked.words and asked.request.task is Task.AST:
        raise UserError("times of words are those of a transcript: ask for asr or ast-cot")
    waiting: dict[int, _Hearing] = {}
    first = 0

    def ended() -> Iterator[Segment | Transcript | Failure]:
        nonlocal first
        while first in waiting:
            hearing = waiting[first]
            yield from hearing.ready()
            if not hearing.complete:
                return
            advance(hearing.duration_s - hearing.advanced_s)
            yield hearing.transcript()
            del waiting[first]
            first += 1

    again: deque[Piece] = deque()
    pieces = _pieces(engine, sources, asked, waiting, advance)
    for piece, outcome in _answers(engine, pieces, again):
        index, number = piece.key
        hearing = waiting[index]
        if isinstance(outcome, Refused):
            hearing.error = hearing.error or f"{hearing.file}: {outcome.error}"
            hearing.answers[number] = None
        elif halved := hearing.take(piece, outcome):
            again += halved
            continue
        advance(hearing.step_s(piece.duration_s))
        yield from ended()
    yield from ended()


def _answers(
    engine: Engine, pieces: Iterable[Piece], again: deque[Piece]
) -> Iterator[tuple[Piece, Decoded | Refused]]:
    """Yield the answers to pieces, and to those that are put into `again` meanwhile."""

    def halved() -> Iterator[Piece]:
        while again:
            yield again.popleft()

    def all_pieces() -> Iterator[Piece]:
        for piece in pieces:
            yield from halved()
            yield piece

    yield from engine.decode(all_pieces())
    while again:
        yield from engine.decode(halved())


def _pieces(
    engine: Engine,
    sources: Iterable[Source],
    asked: Listening,
    waiting: dict[int, _Hearing],
    advance: Advance,
) -> Iterator[Piece]:
    """Cut recordings into pieces for the engine; windows without speech are not asked about."""
    limits = engine.clip_limits
    longest_s = longest_window_s(limits, asked.window_s)
    unbroken_s = longest_unbroken_s(limits, asked.window_s)
    pause_s = PAUSE_FIXED_COST_S if limits.fixed_cost else PAUSE_S
    for index, source in enumerate(sources):
        hearing = waiting[index] = _Hearing(name_of(source), asked)
        try:
            with open_recording(source) as recording:
                hearing.notes += [recording.note] if recording.note else []
                sound = hearing.measured(recording.read(unbroken_s), limits.min_samples)
                done_s = 0.0
                for window in windows(sound, longest_s=longest_s, pause_s=pause_s):
                    advance(hearing.step_s(max(0.0, window.start_s - done_s)))  # nobody speaks
                    done_s = window.end_s
                    yield from hearing.pieces(index, [window])
        except AudioError as error:
            hearing.error, hearing.reason = str(error), error.reason
        hearing.cut = True


def _apart(
    before: Window, earlier: Segment, after: Window, later: Segment
) -> tuple[Segment, Segment]:
    """Return two segments whose windows overlap without the text that both have."""
    shares = after.overlap_s / before.duration_s, after.overlap_s / after.duration_s
    middle_s = after.start_s + after.overlap_s / 2
    texts = cut_apart(earlier.text, later.text, *shares)
    translations: tuple[str | None, str | None] = earlier.translation, later.translation
    if earlier.translation is not None and later.translation is not None:
        translations = cut_apart(earlier.translation, later.translation, *shares)
    return (
        replace(
            earlier,
            text=texts[0],
            translation=translations[0],
            end_s=middle_s,
            words=first_words(earlier.words, texts[0]),
        ),
        replace(
            later,
            text=texts[1],
            translation=translations[1],
            start_s=middle_s,
            words=last_words(later.words, texts[1]),
        ),
    )
