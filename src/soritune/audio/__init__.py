"""Recordings as they come in, to what models hear: checked, mono, 16 kHz, float32."""

from __future__ import annotations

import io
import math
import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from soritune.audio.decode import check_length, decode
from soritune.audio.errors import AudioError
from soritune.audio.levels import Samples, to_mono
from soritune.utterance import Excerpt, RenderedAudio

__all__ = [
    "DEFAULT_LIMITS",
    "MAX_DURATION_S",
    "SAMPLE_RATE_HZ",
    "AudioError",
    "Limits",
    "Samples",
    "load_mono_16k",
    "read_audio",
    "refuse_devices",
    "to_16k",
]

SAMPLE_RATE_HZ = 16_000
MIN_SAMPLES = 400
"""One analysis window of 25 ms: less than that gives no feature frame."""
MIN_DURATION_S = MIN_SAMPLES / SAMPLE_RATE_HZ
MAX_DURATION_S = 30.0
SILENCE_PEAK = 1e-3
"""-60 dBFS: five bits of a 16-bit recording, no speech survives below."""


@dataclass(frozen=True)
class Limits:
    """What a recording may be; None switches a check off."""

    max_duration_s: float | None = MAX_DURATION_S
    silence_peak: float | None = SILENCE_PEAK


DEFAULT_LIMITS = Limits()


def load_mono_16k(
    audio: Path | bytes | Excerpt | RenderedAudio, limits: Limits = DEFAULT_LIMITS
) -> Samples:
    """Return the samples of a recording at 16 kHz, shape (num_samples,), float32 in [-1, 1].

    Channels are averaged; where they cancel each other, one is taken. What exceeds full
    scale (float files, overshoot of the resampling) is scaled down to it, not clipped. Of an
    excerpt, only that part is decoded where its format can seek; the limits are those of the part.
    Raises AudioError.
    """
    where = str(audio) if isinstance(audio, Path | Excerpt) else ""
    if isinstance(audio, RenderedAudio):
        samples, rate_hz = audio.render()
        if limits.max_duration_s is not None:
            check_length(len(samples), rate_hz, limits.max_duration_s, where)
        samples = to_mono(samples)
    else:
        samples, rate_hz = read_audio(audio, limits.max_duration_s)
    return to_16k(samples, rate_hz, limits, where)


def read_audio(
    audio: Path | bytes | Excerpt, max_duration_s: float | None = MAX_DURATION_S
) -> tuple[Samples, int]:
    """Decode a file, its bytes or a part to mono float32 (num_samples,) and its rate in Hz.

    Stops reading where `max_duration_s` is exceeded, so a film costs no more than a clip.
    Raises AudioError: missing, empty, unreadable, truncated, too-long, outside.
    """
    if isinstance(audio, bytes):
        return decode(io.BytesIO(audio), len(audio), None, max_duration_s, "")
    where = str(audio)
    path, part = (audio.path, audio) if isinstance(audio, Excerpt) else (audio, None)
    try:
        refuse_devices(path, where)
        with path.open("rb") as file:
            return decode(file, path.stat().st_size, part, max_duration_s, where)
    except FileNotFoundError as error:
        raise AudioError("missing", "there is no such file", where) from error
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise AudioError("unreadable", f"cannot be opened ({error})", where) from error


def refuse_devices(path: Path, where: str) -> None:
    """Raise AudioError for what is not a file: opening a pipe would wait for ever.

    OSError comes through where there is nothing at `path`.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
        raise AudioError("unreadable", f"is {kind}, not a file", where)


def to_16k(
    samples: Samples, rate_hz: int, limits: Limits = DEFAULT_LIMITS, where: str = ""
) -> Samples:
    """Check mono samples (num_samples,) and bring them from `rate_hz` to 16 kHz.

    Raises AudioError: empty, non-finite, too-short, too-long, silent.
    """
    import soxr

    if not len(samples):
        raise AudioError("empty", "holds no samples", where)
    if not all(map(math.isfinite, _range(samples))):
        raise AudioError(
            "non-finite", "holds samples that are not numbers (NaN or infinity)", where
        )
    if limits.max_duration_s is not None:
        check_length(len(samples), rate_hz, limits.max_duration_s, where)
    if rate_hz != SAMPLE_RATE_HZ:
        samples = soxr.resample(samples, rate_hz, SAMPLE_RATE_HZ, quality="HQ")
    if len(samples) < MIN_SAMPLES:
        raise AudioError(
            "too-short",
            f"lasts {1000 * len(samples) / SAMPLE_RATE_HZ:.1f} ms; "
            f"at least {1000 * MIN_DURATION_S:.0f} ms are needed",
            where,
        )
    lowest, highest = _range(samples)
    if limits.silence_peak is not None:
        # A constant offset of the converter is not sound either.
        offset = float(samples.mean(dtype=np.float64))
        peak = max(highest - offset, offset - lowest)
        if peak < limits.silence_peak:
            raise AudioError("silent", f"is silent (peak {peak:.1e} of full scale)", where)
    loudest = max(highest, -lowest)
    if loudest > 1.0:
        samples = samples / np.float32(loudest)
    return np.ascontiguousarray(samples, dtype=np.float32)


def _range(samples: Samples) -> tuple[float, float]:
    """Return the lowest and the highest sample; NaN where there is one."""
    return float(samples.min()), float(samples.max())
