"""One live session: sound in, partial and final results out.

Two tasks work side by side: one takes the client's events and cuts turns, one asks the model, final
results in the order of the turns and partial ones while there is time.
"""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from soritune.audio import SAMPLE_RATE_HZ, Samples
from soritune.audio.stream import Sound
from soritune.decoding.cutting import longest_window_s
from soritune.decoding.joining import one_text
from soritune.decoding.listening import hear
from soritune.decoding.records import Transcript
from soritune.serving.agreement import Agreement
from soritune.serving.engines import Caller, ClientGoneError
from soritune.serving.errors import INVALID, ApiError, as_api_error
from soritune.serving.sessions import SessionSettings, SettingsError
from soritune.serving.state import State
from soritune.serving.turns import PcmDecoder, Started, Stopped, TurnDetector

PARTIAL_S = 0.5
"""New sound before the next partial result is asked for."""
MAX_AHEAD_S = 120.0
"""Sound of turns that wait for the model; a client that sends more is told to slow down."""

Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass
class _Turn:
    """One item of the conversation: what was said between two pauses."""

    id: str = field(default_factory=lambda: f"item_{uuid.uuid4().hex[:24]}")
    text: Agreement = field(default_factory=Agreement)
    source: Agreement = field(default_factory=Agreement)
    asked_s: float = 0.0  # length at the last partial result


