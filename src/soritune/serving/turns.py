"""Live sound to turns: who speaks from when to when, decided while they speak."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

import numpy as np
import soxr

from soritune.audio import SAMPLE_RATE_HZ, Samples
from soritune.audio.voice import FRAME_SAMPLES, VoiceDetector
from soritune.decoding.cutting import PAD_S

FULL_SCALE = 32_768.0
CUT_WITHIN_S = 5.0
"""A turn that reaches the longest clip is cut at the quietest frame of its last seconds."""


@dataclass(frozen=True)
class TurnDetection:
    """Settings of server VAD, with OpenAI's defaults.

    Attributes:
        threshold: probability of speech from which somebody speaks; they stop at 0.15 less.
        prefix_padding_ms: sound before the first speech that belongs to the turn.
        silence_duration_ms: silence that ends a turn.
    """

    threshold: float = 0.5
    prefix_padding_ms: int = 300
    silence_duration_ms: int = 500


@dataclass(frozen=True)
class Started:
    """Somebody began to speak, at this millisecond of the session."""

    at_ms: int


@dataclass(frozen=True)
class Stopped:
    """A turn ended.

    Attributes:
        samples: of the turn, 16 kHz mono, with 0.2 s of the silence that ended it.
        goes_on: whether it was only cut for its length, in the middle of speech.
    """

    at_ms: int
    samples: Samples
    goes_on: bool = False


class PcmDecoder:
    """Turns base64 of 16-bit little-endian mono into 16 kHz samples, chunk after chunk."""

    def __init__(self, rate_hz: int) -> None:
        self._half = b""  # a chunk may end in the middle of a sample
        self._resampler = (
            None
            if rate_hz == SAMPLE_RATE_HZ
            else soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, quality="HQ")
        )

    def decode(self, audio: str) -> Samples:
        """Return the next samples. Raises ValueError where it is not base64."""
        try:
            content = self._half + base64.b64decode(audio, validate=True)
        except binascii.Error as error:
            raise ValueError(f"audio is not base64 ({error})") from None
        whole = len(content) // 2 * 2
        content, self._half = content[:whole], content[whole:]
        return self._resampled(np.frombuffer(content, "<i2").astype(np.float32) / FULL_SCALE)

    def finish(self) -> Samples:
        """Return what the resampler still holds."""
        if self._resampler is None:
            return np.zeros(0, np.float32)
        rest: Samples = self._resampler.resample_chunk(np.zeros(0, np.float32), last=True)
        return rest

    def _resampled(self, samples: Samples) -> Samples:
        if self._resampler is None:
            return samples
        found: Samples = self._resampler.resample_chunk(samples)
        return found


class TurnDetector:
    """Cuts live sound into turns.

    Args:
        detection: None leaves the cutting to `commit`, except for the longest clip.
        longest_s: of a turn.
    """

    def __init__(self, detection: TurnDetection | None, longest_s: float) -> None:
        self.detection = detection
        self.longest = int(longest_s * SAMPLE_RATE_HZ) // FRAME_SAMPLES
        self.speaking = False
        self._voice = VoiceDetector()
        self._rest = np.zeros(0, np.float32)
        self._frames: list[Samples] = []
        self._probabilities: list[float] = []
        self._first = 0  # number of the first kept frame in the session
        self._quiet = 0  # frames since speech

    @property
    def samples(self) -> Samples:
        """The sound of the turn so far, 16 kHz mono."""
        return np.concatenate([*self._frames, self._rest])

    @property
    def duration_s(self) -> float:
        """Length of the turn so far."""
        return (len(self._frames) * FRAME_SAMPLES + len(self._rest)) / SAMPLE_RATE_HZ

    def feed(self, samples: Samples) -> list[Started | Stopped]:
        """Take the next samples and return what happened in them."""
        self._rest = np.concatenate([self._rest, samples])
        count = len(self._rest) // FRAME_SAMPLES
        frames = self._rest[: count * FRAME_SAMPLES].reshape(count, FRAME_SAMPLES)
        self._rest = self._rest[count * FRAME_SAMPLES :]
        probabilities = self._voice.feed(frames.reshape(-1)) if count else ()
        events: list[Started | Stopped] = []
        for frame, probability in zip(frames, probabilities, strict=True):
            self._frames.append(frame)
            self._probabilities.append(float(probability))
            events += self._decide(float(probability))
        return events

    def commit(self) -> Stopped | None:
        """End the turn now; None where there is no sound."""
        samples = self.samples
        at_ms = self._ms(len(self._frames))
        self.clear()
        return Stopped(at_ms, samples) if len(samples) else None

    def clear(self) -> None:
        """Forget the turn."""
        self._first += len(self._frames)
        self._frames, self._probabilities = [], []
        self._rest = np.zeros(0, np.float32)
        self.speaking, self._quiet = False, 0

    def _decide(self, probability: float) -> list[Started | Stopped]:
        if self.detection is None:
            return [self._cut()] if len(self._frames) >= self.longest else []
        if not self.speaking:
            padding = self._num_frames(self.detection.prefix_padding_ms)
            self._drop(len(self._frames) - padding - 1)
            if probability < self.detection.threshold:
                return []
            self.speaking, self._quiet = True, 0
            return [Started(self._ms(0))]
        self._quiet = self._quiet + 1 if probability < self.detection.threshold - 0.15 else 0
        if self._quiet >= self._num_frames(self.detection.silence_duration_ms):
            at_ms = self._ms(len(self._frames))
            # As around speech in recordings; a model trained on clips errs where silence follows.
            heard = len(self._frames) - self._quiet + self._num_frames(round(PAD_S * 1000))
            samples = np.concatenate(self._frames[:heard])
            padding = self._num_frames(self.detection.prefix_padding_ms)
            self._drop(len(self._frames) - padding)
            self.speaking = False
            return [Stopped(at_ms, samples)]
        return [self._cut()] if len(self._frames) >= self.longest else []

    def _cut(self) -> Stopped:
        """Return the turn up to its quietest late frame; the rest stays."""
        late = min(len(self._frames) - 1, int(CUT_WITHIN_S * SAMPLE_RATE_HZ) // FRAME_SAMPLES)
        quietest = int(np.argmin(self._probabilities[-late:])) + len(self._frames) - late
        samples, at_ms = np.concatenate(self._frames[:quietest]), self._ms(quietest)
        self._drop(quietest)
        return Stopped(at_ms, samples, goes_on=True)

    def _drop(self, count: int) -> None:
        if count > 0:
            del self._frames[:count], self._probabilities[:count]
            self._first += count

    def _num_frames(self, ms: int) -> int:
        return max(1, round(ms / 1000 * SAMPLE_RATE_HZ / FRAME_SAMPLES))

    def _ms(self, frame: int) -> int:
        return round((self._first + frame) * FRAME_SAMPLES / SAMPLE_RATE_HZ * 1000)
