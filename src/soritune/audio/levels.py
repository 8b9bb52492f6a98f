"""Several channels to one, also where they cancel each other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]
CANCELLED = 0.2
"""Of what the mean of unlike channels would have: below, one is the other turned over (two
microphones wired the wrong way round)."""
LOST_SHARE = 0.01
"""Of all amplitudes: quiet noise does not reach it in windows that cancel by chance."""
WINDOW = 8_192
"""Samples, about half a second: channels may cancel each other in a part of a recording."""


class Levels:
    """The energy of each channel and of their mean in each window, without constant offsets."""

    def __init__(self) -> None:
        self._energies: list[npt.NDArray[np.float64]] = []

    def add(self, block: Samples, mean: Samples) -> None:
        """Add a block of shape (num_samples, channels) and its mean (num_samples,)."""
        for start in range(0, len(block), WINDOW):
            end = start + WINDOW
            both = np.concatenate([block[start:end], mean[start:end, None]], axis=1)
            with np.errstate(invalid="ignore"):  # what is not finite is refused elsewhere
                self._energies.append(both.var(axis=0, dtype=np.float64) * len(both))

    def instead_of_mean(self) -> int | None:
        """Return the channel that loses least where channels cancel each other, else None.

        A window is lost in a channel, or in the mean, that has next to nothing of its energy. Quiet
        speech counts: each window by its amplitude.
        """
        if not self._energies:
            return None
        energies = np.stack(self._energies)
        channels = energies[:, :-1]
        heard = channels.mean(axis=1)
        is_lost = energies < CANCELLED / channels.shape[1] * heard[:, None]
        loud = np.sqrt(heard)
        lost = loud @ is_lost
        if not lost[-1] > LOST_SHARE * loud.sum() or lost[:-1].min() >= lost[-1]:
            return None
        return int(np.lexsort((-channels.sum(axis=0), lost[:-1]))[0])


def to_mono(samples: Samples) -> Samples:
    """Return (num_samples,) or (num_samples, channels) as the mean of the channels.

    Where they cancel each other, it is the one that loses least.
    """
    if samples.ndim == 1:
        return samples
    if samples.shape[1] == 1:
        return samples[:, 0]
    mean: Samples = samples.mean(axis=1, dtype=np.float32)
    levels = Levels()
    levels.add(samples, mean)
    channel = levels.instead_of_mean()
    return mean if channel is None else samples[:, channel]