class LiveSession:
    """A session of one connection.

    Args:
        send: sends an event; its `event_id` is added here.
    """

    def __init__(self, state: State, settings: SessionSettings, send: Send) -> None:
        self.state = state
        self.settings = settings
        self._send = send
        self._model = state.models.find(settings.model_name)
        self._gone = threading.Event()
        self._longest_s = longest_window_s(self._model.engine(Caller()).clip_limits)
        self._decoder = PcmDecoder(settings.rate_hz)
        self._detector = TurnDetector(settings.detection, self._longest_s)
        self._turn = _Turn()
        self._previous: str | None = None
        self._finals: asyncio.Queue[tuple[_Turn, Samples] | None] = asyncio.Queue()
        self._waiting_s = 0.0
        self._partial_wanted = asyncio.Event()
        self._heard = False  # whether sound has come, after which the rate is fixed
        self._emitted = {"output": False, "input": False}

    @property
    def translates(self) -> bool:
        """Whether this is a session of translation."""
        return self.settings.to is not None

    async def start(self) -> None:
        """Check what is asked and say what the session does. Raises ApiError, UserError."""
        self._check()
        await self._tell("session.created", session=self._shown())

    async def work(self) -> None:
        """Ask the model until `close` is called."""
        while True:
            final = await self._next()
            if final is None:
                return
            turn, samples = final
            is_final = turn is not self._turn
            try:
                await self._ask(turn, samples, is_final=is_final)
            except ClientGoneError:
                return
            except Exception as error:
                if is_final:  # a partial result that fails is only missing
                    await self._failed(turn, as_api_error(error))
            finally:
                if is_final:
                    self._waiting_s -= len(samples) / SAMPLE_RATE_HZ

    async def finish(self) -> None:
        """Take what is heard as the last turn; `work` ends when it is answered."""
        await self._commit(empty_is_error=False)
        await self._finals.put(None)
        self._partial_wanted.set()

    async def close(self) -> None:
        """End `work` at once."""
        self._gone.set()
        await self._finals.put(None)
        self._partial_wanted.set()

    async def handle(self, event: dict[str, Any]) -> bool:
        """Take one event of the client; return whether the session goes on."""
        kind = event.get("type")
        try:
            if kind in ("session.update", "transcription_session.update"):
                await self._update(event)
            elif kind in ("input_audio_buffer.append", "session.input_audio_buffer.append"):
                await self._append(event.get("audio"))
            elif kind == "input_audio_buffer.commit":
                await self._commit()
            elif kind == "input_audio_buffer.clear":
                self._detector.clear()
                self._turn = _Turn()
                await self._tell("input_audio_buffer.cleared")
            elif kind == "session.close":
                return False
            else:
                raise SettingsError(
                    f"type: {str(kind)[:60]!r} is not an event of this session", "type"
                )
        except (SettingsError, ApiError) as error:
            given = event.get("event_id")
            await self._tell(
                "error",
                error={
                    "type": INVALID,
                    "code": getattr(error, "code", None) or "invalid_value",
                    "message": str(error),
                    "param": getattr(error, "param", None),
                    "event_id": given if isinstance(given, str) else None,
                },
            )
        return True

    async def _update(self, event: dict[str, Any]) -> None:
        settings = self.settings.updated(event)
        if self._heard and settings.rate_hz != self.settings.rate_hz:
            raise SettingsError(
                "session.audio.input.format.rate: sound has come; open another session",
                "session.audio.input.format.rate",
            )
        model = self.state.models.find(settings.model_name)
        before, self.settings, self._model = self.settings, settings, model
        try:
            self._check()
        except Exception:
            self.settings = before
            self._model = self.state.models.find(before.model_name)
            raise
        if settings.rate_hz != before.rate_hz:
            self._decoder = PcmDecoder(settings.rate_hz)
        self._detector.detection = settings.detection
        older = "transcription_session.updated" if settings.older else "session.updated"
        await self._tell(older, session=self._shown())

    def _check(self) -> None:
        engine = self._model.engine(Caller())
        engine.check(self.settings.listening(translate=self.translates).request)

    def _shown(self) -> dict[str, Any]:
        return self.settings.shown(self.state.settings.request_s)

    async def _append(self, audio: object) -> None:
        if not isinstance(audio, str):
            raise SettingsError("audio: is missing", "audio")
        if self._waiting_s > MAX_AHEAD_S:
            message = "sound comes faster than it is answered; slow down"
            raise ApiError(503, message, code="overloaded")
        try:
            samples = self._decoder.decode(audio)
        except ValueError as error:
            raise SettingsError(str(error), "audio") from None
        self._heard = True
        for event in await asyncio.to_thread(self._detector.feed, samples):
            await self._happened(event)
        speaks = self._detector.speaking or self._detector.detection is None
        if speaks and self._detector.duration_s - self._turn.asked_s >= PARTIAL_S:
            self._partial_wanted.set()

    async def _happened(self, event: Started | Stopped) -> None:
        if isinstance(event, Started):
            if not self.translates:
                await self._tell(
                    "input_audio_buffer.speech_started",
                    audio_start_ms=event.at_ms,
                    item_id=self._turn.id,
                )
            return
        if not self.translates and not event.goes_on and self._detector.detection is not None:
            await self._tell(
                "input_audio_buffer.speech_stopped",
                audio_end_ms=event.at_ms,
                item_id=self._turn.id,
            )
        await self._end_turn(event.samples)

    async def _commit(self, *, empty_is_error: bool = True) -> None:
        stopped = self._detector.commit()
        if stopped is not None:
            await self._end_turn(stopped.samples)
        elif empty_is_error:
            raise SettingsError("the input audio buffer is empty; append sound first", "audio")

    async def _end_turn(self, samples: Samples) -> None:
        turn, self._turn = self._turn, _Turn()
        if not self.translates:
            await self._tell(
                "input_audio_buffer.committed", item_id=turn.id, previous_item_id=self._previous
            )
            await self._tell(
                "conversation.item.added",
                previous_item_id=self._previous,
                item={
                    "id": turn.id,
                    "object": "realtime.item",
                    "type": "message",
                    "status": "completed",
                    "role": "user",
                    "content": [{"type": "input_audio", "transcript": None}],
                },
            )
        self._previous = turn.id
        self._waiting_s += len(samples) / SAMPLE_RATE_HZ
        await self._finals.put((turn, samples))
        self._partial_wanted.set()

    async def _next(self) -> tuple[_Turn, Samples] | None:
        """Return the next thing to ask: a turn that has ended, else the one that grows."""
        while True:
            if not self._finals.empty():
                return self._finals.get_nowait()
            await self._partial_wanted.wait()
            self._partial_wanted.clear()
            if not self._finals.empty():
                continue
            duration_s = self._detector.duration_s
            if duration_s - self._turn.asked_s >= PARTIAL_S:
                self._turn.asked_s = duration_s
                return self._turn, self._detector.samples

    async def _ask(self, turn: _Turn, samples: Samples, *, is_final: bool) -> None:
        """Ask the model about a turn and say what is new. Raises what the engine raises."""
        if not self.translates:
            transcript = await self._transcript(samples, translate=False)
            await self._delta(turn, turn.text, transcript.text, is_final=is_final)
            if is_final:
                await self._completed(turn, transcript)
            return
        if self.settings.with_transcript:
            said = await self._transcript(samples, translate=False)
            await self._stream("input", turn.source, said.text, is_final=is_final)
        translated = await self._transcript(samples, translate=True)
        await self._stream("output", turn.text, translated.text, is_final=is_final)

    async def _transcript(self, samples: Samples, *, translate: bool) -> Transcript:
        listening = self.settings.listening(translate=translate)
        engine = self._model.engine(Caller(self._gone))
        least = engine.clip_limits.min_samples
        if len(samples) < least:
            samples = np.pad(samples, (0, least - len(samples)))
        sound = Sound(samples, SAMPLE_RATE_HZ, "the turn")

        def work(put: Callable[[Transcript], None]) -> None:
            for item in hear(engine, sound, listening):
                if isinstance(item, Transcript):
                    put(item)

        # The event of one turn is not that of the session: the next turn needs it unset.
        ended = threading.Event()
        async for transcript in self.state.workers.items(work, ended):
            self.state.metrics.audio_seconds.inc(transcript.duration_s)
            return transcript
        raise ApiError(503, "the server could not answer this turn", code="internal")

    async def _delta(self, turn: _Turn, agreement: Agreement, text: str, *, is_final: bool) -> None:
        new = agreement.finish(text) if is_final else agreement.add(text)
        if new:
            await self._tell(
                "conversation.item.input_audio_transcription.delta",
                item_id=turn.id,
                content_index=0,
                delta=new,
            )

    async def _completed(self, turn: _Turn, transcript: Transcript) -> None:
        found = self._model.logprobs(transcript.segments) if self.settings.logprobs else None
        logprobs = {} if found is None else {"logprobs": [each.model_dump() for each in found]}
        await self._tell(
            "conversation.item.input_audio_transcription.completed",
            item_id=turn.id,
            content_index=0,
            transcript=transcript.text,
            usage={"type": "duration", "seconds": round(transcript.duration_s, 3)},
            **logprobs,
        )

    async def _failed(self, turn: _Turn, error: ApiError) -> None:
        kind = error.body["error"]
        if self.translates:
            await self._tell("error", error=kind | {"event_id": None})
            return
        await self._tell(
            "conversation.item.input_audio_transcription.failed",
            item_id=turn.id,
            content_index=0,
            error={key: kind[key] for key in ("type", "code", "message", "param")},
        )

    async def _stream(self, side: str, agreement: Agreement, text: str, *, is_final: bool) -> None:
        """Say what is new of a stream without turns; the next turn begins with a space."""
        begins = not agreement.shown
        new = agreement.finish(text) if is_final else agreement.add(text)
        if not new:
            return
        if begins and self._emitted[side]:
            new = one_text(["x", new])[1:]
        self._emitted[side] = True
        await self._tell(f"session.{side}_transcript.delta", delta=new)

    async def _tell(self, kind: str, **fields: Any) -> None:
        await self._send({"type": kind, "event_id": f"event_{uuid.uuid4().hex[:24]}", **fields})
