"""A clip as it sounds through a telephone: 8 kHz, a narrow band, a speech codec."""

from __future__ import annotations

import io

import numpy as np

from soritune.audio import SAMPLE_RATE_HZ, Samples

TELEPHONE_RATE_HZ = 8000
# The band of a telephone channel (ITU-T G.712): it passes 300 to 3,400 Hz; here it fades out
# within the hertz that follow on either side.
LOW_HZ, LOW_FADE_HZ = 300.0, 150.0
HIGH_HZ, HIGH_FADE_HZ = 3400.0, 300.0

CODECS = ("mu-law", "a-law", "gsm", "mp3")
# (format, subtype) of libsndfile: ITU-T G.711, GSM 06.10 full rate, MPEG-2.5 layer III.
_FORMS = {
    "mu-law": ("WAV", "ULAW"),
    "a-law": ("WAV", "ALAW"),
    "gsm": ("WAV", "GSM610"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}


def through_telephone(samples: Samples, codec: str) -> Samples:
    """Return a clip through a codec of `CODECS`, or through the band alone for "none".

    Both are 16 kHz, shape (num_samples,); length and timing stay.
    """
    import soxr

    narrow = soxr.resample(samples, SAMPLE_RATE_HZ, TELEPHONE_RATE_HZ, quality="HQ")
    narrow = _band(np.asarray(narrow, dtype=np.float32))
    if codec != "none":
        narrow = _coded(narrow, codec)
    wide = soxr.resample(narrow, TELEPHONE_RATE_HZ, SAMPLE_RATE_HZ, quality="HQ")
    return fit(np.asarray(wide, dtype=np.float32), len(samples))


def fit(samples: Samples, num_samples: int) -> Samples:
    """Cut `samples`, or fill them with silence at the end, to `num_samples`."""
    if len(samples) >= num_samples:
        return samples[:num_samples]
    return np.pad(samples, (0, num_samples - len(samples)))


def _band(samples: Samples) -> Samples:
    """Filter without a phase shift, so that nothing moves."""
    # Room for the filter's ringing, which would otherwise wrap around to the other end.
    size = len(samples) + TELEPHONE_RATE_HZ // 4
    hz = np.fft.rfftfreq(size, 1 / TELEPHONE_RATE_HZ)
    rise = np.clip((hz - (LOW_HZ - LOW_FADE_HZ)) / LOW_FADE_HZ, 0, 1)
    fall = np.clip((HIGH_HZ + HIGH_FADE_HZ - hz) / HIGH_FADE_HZ, 0, 1)
    gain = np.sin(np.pi / 2 * rise) ** 2 * np.sin(np.pi / 2 * fall) ** 2
    filtered = np.fft.irfft(np.fft.rfft(samples, size) * gain, size)
    return filtered[: len(samples)].astype(np.float32)


def _coded(samples: Samples, codec: str) -> Samples:
    import soundfile

    form, subtype = _FORMS[codec]
    loudest = float(np.abs(samples).max(initial=0.0))
    scale = np.float32(1 / loudest if loudest > 1 else 1)
    buffer = io.BytesIO()
    soundfile.write(buffer, samples * scale, TELEPHONE_RATE_HZ, format=form, subtype=subtype)
    buffer.seek(0)
    decoded, _ = soundfile.read(buffer, dtype="float32")
    # libsndfile removes the delay of MP3 itself; padding of the last block is cut.
    return fit(decoded, len(samples)) / scale
