"""Recordings as they come in, to what models hear: checked, mono, 16 kHz, float32."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from soritune.corpus.utterance import RenderedAudio
from soritune.errors import UserError

SAMPLE_RATE_HZ = 16_000
MIN_SAMPLES = 400
"""One analysis window of 25 ms: less than that gives no feature frame."""
MIN_DURATION_S = MIN_SAMPLES / SAMPLE_RATE_HZ
MAX_DURATION_S = 30.0
SILENCE_PEAK = 1e-3
"""-60 dBFS: five bits of a 16-bit recording, no speech survives below."""

READ_BLOCK = 1 << 18
STREAMED_SIZE = 0x7FFF_0000
"""Sizes from here up in a RIFF header are placeholders of programs that wrote to a pipe."""
UNKNOWN_FRAMES = 1 << 60
MP3_LENGTH_TOLERANCE = 0.05
"""An MP3 without an exact count has its length estimated from its bit rate."""
FORMS = "wav, flac, mp3, ogg, opus, aiff and others that libsndfile reads"

Samples = npt.NDArray[np.float32]


class AudioError(UserError):
    """A recording that cannot be used.

    `reason` is one word for programs (missing, empty, unreadable, truncated, too-short, too-long,
    silent, non-finite), `detail` the words for people, `where` the file ("" if there is none).
    """

    def __init__(self, reason: str, detail: str, where: str = "") -> None:
        super().__init__(reason, detail, where)
        self.reason = reason
        self.detail = detail
        self.where = where

    def __str__(self) -> str:
        return f"{self.where}: {self.detail}" if self.where else self.detail


@dataclass(frozen=True)
class Limits:
    """What a recording may be; None switches a check off."""

    max_duration_s: float | None = MAX_DURATION_S
    silence_peak: float | None = SILENCE_PEAK


DEFAULT_LIMITS = Limits()


def load_mono_16k(audio: Path | bytes | RenderedAudio, limits: Limits = DEFAULT_LIMITS) -> Samples:
    """Samples of a recording at 16 kHz, shape (num_samples,), float32 in [-1, 1].

    Channels are averaged. What exceeds full scale (float files, overshoot of the resampling) is
    scaled down to it, not clipped. Raises AudioError.
    """
    where = str(audio) if isinstance(audio, Path) else ""
    if isinstance(audio, RenderedAudio):
        samples, rate_hz = audio.render()
        if limits.max_duration_s is not None:
            _check_length(len(samples), rate_hz, limits.max_duration_s, where)
        samples = _mono(samples)
    else:
        samples, rate_hz = read_audio(audio, limits.max_duration_s)
    return to_16k(samples, rate_hz, limits, where)


def read_audio(
    audio: Path | bytes, max_duration_s: float | None = MAX_DURATION_S
) -> tuple[Samples, int]:
    """Decode a file or its bytes to mono float32 samples (num_samples,) and their rate in Hz.

    Stops reading where `max_duration_s` is exceeded, so a film costs no more than a clip.
    Raises AudioError: missing, empty, unreadable, truncated, too-long.
    """
    if not isinstance(audio, Path):
        return _decode(io.BytesIO(audio), len(audio), max_duration_s, "")
    where = str(audio)
    try:
        with audio.open("rb") as file:
            return _decode(file, audio.stat().st_size, max_duration_s, where)
    except FileNotFoundError as error:
        raise AudioError("missing", "there is no such file", where) from error
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise AudioError("unreadable", f"cannot be opened ({error})", where) from error


def to_16k(
    samples: Samples, rate_hz: int, limits: Limits = DEFAULT_LIMITS, where: str = ""
) -> Samples:
    """Check mono samples (num_samples,) and bring them from `rate_hz` to 16 kHz.

    Raises AudioError: empty, non-finite, too-short, too-long, silent.
    """
    import soxr

    if not len(samples):
        raise AudioError("empty", "holds no samples", where)
    if not np.isfinite(samples).all():
        raise AudioError("non-finite", "holds samples that are no numbers (NaN or infinity)", where)
    if limits.max_duration_s is not None:
        _check_length(len(samples), rate_hz, limits.max_duration_s, where)
    if rate_hz != SAMPLE_RATE_HZ:
        samples = soxr.resample(samples, rate_hz, SAMPLE_RATE_HZ, quality="HQ")
    if len(samples) < MIN_SAMPLES:
        raise AudioError(
            "too-short",
            f"lasts {1000 * len(samples) / SAMPLE_RATE_HZ:.1f} ms; "
            f"at least {1000 * MIN_DURATION_S:.0f} ms are needed",
            where,
        )
    if limits.silence_peak is not None:
        # A constant offset of the converter is no sound either.
        peak = float(np.abs(samples - samples.mean(dtype=np.float64)).max())
        if peak < limits.silence_peak:
            raise AudioError("silent", f"is silent (peak {peak:.1e} of full scale)", where)
    loudest = float(np.abs(samples).max())
    if loudest > 1.0:
        samples = samples / np.float32(loudest)
    return np.ascontiguousarray(samples, dtype=np.float32)


def _decode(
    file: BinaryIO, num_bytes: int, max_duration_s: float | None, where: str
) -> tuple[Samples, int]:
    import soundfile

    if num_bytes == 0:
        raise AudioError("empty", "is an empty file (0 bytes)", where)
    try:
        sound = soundfile.SoundFile(file)
    except (soundfile.SoundFileError, TypeError) as error:  # TypeError: headerless .raw
        raise AudioError("unreadable", f"is no audio that can be read ({FORMS})", where) from error
    with sound:
        rate_hz, claimed = sound.samplerate, sound.frames
        if rate_hz <= 0:
            raise AudioError("unreadable", f"claims a sample rate of {rate_hz} Hz", where)
        known = claimed < UNKNOWN_FRAMES
        if max_duration_s is not None and known:
            _check_length(claimed, rate_hz, max_duration_s, where)
        blocks: list[Samples] = []
        num_frames = 0
        try:
            while len(block := sound.read(READ_BLOCK, dtype="float32", always_2d=True)):
                blocks.append(_mono(block))
                num_frames += len(block)
                if max_duration_s is not None:
                    _check_length(num_frames, rate_hz, max_duration_s, where)
        except soundfile.SoundFileError as error:
            raise AudioError(
                "truncated", f"breaks off or is damaged after {num_frames / rate_hz:.2f} s", where
            ) from error
        missing = claimed - num_frames if known else 0
        slack = claimed * MP3_LENGTH_TOLERANCE if sound.format == "MP3" else 0
        if missing > slack or _header_claims_more(sound.extra_info) or _last_ogg_page_cut(file):
            raise AudioError("truncated", "breaks off before the end its header names", where)
    if not num_frames:
        raise AudioError("empty", "holds no samples", where)
    return np.concatenate(blocks), rate_hz


def _check_length(num_frames: int, rate_hz: int, max_duration_s: float, where: str) -> None:
    if num_frames > max_duration_s * rate_hz:
        raise AudioError(
            "too-long",
            f"lasts {num_frames / rate_hz:.1f} s; at most {max_duration_s:g} s are taken",
            where,
        )


def _mono(samples: Samples) -> Samples:
    """(num_samples,) or (num_samples, channels) to the mean of the channels."""
    if samples.ndim == 1:
        return samples
    return samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1, dtype=np.float32)


def _header_claims_more(log: str) -> bool:
    """libsndfile shortens cut WAV, AIFF and W64 files without an error, but says so in its log."""
    sizes = re.findall(r"^\s*(?:data|SSND|riff)\s*:\s*(\d+) \(should be (\d+)\)", log, re.MULTILINE)
    return any(int(real) + 2 < int(claimed) < STREAMED_SIZE for claimed, real in sizes)


def _last_ogg_page_cut(file: BinaryIO) -> bool:
    """Ogg has no length in its header: a cut file is one whose last page is not all there."""
    file.seek(0)
    if file.read(4) != b"OggS":
        return False
    end = file.seek(0, io.SEEK_END)
    file.seek(max(0, end - (1 << 17)))  # a page has at most 27 + 255 + 255 * 255 bytes
    tail = file.read()
    start = tail.rfind(b"OggS")
    page = tail[start:]
    if start < 0 or len(page) < 27 or len(page) < 27 + page[26]:
        return True
    return len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]])
