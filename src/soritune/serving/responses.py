"""Bodies of answers. The types of the `openai` package are the schema; a subclass widens what ours
has more of, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from openai.types.audio import (
    Transcription,
    TranscriptionSegment,
    TranscriptionTextDeltaEvent,
    TranscriptionTextDoneEvent,
    TranscriptionVerbose,
    TranscriptionWord,
    Translation,
    TranslationVerbose,
)
from openai.types.audio.transcription import Logprob, UsageDuration
from openai.types.audio.transcription_text_done_event import Logprob as DoneLogprob
from openai.types.audio.transcription_verbose import Usage as VerboseUsage
from pydantic import BaseModel
from starlette.responses import JSONResponse, PlainTextResponse, Response

from soritune.decoding import formats
from soritune.decoding.guard import compression_ratio
from soritune.decoding.records import Segment, Transcript
from soritune.decoding.subtitles import timed_words
from soritune.languages.names import language_name

ResponseFormat = Literal["json", "text", "srt", "verbose_json", "vtt"]
FORMATS: tuple[ResponseFormat, ...] = ("json", "text", "srt", "verbose_json", "vtt")


class ChainTranslation(Translation):
    """Adds what was said: a chain of thought transcribes before it translates."""

    transcript: str


class TextSegmentEvent(BaseModel):
    """One segment of a stream, without the speaker that OpenAI's event has: nobody is told apart
    here, and an invented label would be taken for one.
    """

    type: Literal["transcript.text.segment"] = "transcript.text.segment"
    id: str
    start: float
    end: float
    text: str
    translation: str | None = None


def body(
    transcript: Transcript,
    format_: ResponseFormat,
    *,
    language: str | None,
    translated_to: str | None = None,
    words: bool = False,
    logprobs: list[Logprob] | None = None,
) -> Response:
    """Return a whole answer.

    Args:
        language: code of what is spoken; None where nobody said.
        translated_to: code of the language of a translation; None for a transcript.
        words: whether word times were asked for.
        logprobs: of `token_logprobs`, where they were asked for.
    """
    text = transcript.text if transcript.translation is None else transcript.translation
    if format_ == "text":
        return PlainTextResponse(text + "\n")
    if format_ == "srt":
        shown = formats.shown(transcript, formats.Format.SRT)
        return PlainTextResponse(shown + "\n", media_type="application/x-subrip")
    if format_ == "vtt":
        shown = formats.shown(transcript, formats.Format.VTT)
        return PlainTextResponse(shown + "\n", media_type="text/vtt")
    record: BaseModel
    if format_ == "verbose_json":
        record = _verbose(transcript, text, language, translated_to, words)
    elif translated_to is None:
        record = Transcription(
            text=text,
            logprobs=logprobs,
            usage=UsageDuration(seconds=round(transcript.duration_s, 3), type="duration"),
        )
    elif transcript.translation is not None:
        record = ChainTranslation(text=text, transcript=transcript.text)
    else:
        record = Translation(text=text)
    return JSONResponse(record.model_dump(exclude_none=True))


def _verbose(
    transcript: Transcript,
    text: str,
    language: str | None,
    translated_to: str | None,
    words: bool,
) -> BaseModel:
    spoken = translated_to or language
    name = "unknown" if spoken is None else language_name(spoken).lower()
    segments = [segment_body(number, each) for number, each in enumerate(transcript.segments)]
    duration_s = round(transcript.duration_s, 3)
    if translated_to is not None:
        return TranslationVerbose(duration=duration_s, language=name, text=text, segments=segments)
    found = [
        TranscriptionWord(word=word.text, start=round(word.start_s, 3), end=round(word.end_s, 3))
        for segment in transcript.segments
        for word in timed_words(segment)
    ]
    return TranscriptionVerbose(
        duration=duration_s,
        language=name,
        text=text,
        segments=segments,
        words=found if words else None,
        usage=VerboseUsage(seconds=duration_s, type="duration"),
    )


def segment_body(number: int, segment: Segment) -> TranscriptionSegment:
    """Return a segment as OpenAI has it. `avg_logprob` is 0 where another server gives none."""
    text = segment.text if segment.translation is None else segment.translation
    return TranscriptionSegment(
        id=number,
        seek=round(100 * segment.start_s),  # in frames of 10 ms, as openai/whisper counts
        start=round(segment.start_s, 3),
        end=round(segment.end_s, 3),
        text=text,
        tokens=[token.id for token in segment.tokens],
        temperature=0.0,  # decoding is greedy
        avg_logprob=segment.mean_logprob or 0.0,
        compression_ratio=compression_ratio(text),
        no_speech_prob=segment.no_speech_prob,
    )


def token_logprobs(
    segments: Sequence[Segment], decode: Callable[[Sequence[int]], str]
) -> list[Logprob]:
    """Return each token with its text and log-probability.

    A letter of several tokens is the text of the last of them.
    """
    found = []
    for segment in segments:
        ids: list[int] = []
        before = ""
        for token in segment.tokens:
            ids.append(token.id)
            text = decode(ids).rstrip("\ufffd")
            new = text[len(before) :] if text.startswith(before) else ""
            before = text
            found.append(Logprob(token=new, bytes=list(new.encode()), logprob=token.logprob))
    return found


def delta_event(text: str) -> str:
    """Return a server-sent event with more of the text."""
    return _event(TranscriptionTextDeltaEvent(type="transcript.text.delta", delta=text))


def segment_event(number: int, segment: Segment) -> str:
    """Return a server-sent event with a finished segment."""
    return _event(
        TextSegmentEvent(
            id=f"seg_{number}",
            start=round(segment.start_s, 3),
            end=round(segment.end_s, 3),
            text=segment.text,
            translation=segment.translation,
        )
    )


class DoneEvent(TranscriptionTextDoneEvent):
    """Adds the transcript of a chain of thought, and counts usage in seconds: OpenAI bills tokens,
    a local model has none to bill.
    """

    transcript: str | None = None
    usage: UsageDuration | None = None  # type: ignore[assignment]


def done_event(transcript: Transcript, logprobs: list[Logprob] | None) -> str:
    """Return the last server-sent event."""
    found = None
    if logprobs is not None:
        found = [DoneLogprob.model_validate(each.model_dump()) for each in logprobs]
    translation = transcript.translation
    return _event(
        DoneEvent(
            type="transcript.text.done",
            text=transcript.text if translation is None else translation,
            transcript=None if translation is None else transcript.text,
            logprobs=found,
            usage=UsageDuration(seconds=round(transcript.duration_s, 3), type="duration"),
        )
    )


def _event(record: BaseModel) -> str:
    return f"data: {record.model_dump_json(exclude_none=True)}\n\n"
