"""Fingerprints of audio: the same recording again, exactly or after gain, trimming or a codec.

After Haitsma and Kalker, "A Highly Robust Audio Fingerprinting System" (ISMIR 2002): each frame
gives bits, the signs of how the energy differences of neighbouring bands change with time.
Differences: 24 bits of the telephone's band, windows of 128 ms every 16 ms and changes over
192 ms, for clips of seconds instead of songs; and of all frames only those whose bits fall into a
fixed quarter of all values are kept for finding candidates, so the choice does not depend on where
a clip was cut.

Limits: copies that were sped up, pitched, or mixed with noise (from about 15 dB downwards) are
not found, and clips of under a second have no fingerprint.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from soritune.audio import SAMPLE_RATE_HZ, Samples
from soritune.doctor.signal import HOP, WINDOW

BANDS = 25
"""One more than bits."""
LOWEST_HZ, HIGHEST_HZ = 200.0, 3400.0
STEP = 12
"""Frames between the two whose difference counts: 192 ms, longer than a window."""
QUIET_DB = 30.0
"""Frames this much below the loudest have bits of noise, which a codec changes."""
MIN_FRAMES = 1 + int(SAMPLE_RATE_HZ - WINDOW) // HOP
"""A second."""
STRETCH = 16
"""A quarter of a second: a short word."""
SAMPLED = 4
_EDGES = np.rint(np.geomspace(LOWEST_HZ, HIGHEST_HZ, BANDS + 1) * WINDOW / SAMPLE_RATE_HZ).astype(
    int
)
"""Bins of a spectrum where the bands begin, and where the last one ends."""

Bits = npt.NDArray[np.uint32]


def exact_hash(samples: Samples) -> bytes:
    """16 bytes that differ for different 16-bit samples."""
    quantised = np.rint(samples * np.float32(32_768)).astype(np.int32)
    return hashlib.blake2b(quantised.tobytes(), digest_size=16).digest()


def frame_bits(spectra: npt.NDArray[np.float32]) -> tuple[Bits, npt.NDArray[np.bool_]]:
    """24 bits of each frame of `power_spectra`, and whether the frame is loud enough to count.

    Shapes (frames - STEP,); empty for clips of under a second.
    """
    if len(spectra) < MIN_FRAMES:
        return np.zeros(0, np.uint32), np.zeros(0, np.bool_)
    energy = np.add.reduceat(spectra[:, : _EDGES[-1]], _EDGES[:-1], axis=1, dtype=np.float64)
    level = np.log(energy + 1e-12)
    across = level[:, 1:] - level[:, :-1]
    signs = across[STEP:] > across[:-STEP]
    weights = np.uint32(1) << np.arange(BANDS - 1, dtype=np.uint32)
    bits = (signs @ weights).astype(np.uint32)
    loudness = 10 * np.log10(energy.sum(axis=1) + 1e-12)
    loud = loudness > loudness.max() - QUIET_DB
    return bits, loud[STEP:] & loud[:-STEP]


def sample_frames(bits: Bits, loud: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Places of the frames by which candidates are found: about one in `SAMPLED`, by their bits."""
    # Multiplication by Knuth's constant spreads neighbouring values (TAOCP 6.4).
    spread = (bits * np.uint32(2_654_435_761)) >> np.uint32(16)
    return np.flatnonzero(loud & (spread % SAMPLED == 0))


def bit_error_rate(
    one: tuple[Bits, npt.NDArray[np.bool_]],
    other: tuple[Bits, npt.NDArray[np.bool_]],
    offset: int,
) -> tuple[float, float]:
    """Share of bits that differ where both are loud, and the share of frames that are compared.

    `offset` is the frame of `one` where frame 0 of `other` is (may be negative). The second
    figure is of the loud frames of the one that has fewer. 0.5 is what unrelated clips have.
    """
    differing = _differing(one, other, offset)
    least = min(np.count_nonzero(one[1]), np.count_nonzero(other[1]))
    if not len(differing) or not least:
        return 1.0, 0.0
    return float(differing.mean()), len(differing) / int(least)


def worst_stretch(
    one: tuple[Bits, npt.NDArray[np.bool_]],
    other: tuple[Bits, npt.NDArray[np.bool_]],
    offset: int,
) -> float:
    """Share of bits that differ in the worst `STRETCH` frames of those that are compared.

    A codec spreads its errors; where one word is another one they stand together.
    """
    differing = _differing(one, other, offset)
    if not len(differing):
        return 1.0
    width = min(STRETCH, len(differing))
    return float(np.convolve(differing, np.full(width, 1 / width), "valid").max())


def _differing(
    one: tuple[Bits, npt.NDArray[np.bool_]],
    other: tuple[Bits, npt.NDArray[np.bool_]],
    offset: int,
) -> npt.NDArray[np.float64]:
    """Share of bits that differ in each frame where both are loud."""
    start, end = max(0, offset), min(len(one[0]), len(other[0]) + offset)
    if end <= start:
        return np.zeros(0)
    both = one[1][start:end] & other[1][start - offset : end - offset]
    bits = one[0][start:end][both] ^ other[0][start - offset : end - offset][both]
    return np.asarray(np.bitwise_count(bits), np.float64) / (BANDS - 1)
