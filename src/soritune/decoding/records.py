"""What is heard in a recording: segments with their times, whole transcripts, failures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Word:
    """A word and when it is spoken, in seconds of the recording."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Token:
    """What a model wrote in one step.

    Attributes:
        logprob: natural logarithm of its probability.
    """

    id: int
    logprob: float


@dataclass(frozen=True)
class Segment:
    """What is said from `start_s` to `end_s`, in seconds of the recording.

    Attributes:
        text: with plain translation, the translation.
        translation: of a chain of thought; None otherwise.
        mean_logprob: see `Generated`; None where the engine does not give it.
        no_speech_prob: one minus the highest probability of speech over a quarter of a second,
            by voice activity detection.
        speech: spans in which somebody speaks.
        words: empty unless word times were asked for.
        tokens: all that the model wrote for the window, end token included; empty with beams and
            where the engine does not give them.
        unsure: why the guard holds the text back; None where it does not.
    """

    start_s: float
    end_s: float
    text: str
    mean_logprob: float | None
    no_speech_prob: float
    translation: str | None = None
    speech: tuple[tuple[float, float], ...] = ()
    words: tuple[Word, ...] = ()
    tokens: tuple[Token, ...] = ()
    unsure: str | None = None


@dataclass(frozen=True)
class Transcript:
    """What is said in one recording.

    With plain translation, `text` is the translation and `translation` None.

    Attributes:
        segments: in the order of time; `text` and `translation` are theirs.
        dropped: segments whose text was held back by the guard.
        note: what the user should know of the file and how it was heard, in lines; "" for nothing.
    """

    file: str
    text: str
    duration_s: float
    translation: str | None = None
    segments: tuple[Segment, ...] = ()
    dropped: tuple[Segment, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Failure:
    """A recording that could not be transcribed: why, in one line and in a word of `AudioError`."""

    file: str
    error: str
    reason: str = "unusable"
