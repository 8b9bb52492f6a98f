"""The form of a corpus's clips: what a recipe may say of silence at their ends and of offsets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from soritune.audio import SAMPLE_RATE_HZ, Samples
from soritune.sources.silence import frame_levels_db, silent_ends_s


@dataclass(frozen=True)
class SoundForm:
    """How clips are stored; at first as they are.

    `trim_silence_s` is the silence that is left at each end of a clip that has more of it,
    `remove_offset` makes the mean of the samples zero.
    """

    trim_silence_s: float | None = None
    remove_offset: bool = False

    def apply(self, samples: Samples) -> Samples:
        """Return samples (num_samples,) at 16 kHz in this form, still within [-1, 1]."""
        if self.remove_offset:
            samples = samples - np.float32(samples.mean(dtype=np.float64))
            loudest = float(np.abs(samples).max(initial=0.0))
            if loudest > 1.0:
                samples = samples / np.float32(loudest)
        if self.trim_silence_s is not None:
            lead_s, trail_s = silent_ends_s(samples, frame_levels_db(samples))
            start, end = (
                round(max(0.0, silence_s - self.trim_silence_s) * SAMPLE_RATE_HZ)
                for silence_s in (lead_s, trail_s)
            )
            samples = samples[start : len(samples) - end]
        return samples


AS_IT_IS = SoundForm()
