"""`POST /v1/audio/transcriptions` and `/v1/audio/translations`."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, Form, UploadFile
from openai.types.audio import (
    Transcription,
    TranscriptionVerbose,
    Translation,
    TranslationVerbose,
)
from openai.types.audio.transcription import Logprob
from starlette.requests import Request as HttpRequest
from starlette.responses import Response, StreamingResponse

from soritune.audio.stream import open_recording
from soritune.decoding.cutting import longest_window_s
from soritune.decoding.listening import Listening, hear
from soritune.decoding.records import Segment, Transcript
from soritune.serving.asked import TRANSLATED_TO, asked
from soritune.serving.engines import Caller
from soritune.serving.errors import ApiError, as_api_error
from soritune.serving.responses import FORMATS, ResponseFormat, body, done_event
from soritune.serving.served import ServedModel
from soritune.serving.state import State
from soritune.serving.streams import Growth, TextStream
from soritune.serving.work import watched
from soritune.tasks import Task

router = APIRouter(prefix="/v1/audio", tags=["audio"])

Text = Annotated[str | None, Form()]
Texts = Annotated[list[str], Form(default_factory=list)]
GRANULARITIES = ("word", "segment")
INCLUDED = ("logprobs",)
Item = Growth | Segment | Transcript


def _one_of(known: Sequence[str]) -> dict[str, Any]:
    """Describe a text of a form; its check is ours, whose message has OpenAI's form."""
    return {"json_schema_extra": {"enum": list(known)}}


def _some_of(known: Sequence[str]) -> dict[str, Any]:
    """As `_one_of`, for lists."""
    return {"json_schema_extra": {"items": {"type": "string", "enum": list(known)}}}


Granularities = Annotated[list[str], Form(default_factory=list, **_some_of(GRANULARITIES))]
Included = Annotated[list[str], Form(default_factory=list, **_some_of(INCLUDED))]
Format = Annotated[str, Form(**_one_of(FORMATS))]


@dataclass(frozen=True)
class _Job:
    """One request, checked."""

    model: ServedModel
    file: BinaryIO
    listening: Listening
    format: ResponseFormat
    stream: bool
    words: bool
    logprobs: bool
    translated_to: str | None

    def found_logprobs(self, transcript: Transcript) -> list[Logprob] | None:
        return self.model.logprobs(transcript.segments) if self.logprobs else None

    @property
    def language(self) -> str | None:
        return self.listening.request.source_language


@router.post(
    "/transcriptions",
    response_model=None,
    responses={200: {"model": Transcription | TranscriptionVerbose}},
)
async def transcribe(
    request: HttpRequest,
    file: UploadFile,
    *,
    model: Text = None,
    language: Text = None,
    languages: Texts,
    languages_: Annotated[list[str], Form(alias="languages[]", default_factory=list)],
    prompt: Text = None,
    keywords: Texts,
    keywords_: Annotated[list[str], Form(alias="keywords[]", default_factory=list)],
    response_format: Format = "json",
    temperature: Annotated[float, Form(ge=0, le=1)] = 0.0,
    timestamp_granularities: Granularities,
    timestamp_granularities_: Annotated[Granularities, Form(alias="timestamp_granularities[]")],
    include: Included,
    include_: Annotated[Included, Form(alias="include[]")],
    chunking_strategy: Text = None,
    stream: Annotated[bool, Form()] = False,
) -> Response:
    """Write what is said. `chunking_strategy` is accepted: long recordings are always cut at pauses
    by voice activity. `temperature` is accepted: decoding is greedy.
    """
    granularities = _choices(
        timestamp_granularities + timestamp_granularities_,
        GRANULARITIES,
        "timestamp_granularities",
    )
    included = _choices(include + include_, INCLUDED, "include")
    state: State = request.app.state.serving
    served = state.models.find(model)
    listening = asked(
        language=language,
        languages=languages + languages_,
        prompt=prompt,
        keywords=keywords + keywords_,
    )
    return await _answer(
        request,
        state,
        _Job(
            model=served,
            file=file.file,
            listening=replace(listening, words="word" in granularities and served.aligns),
            format=_format(response_format),
            stream=stream,
            words="word" in granularities,
            logprobs="logprobs" in included,
            translated_to=None,
        ),
    )


