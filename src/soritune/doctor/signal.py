"""What is measured of one clip: bandwidth, clipping, silence at the ends, offset, noise.

All levels are relative to the clip itself unless they are called dBFS, so that a quiet recording
is judged as a loud one is. Thresholds stand in `soritune.doctor.thresholds`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from soritune.audio import SAMPLE_RATE_HZ, Samples

WINDOW = 2048
"""128 ms: shared by the bandwidth and the fingerprint, so that one transform serves both."""
HOP = 256
LOW_HZ = (300.0, 3400.0)
"""The telephone band (ITU-T G.712), which every speech recording holds."""
HIGH_HZ = (4400.0, 7600.0)
"""Above what 8 kHz can carry and its resampler's transition band, below that of 16 kHz."""
HIGH_PERCENTILE = 99.0
"""Frames with the most energy up there: fricatives; vowels have little in wide-band speech too."""

FRAME = 160
"""10 ms, for levels."""
NOISE_PERCENTILE, SPEECH_PERCENTILE = 10.0, 95.0
"""Of the frames' levels. 95: the speech level of NIST's stnr (SPQA 2.3), which has its noise from
the lower mode of the same histogram; a low percentile stands for it, as a clip of a few seconds
has too few frames for a mode."""
SPEECH_BELOW_DB = 35.0
"""Frames down to this much under the speech level may still be speech (weak final consonants)."""
ABOVE_NOISE_DB = 6.0
MIN_ACTIVE_FRAMES = 3
"""30 ms of activity make speech; a click is shorter."""
FLOOR = 1e-10
"""-100 dBFS: under the steps of 16 bits, so digital silence has a level, too."""

FULL_SCALE = 32_767 / 32_768
PLATEAU_RUN = 3
"""Consecutive samples at the limit. A sine at full scale below 250 Hz has as many, speech's peaks
are sharper (its energy at the peaks lies in the first formant, 300 Hz and up)."""
PLATEAU_TOLERANCE = 0.002
"""Share of the peak: samples this near to it are on its plateau."""


@dataclass(frozen=True, slots=True)
class Signal:
    """Measures of one clip.

    `high_band_db`: energy of `HIGH_HZ` in its strongest frames, against that of `LOW_HZ` in its
    strongest. `clipped_runs`: plateaus of `PLATEAU_RUN` samples and more at full scale;
    `flat_runs`: at the clip's own peak. `offset`: mean of the samples, of full scale.
    `snr_db`: speech level over noise level. `lead_s`, `trail_s`: before and after the speech.
    """

    duration_s: float
    high_band_db: float
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
    spectra = np.fft.rfft(frames * np.hanning(WINDOW).astype(np.float32), axis=1)
    return np.square(spectra.real) + np.square(spectra.imag)


def measure(samples: Samples, spectra: npt.NDArray[np.float32]) -> Signal:
    """Measure a clip: samples (num_samples,) at 16 kHz and its `power_spectra`."""
    levels = frame_levels_db(samples)
    noise_db = float(np.percentile(levels, NOISE_PERCENTILE))
    speech_db = float(np.percentile(levels, SPEECH_PERCENTILE))
    lead_s, trail_s = _ends(levels, speech_db, noise_db, len(samples))
    peak = float(np.abs(samples).max(initial=0.0))
    return Signal(
        duration_s=len(samples) / SAMPLE_RATE_HZ,
        high_band_db=high_band_db(spectra),
        clipped_runs=plateaus(samples, FULL_SCALE),
        flat_runs=plateaus(samples, peak * (1 - PLATEAU_TOLERANCE)) if peak > 0 else 0,
        peak=peak,
        offset=float(samples.mean(dtype=np.float64)),
        snr_db=speech_db - noise_db,
        noise_dbfs=noise_db,
        lead_s=lead_s,
        trail_s=trail_s,
    )


def frame_levels_db(samples: Samples) -> npt.NDArray[np.float64]:
    """Level of each 10 ms in dBFS without the constant offset; at least one frame."""
    whole = max(1, len(samples) // FRAME)
    padded = np.pad(samples, (0, max(0, whole * FRAME - len(samples))))[: whole * FRAME]
    frames = (padded - samples.mean(dtype=np.float64)).reshape(whole, FRAME)
    return 10 * np.log10(np.maximum(np.mean(np.square(frames), axis=1, dtype=np.float64), FLOOR))


def high_band_db(spectra: npt.NDArray[np.float32]) -> float:
    """Energy of `HIGH_HZ` against `LOW_HZ`, each in the frames where it is strongest, in dB."""
    hz = SAMPLE_RATE_HZ / WINDOW

    def strongest(band: tuple[float, float]) -> float:
        part = spectra[:, round(band[0] / hz) : round(band[1] / hz)]
        return float(np.percentile(part.sum(axis=1, dtype=np.float64), HIGH_PERCENTILE))

    high, low = strongest(HIGH_HZ), strongest(LOW_HZ)
    return 10 * float(np.log10(max(high, FLOOR**2) / max(low, FLOOR**2)))


def plateaus(samples: Samples, limit: float) -> int:
    """Runs of at least `PLATEAU_RUN` samples of one sign whose amplitude reaches `limit`."""
    return sum(_runs(side >= limit, PLATEAU_RUN) for side in (samples, -samples))


def _runs(mask: npt.NDArray[np.bool_], length: int) -> int:
    if np.count_nonzero(mask) < length:
        return 0
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.view(np.int8), [0]))))
    return int(np.count_nonzero(edges[1::2] - edges[::2] >= length))


def _ends(
    levels: npt.NDArray[np.float64], speech_db: float, noise_db: float, num_samples: int
) -> tuple[float, float]:
    """Seconds before the first and after the last `MIN_ACTIVE_FRAMES` that may be speech."""
    # In noise the floor decides; but a clip that is speech throughout has no floor to be above.
    threshold = max(speech_db - SPEECH_BELOW_DB, min(noise_db + ABOVE_NOISE_DB, speech_db - 3))
    active = levels > threshold
    steady = np.convolve(active, np.ones(MIN_ACTIVE_FRAMES), "valid") >= MIN_ACTIVE_FRAMES
    found = np.flatnonzero(steady)
    if not len(found):
        return 0.0, 0.0
    end = (int(found[-1]) + MIN_ACTIVE_FRAMES) * FRAME
    return int(found[0]) * FRAME / SAMPLE_RATE_HZ, max(0, num_samples - end) / SAMPLE_RATE_HZ
