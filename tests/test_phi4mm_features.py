"""Log-mel features are those of the checkpoint's own extractor."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_model import noise
from transformers import Phi4MultimodalFeatureExtractor

from soritune.models.phi4mm.constants import num_audio_tokens, num_frames
from soritune.models.phi4mm.features import log_mel


@pytest.mark.parametrize(
    "num_samples", [400, 401, 559, 560, 561, 720, 1_679, 1_680, 1_999, 16_000, 16_123, 50_001]
)
def test_features_are_those_of_the_native_extractor(num_samples: int) -> None:
    samples = noise(num_samples, seed=num_samples)
    native = Phi4MultimodalFeatureExtractor()(samples, sampling_rate=16_000, return_tensors="pt")
    ours = log_mel(samples)
    assert ours.dtype == torch.float32
    assert ours.shape == native.audio_input_features[0].shape
    torch.testing.assert_close(ours, native.audio_input_features[0], atol=5e-4, rtol=0)
    assert int(native.audio_embed_sizes[0]) == num_audio_tokens(num_samples)


@pytest.mark.parametrize("scale", [0.0, 1e-5, 1.0])
def test_silence_whisper_and_full_scale_agree_with_the_native_extractor(scale: float) -> None:
    samples = (np.sin(np.arange(8_000) * 0.2) * scale).astype(np.float32)
    native = Phi4MultimodalFeatureExtractor()(samples, sampling_rate=16_000, return_tensors="pt")
    torch.testing.assert_close(log_mel(samples), native.audio_input_features[0], atol=5e-4, rtol=0)


def test_silence_is_zero_because_power_is_clamped_at_one() -> None:
    assert torch.equal(log_mel(np.zeros(16_000, np.float32)), torch.zeros(98, 80))


@pytest.mark.parametrize("num_samples", [0, 1, 399])
def test_a_clip_under_one_window_is_refused(num_samples: int) -> None:
    with pytest.raises(ValueError, match="under 400"):
        log_mel(np.zeros(num_samples, np.float32))


def test_stereo_is_refused() -> None:
    with pytest.raises(ValueError, match="mono"):
        log_mel(np.zeros((16_000, 2), np.float32))


@pytest.mark.parametrize(
    ("num_samples", "frames", "tokens"),
    [
        (0, 0, 0),
        (399, 0, 0),
        (400, 1, 1),
        (559, 1, 1),
        (560, 2, 1),
        (1_520, 8, 1),
        (1_680, 9, 2),
        (16_000, 98, 13),
        (480_000, 2_998, 375),
        (640_000, 3_998, 500),
        (640_240, 4_000, 500),
        (640_399, 4_000, 500),
        (640_400, 4_001, 501),
    ],
)
def test_frames_and_tokens_are_those_counted_by_hand(
    num_samples: int, frames: int, tokens: int
) -> None:
    assert num_frames(num_samples) == frames
    assert num_audio_tokens(num_samples) == tokens


def test_features_do_not_write_to_the_samples() -> None:
    samples = noise(4_000)
    before = samples.copy()
    log_mel(samples)
    assert np.array_equal(samples, before)
