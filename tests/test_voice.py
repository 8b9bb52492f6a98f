"""Voice activity: the numbers of the published model, and not those of chance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from soritune.audio.voice import VoiceDetector

# Of every sixth frame, by `silero_vad.jit` of the wheel silero-vad 6.2.3, frame by frame.
REFERENCE = (
    *(0.217107, 0.046462, 0.014008, 0.003439, 0.001893, 0.00181),
    *(0.462243, 0.169075, 0.001542, 0.001168, 0.001323),
)


def buzz() -> npt.NDArray[np.float32]:
    """Like a vowel: overtones of 120 Hz in three resonances, on and off by half seconds."""
    time = np.arange(2 * 16_000) / 16_000
    overtones = [
        np.sin(2 * np.pi * 120 * k * time)
        * sum(1 / (1 + ((120 * k - formant) / 80) ** 2) for formant in (700, 1200, 2500))
        for k in range(1, 30)
    ]
    sound = np.sum(overtones, axis=0)
    sound /= np.abs(sound).max()
    wobble = (1 + 0.3 * np.sin(2 * np.pi * 5 * time)) / 1.3
    return (0.5 * sound * (np.floor(2 * time) % 2 == 0) * wobble).astype(np.float32)


@pytest.mark.parametrize("block", [100, 5_000, 32_000])
def test_probabilities_are_those_of_the_published_model(block: int) -> None:
    detector, sound = VoiceDetector(), buzz()
    found = [detector.feed(sound[start : start + block]) for start in range(0, 32_000, block)]
    probabilities = np.concatenate([*found, detector.finish()])
    assert len(probabilities) == 63
    assert probabilities[::6] == pytest.approx(REFERENCE, abs=2e-5)
