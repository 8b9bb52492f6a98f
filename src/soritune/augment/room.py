"""A clip as it sounds in a room: recorded impulse responses, or simulated ones."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from soritune.audio import SAMPLE_RATE_HZ, Limits, Samples, load_mono_16k
from soritune.augment.files import sound_files
from soritune.errors import UserError

# Rooms from a bathroom to a lecture hall, and how far people stand from a microphone.
VOLUME_M3 = (15.0, 300.0)
DISTANCE_M = (0.3, 2.5)
SPEED_OF_SOUND_M_PER_S = 343.0
# Longest part of an impulse response that is used.
MAX_RESPONSE_S = 2.0


def simulated_response(
    rt60_s: float, volume_m3: float, distance_m: float, random: np.random.Generator
) -> Samples:
    """Return an impulse response of a room, 16 kHz, its direct sound (1.0) at sample 0.

    Polack's model: noise that decays by 60 dB in `rt60_s`. Its energy against the direct sound's
    is (distance / critical distance)², the critical distance 0.057 √(volume / rt60) m (Kuttruff,
    "Room Acoustics", diffuse field, a source that radiates evenly). It begins after the mean free
    time between two reflections in a cube of that volume, 4V / S / c.
    """
    mean_free_s = 4 * volume_m3 / (6 * volume_m3 ** (2 / 3)) / SPEED_OF_SOUND_M_PER_S
    num_samples = int(min(MAX_RESPONSE_S, 1.2 * rt60_s + mean_free_s) * SAMPLE_RATE_HZ)
    time_s = np.arange(num_samples) / SAMPLE_RATE_HZ
    tail = random.standard_normal(num_samples) * np.exp(-3 * np.log(10) * time_s / rt60_s)
    tail[time_s < mean_free_s] = 0
    critical_m = 0.057 * np.sqrt(volume_m3 / rt60_s)
    energy = (distance_m / critical_m) ** 2
    response = tail * np.sqrt(energy / max(float(np.sum(tail**2)), 1e-12))
    response[0] = 1.0
    return np.asarray(response, dtype=np.float32)


def recorded_responses(paths: str | Sequence[str]) -> tuple[str, ...]:
    """Return the files of impulse responses. Raises UserError where there is none."""
    found = tuple(sound_files(paths))
    if not found:
        raise UserError(f"{paths}: holds no impulse responses (wav, flac, …)")
    return found


@lru_cache(maxsize=64)
def recorded_response(path: str) -> Samples:
    """Return an impulse response from its direct sound on, its peak at sample 0 and 1.0.

    Raises AudioError where the file cannot be read.
    """
    samples = load_mono_16k(Path(path), Limits(max_duration_s=30.0, silence_peak=None))
    start = int(np.argmax(np.abs(samples)))
    response = samples[start : start + int(MAX_RESPONSE_S * SAMPLE_RATE_HZ)]
    return response / response[0] if response[0] else response


def in_room(samples: Samples, response: Samples) -> Samples:
    """Return the clip in the room: as long, as loud, its direct sound where it was."""
    size = 1 << (len(samples) + len(response) - 1).bit_length()
    wet = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(response, size), size)
    wet = wet[: len(samples)]
    before, after = np.mean(samples.astype(np.float64) ** 2), np.mean(wet**2)
    return (wet * np.sqrt(before / after) if after > 0 else wet).astype(np.float32)
