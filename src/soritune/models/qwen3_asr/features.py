"""Log-mel features of Qwen3-ASR, by transformers' own extractor, always of one clip alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from transformers import Qwen3ASRFeatureExtractor

from soritune.errors import UserError
from soritune.models.checkpoint import read_json
from soritune.models.qwen3_asr import constants as c

# Both hold the extractor's settings; the newer file has them under this key.
_EXTRACTOR_FILES = {"processor_config.json": "feature_extractor", "preprocessor_config.json": None}
_SETTINGS = {
    "feature_size": c.MELS,
    "sampling_rate": c.SAMPLE_RATE_HZ,
    "hop_length": c.HOP_SAMPLES,
    "n_fft": c.WINDOW_SAMPLES,
    "n_window": c.HALF_CHUNK,
    "min_length": c.MIN_SAMPLES,
}


def check_extractor(folder: Path) -> None:
    """Raise UserError where a checkpoint was made for other features than these.

    Another `n_window` in the extractor than in the model would only change the number of tokens,
    without an error anywhere.
    """
    for file, key in _EXTRACTOR_FILES.items():
        if not (folder / file).is_file():
            continue
        settings = read_json(folder / file)
        if key is not None:
            settings = settings.get(key) or {}
        for name, expected in _SETTINGS.items():
            if settings.get(name, expected) != expected:
                raise UserError(
                    f"{folder / file}: {name} is {settings[name]}, but the features of Qwen3-ASR "
                    f"have {expected}. Take the file from the base model's folder"
                )


def log_mel(samples: npt.NDArray[np.float32]) -> torch.Tensor:
    """Return the features of a clip, float32 of shape (frames, mels).

    In a batch transformers' extractor pads the sound before it takes the spectrum, so that the
    last frames of a clip, and even their number, depend on the clips beside it. Alone they do not.
    """
    found = _EXTRACTOR(
        samples, sampling_rate=c.SAMPLE_RATE_HZ, padding="longest", n_window=0, return_tensors="np"
    )
    return torch.from_numpy(np.ascontiguousarray(found["input_features"][0].T))


_EXTRACTOR = Qwen3ASRFeatureExtractor()