@router.post(
    "/translations",
    response_model=None,
    responses={200: {"model": Translation | TranslationVerbose}},
)
async def translate(
    request: HttpRequest,
    file: UploadFile,
    *,
    model: Text = None,
    language: Text = None,
    to_language: Annotated[str, Form()] = TRANSLATED_TO,
    chain_of_thought: Annotated[bool, Form()] = False,
    prompt: Text = None,
    response_format: Format = "json",
    temperature: Annotated[float, Form(ge=0, le=1)] = 0.0,
    stream: Annotated[bool, Form()] = False,
) -> Response:
    """Translate what is said. `language`, `to_language`, `chain_of_thought` (transcribe first; the
    answer has both) and `stream` are additions to OpenAI's API.
    """
    state: State = request.app.state.serving
    listening = asked(
        to=to_language or TRANSLATED_TO,
        language=language,
        chain_of_thought=chain_of_thought,
        prompt=prompt,
    )
    return await _answer(
        request,
        state,
        _Job(
            model=state.models.find(model),
            file=file.file,
            listening=listening,
            format=_format(response_format),
            stream=stream,
            words=False,
            logprobs=False,
            translated_to=listening.request.target_language,
        ),
    )


def _format(wanted: str) -> ResponseFormat:
    for format_ in FORMATS:
        if wanted == format_:
            return format_
    raise ApiError(
        400,
        f"response_format {wanted[:50]!r} is not supported; use {', '.join(FORMATS)}",
        param="response_format",
        code="unsupported_value",
    )


def _choices(wanted: Sequence[str], known: Sequence[str], param: str) -> frozenset[str]:
    for word in wanted:
        if word not in known:
            message = f"{param}: {word[:50]!r} is not one of {', '.join(known)}"
            raise ApiError(400, message, param=param, code="invalid_value")
    return frozenset(wanted)


async def _answer(request: HttpRequest, state: State, job: _Job) -> Response:
    caller = Caller(threading.Event())
    most_s = state.settings.max_audio_s
    short = _check_length(job, most_s)
    job = replace(job, listening=replace(job.listening, max_duration_s=most_s))
    # What cannot be done at all is said before a stream begins.
    job.model.engine(caller).check(job.listening.request)
    if job.stream:
        events = _events(state, job, caller, token_by_token=short)
        async with watched(request, caller.gone):
            first = await anext(events)  # an error of the start has a status of its own
        return StreamingResponse(_chained(first, events), media_type="text/event-stream")
    async with watched(request, caller.gone):
        transcript = None
        async for item in state.workers.items(_work(job, caller), caller.gone):
            if isinstance(item, Transcript):
                transcript = item
    if transcript is None:
        raise ApiError(503, "the server could not answer this request", code="internal")
    state.metrics.audio_seconds.inc(transcript.duration_s)
    return body(
        transcript,
        job.format,
        language=job.language,
        translated_to=job.translated_to,
        words=job.words,
        logprobs=job.found_logprobs(transcript),
    )


def _check_length(job: _Job, max_audio_s: float) -> bool:
    """Return whether the recording fits into one clip of the model, as far as its header says.

    Raises:
        ApiError: it is longer than the server takes.
        AudioError: it cannot be read.
    """
    with open_recording(job.file) as recording:
        length_s = recording.length_s
    job.file.seek(0)
    if length_s is not None and length_s > max_audio_s:
        raise ApiError(
            413,
            f"the recording lasts {length_s:,.0f} s; this server takes up to {max_audio_s:,.0f} s",
            param="file",
            code="audio_too_long",
        )
    longest_s = longest_window_s(job.model.engine(Caller()).clip_limits)
    return length_s is not None and length_s <= longest_s


def _work(job: _Job, caller: Caller) -> Callable[[Callable[[Item], None]], None]:
    """Return what a thread does: it passes on segments, and the transcript at the end."""

    def work(put: Callable[[Item], None]) -> None:
        grows = job.stream and job.listening.request.task is not Task.AST_COT
        growing = replace(caller, on_text=lambda clip, text: put(Growth(clip, text)))
        engine = job.model.engine(growing if grows else caller)
        for item in hear(engine, job.file, job.listening):
            put(item)

    return work


async def _events(
    state: State, job: _Job, caller: Caller, *, token_by_token: bool
) -> AsyncIterator[str]:
    text = TextStream(token_by_token)
    async for item in state.workers.items(_work(job, caller), caller.gone):
        if isinstance(item, Growth):
            for event in text.grow(item):
                yield event
        elif isinstance(item, Segment):
            for event in text.add(item):
                yield event
        else:
            state.metrics.audio_seconds.inc(item.duration_s)
            yield done_event(item, job.found_logprobs(item))


async def _chained(first: str, events: AsyncIterator[str]) -> AsyncIterator[str]:
    """Yield all events; an error in the middle is the last one, in OpenAI's form."""
    yield first
    try:
        async for event in events:
            yield event
    except Exception as error:
        told = as_api_error(error).body | {"type": "error"}
        yield f"data: {json.dumps(told, ensure_ascii=False)}\n\n"
