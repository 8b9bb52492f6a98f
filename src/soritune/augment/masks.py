"""SpecAugment: bands and moments of the features hidden, so that no single cue is relied on.

Park et al. 2019, "SpecAugment: A Simple Data Augmentation Method for Automatic Speech
Recognition", table 1. Its policies on 80 mel channels with 10 ms frames, as here:

| policy | F | frequency masks | T | time masks | longest share of time |
|---|---|---|---|---|---|
| LB | 27 | 1 | 100 | 1 | 1.0 |
| LD | 27 | 2 | 100 | 2 | 1.0 |
| SM | 15 | 2 | 70 | 2 | 0.2 |
| SS | 27 | 2 | 70 | 2 | 0.2 |

Ours is LD with the share of SM and SS: LibriSpeech's clips, for which LD was made, last 12 s on
average; of a clip of 2 s one mask of LD could hide half. Time warping is left out: in the paper
(section 5) it helps least.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

if TYPE_CHECKING:
    import torch

Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class SpecAugment:
    """Masks: how many, and how large.

    A band is 0 to `frequency_width` channels wide, a moment 0 to `time_width` frames and at most
    `time_share` of the clip.
    """

    frequency_masks: Count = 2
    frequency_width: Count = 27
    time_masks: Count = 2
    time_width: Count = 100
    time_share: Annotated[float, Field(ge=0)] = 0.2

    def mask(
        self, features: torch.Tensor, fill: torch.Tensor, random: np.random.Generator
    ) -> torch.Tensor:
        """Return a copy of `features` (frames, mels) with masks set to `fill` (mels,).

        `fill` is the mean that the model subtracts, so masked features are 0 once normalised.
        """
        frames, mels = features.shape
        masked = features.clone()
        for _ in range(self.frequency_masks):
            width = int(random.integers(min(self.frequency_width, mels) + 1))
            start = int(random.integers(mels - width + 1))
            masked[:, start : start + width] = fill[start : start + width]
        longest = min(self.time_width, int(self.time_share * frames), frames)
        for _ in range(self.time_masks):
            width = int(random.integers(longest + 1))
            start = int(random.integers(frames - width + 1))
            masked[start : start + width] = fill
        return masked
