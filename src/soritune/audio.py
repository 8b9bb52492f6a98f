"""Recordings as they come in, to what models hear: checked, mono, 16 kHz, float32."""

from __future__ import annotations

import io
import itertools
import math
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from soritune.errors import UserError
from soritune.utterance import Excerpt, RenderedAudio

SAMPLE_RATE_HZ = 16_000
MIN_SAMPLES = 400
"""One analysis window of 25 ms: less than that gives no feature frame."""
MIN_DURATION_S = MIN_SAMPLES / SAMPLE_RATE_HZ
MAX_DURATION_S = 30.0
SILENCE_PEAK = 1e-3
"""-60 dBFS: five bits of a 16-bit recording, no speech survives below."""

MIN_RATE_HZ, MAX_RATE_HZ = 4_000, 768_000
"""Half a telephone's rate, and the highest that converters have: beyond, a header is wrong."""
READ_BLOCK = 1 << 18
"""Values of all channels that are read at a time: a header may claim a thousand channels."""
LOSSY_READ_BLOCK = 1 << 24  # 5.8 minutes at 48 kHz
STREAMED_SIZE = 0x7FFF_0000
"""Sizes from here up in a RIFF header are placeholders of programs that wrote to a pipe."""
UNKNOWN_FRAMES = 1 << 60
MP3_LENGTH_TOLERANCE = 0.05
"""An MP3 without an exact count has its length estimated from its bit rate."""
END_SLACK_S = 0.5
"""What a part may reach beyond the end of its file, where it is then cut: times in lists are
rounded. Kaldi's extract-segments has the same limit (--max-overshoot=0.5)."""
RUN_IN_S = 1.0
"""Decoders of LOSSY forms are exact only some frames after a seek: an MP3 frame needs bits of
earlier ones, Opus 80 ms (RFC 7845, 4.6). That much is read before a part and dropped."""
LOSSY = ("MP3", "OGG")
FROM_INT16 = np.float32(1 / 32768)
FORMS = "wav, flac, mp3, ogg, opus, aiff and others that libsndfile reads"

Samples = npt.NDArray[np.float32]


