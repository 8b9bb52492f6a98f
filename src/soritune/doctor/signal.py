"""What is measured of one clip: bandwidth, clipping, silence at the ends, offset, noise.

All levels are relative to the clip itself unless they are called dBFS, so that a quiet recording
is judged as a loud one is. Thresholds stand in `soritune.doctor.catalogue`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from soritune.audio import SAMPLE_RATE_HZ, Samples
from soritune.sources.silence import frame_levels_db, silent_ends_s, speech_and_noise_db

WINDOW = 2048
"""128 ms: shared by the bandwidth and the fingerprint, so that one transform serves both."""
HOP = 256
LOW_HZ = (300.0, 3400.0)
"""The telephone band (ITU-T G.712), which every speech recording holds."""
HIGH_HZ = (4400.0, 7600.0)
"""Above what 8 kHz can carry and its resampler's transition band, below that of 16 kHz."""
GAP_HZ = (3950.0, 4050.0)
BESIDE_HZ = ((3200.0, 3500.0), (4500.0, 4800.0))
"""Upsampling by straight lines or cubic curves mirrors at 4 kHz what is below. The filter in front
of a rate of 8 kHz has taken off what is next to the mirror, so a gap is left there."""
HIGH_PERCENTILE = 99.0
"""Frames with the most energy up there: fricatives; vowels have little in wide-band speech too."""

NO_ENERGY = 1e-20
FULL_SCALE = 32_767 / 32_768
PLATEAU_RUN = 3
"""Consecutive samples at the limit. A sine at full scale below 250 Hz has as many, speech's peaks
are sharper (its energy at the peaks lies in the first formant, 300 Hz and up)."""
PLATEAU_TOLERANCE = 0.002
"""Share of the peak: samples this near to it are on its plateau."""
_HANN = np.hanning(WINDOW).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Signal:
    """Measures of one clip.

    `high_band_db`: energy of `HIGH_HZ` in its strongest frames, against that of `LOW_HZ` in its
    strongest. `gap_db`: level of `GAP_HZ` against the weaker side of it. `clipped_runs`: plateaus
    of `PLATEAU_RUN` samples and more at full scale; `flat_runs`: at the clip's own peak. `offset`:
    mean of the samples, of full scale. `snr_db`: speech level over noise level. `lead_s`,
    `trail_s`: before and after the speech.
    """

    duration_s: float
    high_band_db: float
    gap_db: float
    clipped_runs: int
    flat_runs: int
    peak: float
    offset: float
    snr_db: float
    noise_dbfs: float
    lead_s: float
    trail_s: float


def power_spectra(samples: Samples) -> npt.NDArray[np.float32]:
    """Power of `WINDOW` bins every `HOP` samples, shape (frames, WINDOW // 2 + 1), float32.

    A clip shorter than a window is padded to one.
    """
    padded = np.pad(samples, (0, max(0, WINDOW - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    spectra = np.fft.rfft(frames * _HANN, axis=1)
    return np.square(spectra.real) + np.square(spectra.imag)


def measure(samples: Samples, spectra: npt.NDArray[np.float32]) -> Signal:
    """Measure a clip: samples (num_samples,) at 16 kHz and its `power_spectra`."""
    levels = frame_levels_db(samples)
    speech_db, noise_db = speech_and_noise_db(levels)
    lead_s, trail_s = silent_ends_s(samples, levels)
    peak = float(np.abs(samples).max(initial=0.0))
    return Signal(
        duration_s=len(samples) / SAMPLE_RATE_HZ,
        high_band_db=high_band_db(spectra),
        gap_db=gap_db(spectra),
        clipped_runs=plateaus(samples, FULL_SCALE),
        flat_runs=plateaus(samples, peak * (1 - PLATEAU_TOLERANCE)) if peak > 0 else 0,
        peak=peak,
        offset=float(samples.mean(dtype=np.float64)),
        snr_db=speech_db - noise_db,
        noise_dbfs=noise_db,
        lead_s=lead_s,
        trail_s=trail_s,
    )


def high_band_db(spectra: npt.NDArray[np.float32]) -> float:
    """Energy of `HIGH_HZ` against `LOW_HZ`, each in the frames where it is strongest, in dB."""
    return strongest_db(spectra, HIGH_HZ) - strongest_db(spectra, LOW_HZ)


def gap_db(spectra: npt.NDArray[np.float32]) -> float:
    """Mean power in `GAP_HZ` against that of the weaker of `BESIDE_HZ`, in dB."""

    def level_db(band: tuple[float, float]) -> float:
        return strongest_db(spectra, band) - 10 * float(np.log10(band[1] - band[0]))

    return level_db(GAP_HZ) - min(map(level_db, BESIDE_HZ))


def strongest_db(spectra: npt.NDArray[np.float32], band: tuple[float, float]) -> float:
    """Energy of a band in the frames where it is strongest."""
    hz = SAMPLE_RATE_HZ / WINDOW
    part = spectra[:, round(band[0] / hz) : round(band[1] / hz)]
    energy = np.percentile(part.sum(axis=1, dtype=np.float64), HIGH_PERCENTILE)
    return 10 * float(np.log10(max(float(energy), NO_ENERGY)))


def plateaus(samples: Samples, limit: float) -> int:
    """Runs of at least `PLATEAU_RUN` samples of one sign whose amplitude reaches `limit`."""
    return sum(_runs(side >= limit, PLATEAU_RUN) for side in (samples, -samples))


def _runs(mask: npt.NDArray[np.bool_], length: int) -> int:
    if np.count_nonzero(mask) < length:
        return 0
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.view(np.int8), [0]))))
    return int(np.count_nonzero(edges[1::2] - edges[::2] >= length))
