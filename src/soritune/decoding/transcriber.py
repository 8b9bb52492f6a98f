"""From recordings to text with a loaded model: `soritune.load(...).transcribe(...)`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypedDict, Unpack

import numpy as np
import numpy.typing as npt

from soritune.audio import AudioError
from soritune.audio.stream import Sound, Source
from soritune.decoding.engine import LocalEngine
from soritune.decoding.listening import Listening, listen, segments
from soritune.decoding.records import Failure, Segment, Transcript
from soritune.errors import UserError
from soritune.models.speech_model import SpeechModel
from soritune.tasks import Request, Task
from soritune.utterance import Excerpt

__all__ = ["Failure", "Segment", "Transcriber", "Transcript"]

Given: TypeAlias = Source | npt.NDArray[Any]


class Options(TypedDict, total=False):
    """What `Transcriber` is asked.

    Attributes:
        sampling_rate: of arrays, in Hz.
        task: "asr" (the default), "ast" or "ast-cot"; the last two need `to`.
        to: code of the language to translate into ("en").
        language: code of the language that is spoken; None, the default, where it is not known.
        prompt: text that came before, where the family can use it.
        keywords: words and names that may occur, where the family can use them.
        keep_unsure: keep texts that the guard would hold back (`Transcript.dropped`).
        window_s: longest window that the model hears at once; by default, as long as the
            longest clip that it was trained on, or, of a base, as it can take.
        words: find when each word of a transcript is spoken (`Segment.words`).
        batch_size: windows of the longest kind that are decoded together; 8 by default.
        beams: 1, the default, is greedy.
    """

    sampling_rate: int | None
    task: Task | str
    to: str | None
    language: str | None
    prompt: str | None
    keywords: Sequence[str]
    keep_unsure: bool
    window_s: float | None
    words: bool
    batch_size: int
    beams: int


@dataclass(frozen=True)
class Transcriber:
    """A loaded model that transcribes and translates recordings of any length.

    Recordings are paths, bytes of files, file objects that can seek, or arrays of shape
    (samples,) or (samples, channels): floats within [-1, 1] or integers.
    """

    model: SpeechModel

    def transcribe(
        self, recordings: Given | Sequence[Given], **options: Unpack[Options]
    ) -> list[Transcript]:
        """Transcribe one recording or several; the order is kept. See `Options`.

        Raises:
            AudioError (a UserError): the first recording that cannot be read.
            UserError: the model cannot do what is asked.
        """
        transcripts = []
        for result in self.try_transcribe(recordings, **options):
            if isinstance(result, Failure):
                raise AudioError("unusable", result.error)
            transcripts.append(result)
        return transcripts

    def try_transcribe(
        self, recordings: Given | Sequence[Given], **options: Unpack[Options]
    ) -> list[Transcript | Failure]:
        """As `transcribe`, but return a Failure in place of a bad recording."""
        return list(self.stream(recordings, **options))

    def stream(
        self,
        recordings: Given | Sequence[Given],
        *,
        advance: Callable[[float], None] = lambda _: None,
        **options: Unpack[Options],
    ) -> Iterator[Transcript | Failure]:
        """As `try_transcribe`, but yield each result as soon as it and those before it are done.

        `advance` is called with seconds of sound that are done.
        """
        given = sources(recordings, options.get("sampling_rate"))
        return listen(self._engine(options), given, asked(options), advance=advance)

    def segments(self, recording: Given, **options: Unpack[Options]) -> Iterator[Segment]:
        """Yield the segments of one recording in the order of time, while it is still at work.

        Segments that the guard holds back are yielded with the reason in `unsure`. A smaller
        `batch_size` gives the first one sooner. Errors are those of `transcribe`.
        """
        (source,) = sources([recording], options.get("sampling_rate"))
        return segments(self._engine(options), source, asked(options))

    def _engine(self, options: Options) -> LocalEngine:
        if options.get("words") and not self.model.family.aligns:
            self.model.align([], [])  # says so before anything is heard
        return LocalEngine(self.model, options.get("batch_size", 8), options.get("beams", 1))


def asked(options: Options) -> Listening:
    """Return options as what is asked of recordings."""
    request = Request(
        Task(options.get("task", Task.ASR)),
        options.get("language"),
        options.get("to"),
        options.get("prompt"),
        tuple(options.get("keywords", ())),
    )
    return Listening(
        request,
        keep_unsure=options.get("keep_unsure", False),
        window_s=options.get("window_s"),
        words=options.get("words", False),
    )


def sources(recordings: Given | Sequence[Given], sampling_rate: int | None = None) -> list[Source]:
    """Return recordings in the forms that are read; arrays with their rate.

    Raises UserError for an array without a rate, and for what is not a recording.
    """
    if not isinstance(recordings, Sequence) or isinstance(recordings, str | bytes):
        return [_source(recordings, sampling_rate, "the recording")]
    return [
        _source(each, sampling_rate, f"recording {number}")
        for number, each in enumerate(recordings, start=1)
    ]


def _source(given: Given, sampling_rate: int | None, name: str) -> Source:
    if isinstance(given, np.ndarray) or hasattr(given, "__array__"):  # tensors have it as well
        if sampling_rate is None:
            raise UserError(
                f"{name}: is an array without its sampling rate. Add sampling_rate=16000, or its "
                "own"
            )
        return Sound(np.asarray(given), sampling_rate, name)
    if isinstance(given, str | Path | bytes | Sound | Excerpt) or hasattr(given, "seekable"):
        return given
    raise UserError(
        f"{name}: is a {type(given).__name__}. Give a path, bytes, a file object, or an array "
        "with sampling_rate=16000 (or its own rate)"
    )
