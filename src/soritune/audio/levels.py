"""Several channels to one, also where they cancel each other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]
CANCELLED = 0.2
"""Of what the mean of unlike channels would have: below, one is the other turned over (two
microphones wired the wrong way round)."""


class Levels:
    """The power of each channel and of their mean, without constant offsets."""

    def __init__(self) -> None:
        self._count = 0
        self._sums: npt.NDArray[np.float64] | float = 0.0
        self._squares: npt.NDArray[np.float64] | float = 0.0

    def add(self, block: Samples, mean: Samples) -> None:
        """Add a block of shape (num_samples, channels) and its mean (num_samples,)."""
        both = np.concatenate([block, mean[:, None]], axis=1, dtype=np.float64)
        self._count += len(both)
        self._sums = self._sums + both.sum(axis=0)
        self._squares = self._squares + np.einsum("ij,ij->j", both, both)

    def louder_than_mean(self) -> int | None:
        """Return the loudest channel where the channels cancel each other, else None."""
        if not self._count:
            return None
        power = self._squares / self._count - (self._sums / self._count) ** 2
        channels, mean = np.asarray(power)[:-1], float(np.asarray(power)[-1])
        unlike = float(channels.mean()) / len(channels)
        return int(channels.argmax()) if 0 <= mean < CANCELLED * unlike else None


def to_mono(samples: Samples) -> Samples:
    """Return (num_samples,) or (num_samples, channels) as the mean of the channels.

    Where they cancel each other, it is the loudest.
    """
    if samples.ndim == 1:
        return samples
    if samples.shape[1] == 1:
        return samples[:, 0]
    mean: Samples = samples.mean(axis=1, dtype=np.float32)
    levels = Levels()
    levels.add(samples, mean)
    loudest = levels.louder_than_mean()
    return mean if loudest is None else samples[:, loudest]
