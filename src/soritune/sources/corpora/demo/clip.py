"""One clip of synthetic speech: what is said by which voice and how, rendered when it is needed.

Speech by espeak-ng (see `espeak.py`), with light noise and a little change of level.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soxr

from soritune.sources.corpora.demo.espeak import SAMPLE_RATE_HZ as ESPEAK_RATE_HZ
from soritune.sources.corpora.demo.espeak import synthesize

SAMPLE_RATE_HZ = 16_000
_SPEECH_RMS = 0.06  # level at 0 dB of gain: voices differ by 10 dB, and some of them clip
_PEAK = 0.98
_LEAD_S = (0.05, 0.2)  # noise before the speech; after it espeak-ng leaves a pause of its own


@dataclass(frozen=True)
class DemoClip:
    """What it takes to render a clip; equal fields give equal samples, bit for bit.

    `voice` is a name of `voices.py`, `rate_wpm` words a minute, `pitch` 0 to 99,
    `snr_db` the level of the speech over the noise, `gain_db` the change of the whole clip;
    `seed` decides the noise and its colour (white or pink).
    """

    text: str
    language: str
    voice: str
    rate_wpm: int
    pitch: int
    snr_db: float
    gain_db: float
    seed: int

    def render(self) -> tuple[npt.NDArray[np.float32], int]:
        """Return samples in [-1, 1], shape (num_samples,), and their rate, 16,000 Hz.

        Raises UserError where espeak-ng is not installed.
        """
        spoken = synthesize(self.text, self.voice, self.rate_wpm, self.pitch)
        speech = soxr.resample(spoken, ESPEAK_RATE_HZ, SAMPLE_RATE_HZ)
        generator = np.random.default_rng(self.seed)
        lead = int(generator.uniform(*_LEAD_S) * SAMPLE_RATE_HZ)
        level = float(np.sqrt(np.mean(np.square(speech, dtype=np.float64))))
        speech = np.pad(speech, (lead, 0)) * (_SPEECH_RMS / max(level, 1e-6))
        noise = _noise(generator, len(speech)) * _SPEECH_RMS * _ratio(-self.snr_db)
        mixed = (speech + noise) * _ratio(self.gain_db)
        peak = float(np.abs(mixed).max())
        if peak > _PEAK:
            mixed *= _PEAK / peak
        return mixed.astype(np.float32), SAMPLE_RATE_HZ


def _ratio(decibels: float) -> float:
    return float(10 ** (decibels / 20))


def _noise(generator: np.random.Generator, length: int) -> npt.NDArray[np.float64]:
    """Return white or pink noise of unit power, with equal probability."""
    pink = generator.random() < 0.5
    white = generator.standard_normal(length)
    if not pink:
        return white
    spectrum = np.fft.rfft(white)
    # Power falls with 1/f, so amplitude with its root; the lowest bins would be boundless.
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
    shaped = np.fft.irfft(spectrum, n=length)
    return np.asarray(shaped / np.sqrt(np.mean(shaped**2)), dtype=np.float64)
