"""Where the speech of a clip begins and ends, by the levels of its 10 ms frames."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from soritune.audio import SAMPLE_RATE_HZ, Samples

FRAME = 160
"""10 ms."""
NOISE_PERCENTILE, SPEECH_PERCENTILE = 10.0, 95.0
"""Of the frames' levels. 95: the speech level of NIST's stnr (SPQA 2.3), which has its noise from
the lower mode of the same histogram; a low percentile takes its place, as a clip of a few seconds
has too few frames for a mode."""
SPEECH_BELOW_DB = 35.0
"""Frames down to this much under the speech level may still be speech (weak final consonants)."""
ABOVE_NOISE_DB = 6.0
MIN_ACTIVE_FRAMES = 3
"""30 ms of activity make speech; a click is shorter."""
FLOOR = 1e-10
"""-100 dBFS: under the steps of 16 bits, so that digital silence also has a level."""


def frame_levels_db(samples: Samples) -> npt.NDArray[np.float64]:
    """Return level of each 10 ms in dBFS without the constant offset; at least one frame."""
    whole = max(1, len(samples) // FRAME)
    padded = np.pad(samples, (0, max(0, whole * FRAME - len(samples))))[: whole * FRAME]
    frames = (padded - samples.mean(dtype=np.float64)).reshape(whole, FRAME)
    return 10 * np.log10(np.maximum(np.mean(np.square(frames), axis=1, dtype=np.float64), FLOOR))


def speech_and_noise_db(levels: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return level of the loud frames and of the quiet ones."""
    noise, speech = np.percentile(levels, (NOISE_PERCENTILE, SPEECH_PERCENTILE))
    return float(speech), float(noise)


def silent_ends_s(samples: Samples, levels: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return seconds before the first and after the last frames of `levels` that may be speech.

    (0, 0) where nothing is louder.
    """
    speech_db, noise_db = speech_and_noise_db(levels)
    # In noise the floor decides; but a clip that is speech throughout has no floor to be above.
    threshold = max(speech_db - SPEECH_BELOW_DB, min(noise_db + ABOVE_NOISE_DB, speech_db - 3))
    active = levels > threshold
    steady = np.convolve(active, np.ones(MIN_ACTIVE_FRAMES), "valid") >= MIN_ACTIVE_FRAMES
    found = np.flatnonzero(steady)
    if not len(found):
        return 0.0, 0.0
    end = (int(found[-1]) + MIN_ACTIVE_FRAMES) * FRAME
    return int(found[0]) * FRAME / SAMPLE_RATE_HZ, max(0, len(samples) - end) / SAMPLE_RATE_HZ
