"""Log-mel features of Whisper, by transformers' own extractor."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from transformers import WhisperFeatureExtractor

from soritune.models.whisper import constants as c


def log_mel(extractor: WhisperFeatureExtractor, samples: npt.NDArray[np.float32]) -> torch.Tensor:
    """Return the features of a clip of up to 30 s, float32 of shape (frames, mels).

    They end with a frame or two of the silence that follows the clip, not after 30 s: a clip of
    5 s then takes a sixth of the time and of the memory. `fill_window` appends the rest.

    Raises ValueError for a clip over 30 s, which the extractor would cut.
    """
    if len(samples) > c.MAX_SAMPLES:
        raise ValueError(f"clip of {len(samples) / c.SAMPLE_RATE_HZ:.1f} s is over 30 s")
    # A frame sees half a window beyond its middle; the last one must see silence only.
    frames = min((len(samples) + c.WINDOW_SAMPLES // 2) // c.HOP_SAMPLES + 2, c.NUM_FRAMES)
    found = extractor(
        samples,
        sampling_rate=c.SAMPLE_RATE_HZ,
        max_length=frames * c.HOP_SAMPLES,
        return_tensors="np",
    )
    return torch.from_numpy(np.ascontiguousarray(found["input_features"][0].T))


def fill_window(features: torch.Tensor) -> torch.Tensor:
    """Return features of `log_mel` as the encoder takes them, shape (mels, 3000).

    Silence is the least value of a clip: the extractor raises lower ones to 8 (in log10 of power)
    below the loudest.
    """
    missing = c.NUM_FRAMES - len(features)
    return torch.nn.functional.pad(features.T, (0, missing), value=float(features.min()))