class AudioError(UserError):
    """A recording that cannot be used.

    `reason` is one word for programs (missing, empty, unreadable, truncated, too-short, too-long,
    silent, non-finite, bad-rate, outside), `detail` the words for people, `where` the file (""
    if there is none).
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


def load_mono_16k(
    audio: Path | bytes | Excerpt | RenderedAudio, limits: Limits = DEFAULT_LIMITS
) -> Samples:
    """Return the samples of a recording at 16 kHz, shape (num_samples,), float32 in [-1, 1].

    Channels are averaged. What exceeds full scale (float files, overshoot of the resampling) is
    scaled down to it, not clipped. Of an excerpt, only that part is decoded where its format can
    seek; the limits are those of the part. Raises AudioError.
    """
    where = str(audio) if isinstance(audio, Path | Excerpt) else ""
    if isinstance(audio, RenderedAudio):
        samples, rate_hz = audio.render()
        if limits.max_duration_s is not None:
            _check_length(len(samples), rate_hz, limits.max_duration_s, where)
        samples = _mono(samples)
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
        return _decode(io.BytesIO(audio), len(audio), None, max_duration_s, "")
    where = str(audio)
    path, part = (audio.path, audio) if isinstance(audio, Excerpt) else (audio, None)
    try:
        refuse_devices(path, where)
        with path.open("rb") as file:
            return _decode(file, path.stat().st_size, part, max_duration_s, where)
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


def _decode(
    file: BinaryIO,
    num_bytes: int,
    part: Excerpt | None,
    max_duration_s: float | None,
    where: str,
) -> tuple[Samples, int]:
    import soundfile

    if num_bytes == 0:
        raise AudioError("empty", "is an empty file (0 bytes)", where)
    try:
        sound = soundfile.SoundFile(file)
    except (soundfile.SoundFileError, TypeError) as error:  # TypeError: headerless .raw
        raise AudioError("unreadable", f"is not audio that can be read ({FORMS})", where) from error
    with sound:
        rate_hz, claimed = sound.samplerate, sound.frames
        if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
            raise AudioError(
                "bad-rate",
                f"claims a sample rate of {rate_hz:,} Hz; speech has {MIN_RATE_HZ:,} to "
                f"{MAX_RATE_HZ:,}",
                where,
            )
        known = claimed < UNKNOWN_FRAMES
        first, last = (0, None) if part is None else _frames(part, rate_hz, where)
        channel = None if part is None else part.channel
        if channel is not None and not 0 <= channel < sound.channels:
            detail = f"asks for channel {channel} (from 0) of {sound.channels}"
            raise AudioError("outside", detail, where)
        slack = round(END_SLACK_S * rate_hz)
        if known:
            if claimed and part is not None and not first < claimed >= (last or 0) - slack:
                if _is_cut(sound, file):
                    raise AudioError("truncated", "breaks off before this part", where)
                detail = f"lies outside the file, which lasts {claimed / rate_hz:.3f} s"
                raise AudioError("outside", detail, where)
            last = claimed if last is None else min(last, claimed)
        if max_duration_s is not None and last is not None:
            _check_length(last - first, rate_hz, max_duration_s, where)
        blocks: list[Samples] = []
        num_frames = 0
        try:
            for block in _blocks(sound, first, last):
                blocks.append(_mono(block) if channel is None else block[:, channel])
                num_frames += len(block)
                if max_duration_s is not None:
                    _check_length(num_frames, rate_hz, max_duration_s, where)
        except soundfile.SoundFileError as error:
            raise AudioError(
                "truncated", f"breaks off or is damaged after {num_frames / rate_hz:.2f} s", where
            ) from error
        missing = last - first - num_frames if known and last is not None else 0
        tolerated = slack if part is not None else claimed * MP3_LENGTH_TOLERANCE
        if sound.format != "MP3":
            tolerated = 0
        if missing > tolerated or (last in (None, claimed) and _is_cut(sound, file)):
            raise AudioError("truncated", "breaks off before the end its header names", where)
    if not num_frames:
        raise AudioError("empty", "holds no samples", where)
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks), rate_hz


def _frames(part: Excerpt, rate_hz: int, where: str) -> tuple[int, int | None]:
    """Return the first frame of a part and the one after its last (None: to the end)."""
    ends_s = [part.start_s] if part.duration_s is None else [part.start_s, part.duration_s]
    if not all(math.isfinite(end_s) and end_s >= 0 for end_s in ends_s) or part.duration_s == 0:
        raise AudioError("outside", "is not a span of time (negative, zero or not a number)", where)
    # Sums of decimal fractions are off by some 1e-16: half a frame must go one way always.
    first, *last = (
        math.floor(round(end_s * rate_hz, 6) + 0.5) for end_s in itertools.accumulate(ends_s)
    )
    return first, last[0] if last else None


def _blocks(sound: Any, first: int, last: int | None) -> Iterator[Samples]:
    """Yield frames from `first` to before `last` (None: the end), each (num_frames, channels)."""
    lossy = sound.format in LOSSY
    # The same numbers, but numpy is faster at them than libsndfile.
    dtype = "int16" if sound.subtype == "PCM_16" else "float32"
    position = 0
    if first and sound.seekable():
        run_in = round(RUN_IN_S * sound.samplerate) if lossy else 0
        position = sound.seek(max(0, first - run_in))
    size = max(1, READ_BLOCK // sound.channels)
    if lossy and last is not None:  # soundfile seeks after each reading: as few as can be
        size = min(last - position, LOSSY_READ_BLOCK)
    while last is None or position < last:
        block = sound.read(
            size if last is None else min(size, last - position), dtype=dtype, always_2d=True
        )
        if not len(block):
            return
        kept = block[max(0, first - position) :]
        position += len(block)
        if len(kept):
            yield kept * FROM_INT16 if dtype == "int16" else kept


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


def _is_cut(sound: Any, file: BinaryIO) -> bool:
    return _header_claims_more(sound.extra_info) or _last_ogg_page_cut(file)


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
