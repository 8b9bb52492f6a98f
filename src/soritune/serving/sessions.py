"""Settings of live sessions, as clients send them.

OpenAI's own types name 24 kHz alone and one kind of session each; these take 16 and 48 kHz as
well, and both forms of `session.update`. What is not known is ignored, as the types do.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from soritune.decoding.listening import Listening
from soritune.serving.asked import TRANSLATED_TO, asked, language_code
from soritune.serving.turns import TurnDetection

DEFAULT_RATE_HZ: Literal[24_000] = 24_000


class _Format(BaseModel):
    type: Literal["audio/pcm"] = "audio/pcm"
    rate: Literal[16_000, 24_000, 48_000] = DEFAULT_RATE_HZ


class _Transcription(BaseModel):
    model: str | None = None
    language: str | None = None
    languages: list[str] = []
    prompt: str | None = None
    keywords: list[str] = []


class _Vad(BaseModel):
    # Semantic VAD is answered by server VAD: turns end at pauses, not at meanings.
    type: Literal["server_vad", "semantic_vad"] = "server_vad"
    threshold: float = Field(0.5, ge=0.05, le=0.99)
    prefix_padding_ms: int = Field(300, ge=0, le=5_000)
    silence_duration_ms: int = Field(500, ge=32, le=10_000)


class _Input(BaseModel):
    format: _Format | None = None
    transcription: _Transcription | None = None
    turn_detection: _Vad | None = None


class _Output(BaseModel):
    language: str | None = None


class _Audio(BaseModel):
    input: _Input | None = None
    output: _Output | None = None


class _Update(BaseModel):
    type: str | None = None
    audio: _Audio | None = None
    include: list[str] | None = None


class _OlderUpdate(BaseModel):
    """`transcription_session.update`, the form before sessions had types."""

    # The older form has no rate and means 24 kHz.
    input_audio_format: Literal["pcm16"] | None = None
    input_audio_transcription: _Transcription | None = None
    turn_detection: _Vad | None = None
    include: list[str] | None = None


class SettingsError(Exception):
    """Settings that cannot be taken, with the parameter that is wrong."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


@dataclass(frozen=True)
class SessionSettings:
    """What a live session does.

    Attributes:
        to: language to translate into; None transcribes.
        with_transcript: whether a translation comes with what was said.
        older: whether the client speaks the older form.
    """

    model: str | None = None
    rate_hz: int = DEFAULT_RATE_HZ
    transcription: _Transcription = field(default_factory=_Transcription)
    detection: TurnDetection | None = field(default_factory=TurnDetection)
    to: str | None = None
    with_transcript: bool = False
    logprobs: bool = False
    older: bool = False
    id: str = field(default_factory=lambda: f"sess_{uuid.uuid4().hex[:24]}")
    created: int = field(default_factory=lambda: int(time.time()))

    def listening(self, *, translate: bool) -> Listening:
        """Return what to ask of a turn. Raises ApiError on an unknown language."""
        wanted = self.transcription
        return asked(
            to=self.to if translate else None,
            language=wanted.language,
            languages=wanted.languages,
            prompt=wanted.prompt,
            keywords=wanted.keywords,
        )

    def updated(self, event: dict[str, Any]) -> SessionSettings:
        """Return the settings after `session.update` or `transcription_session.update`.

        Raises:
            SettingsError: they cannot be taken.
            ApiError: a language is unknown.
        """
        session = event.get("session")
        if not isinstance(session, dict):
            raise SettingsError("session: is missing", "session")
        try:
            if event["type"] == "transcription_session.update":
                settings = self._of_older(_OlderUpdate.model_validate(session))
            else:
                settings = self._of_newer(_Update.model_validate(session))
        except ValidationError as error:
            first = error.errors()[0]
            param = ".".join(["session", *map(str, first["loc"])])
            raise SettingsError(f"{param}: {first['msg']}", param) from None
        settings.listening(translate=settings.to is not None)
        return settings

    def _of_newer(self, update: _Update) -> SessionSettings:
        kinds = ("translation",) if self.to else ("transcription",)
        if update.type not in (None, *kinds):
            raise SettingsError(
                f"session.type: {update.type!r} is not offered here; use {kinds[0]!r}",
                "session.type",
            )
        settings = self
        audio = update.audio
        given = audio.input if audio is not None else None
        if given is not None:
            if given.format is not None:
                settings = replace(settings, rate_hz=given.format.rate)
            if "transcription" in given.model_fields_set:
                settings = replace(
                    settings,
                    transcription=given.transcription or _Transcription(),
                    with_transcript=given.transcription is not None,
                )
            if "turn_detection" in given.model_fields_set:
                settings = replace(settings, detection=_detection(given.turn_detection))
        if audio is not None and audio.output is not None and self.to is not None:
            to = language_code(audio.output.language, "session.audio.output.language")
            settings = replace(settings, to=to or TRANSLATED_TO)
        return settings._included(update.include)

    def _of_older(self, update: _OlderUpdate) -> SessionSettings:
        settings = replace(self, older=True)
        if update.input_audio_transcription is not None:
            settings = replace(settings, transcription=update.input_audio_transcription)
        if "turn_detection" in update.model_fields_set:
            settings = replace(settings, detection=_detection(update.turn_detection))
        return settings._included(update.include)

    def _included(self, include: list[str] | None) -> SessionSettings:
        if include is None:
            return self
        return replace(self, logprobs="item.input_audio_transcription.logprobs" in include)

    @property
    def model_name(self) -> str | None:
        """The model that the session or its connection names."""
        return self.transcription.model or self.model

    def shown(self, seconds: float) -> dict[str, Any]:
        """Return the settings as events show them, for a session that may last `seconds`."""
        vad = None if self.detection is None else {"type": "server_vad", **vars(self.detection)}
        wanted = self.transcription.model_dump(exclude_none=True) | {"model": self.model_name}
        if self.older:
            return {
                "id": self.id,
                "object": "realtime.transcription_session",
                "input_audio_format": "pcm16",
                "input_audio_transcription": wanted,
                "turn_detection": vad,
            }
        sound: dict[str, Any] = {"format": {"type": "audio/pcm", "rate": self.rate_hz}}
        shown: dict[str, Any] = {
            "id": self.id,
            "object": "realtime.session",
            "expires_at": self.created + round(seconds),
        }
        if self.to is None:
            sound |= {"transcription": wanted, "turn_detection": vad}
            return shown | {"type": "transcription", "audio": {"input": sound}}
        if self.with_transcript:
            sound["transcription"] = wanted
        audio = {"input": sound, "output": {"language": self.to}}
        return shown | {"type": "translation", "model": self.model_name, "audio": audio}


def _detection(vad: _Vad | None) -> TurnDetection | None:
    if vad is None:
        return None
    return TurnDetection(vad.threshold, vad.prefix_padding_ms, vad.silence_duration_ms)
