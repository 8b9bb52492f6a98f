"""Ready sets: names for steps that a recipe could write out itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# The seed's custom speech was made with audiomentations, one of four groups for each clip. Its
# faults are left out: AdjustDuration(5.0) cut the audio and left the transcript whole, Shift
# rolled the end of a clip before its beginning, and the only noise was one file at 2 to 4 dB in
# one of the groups. Here the groups are speed, pitch, noise and sound; nothing is cut or rolled,
# and the noise is of any colour at 10 to 30 dB.
SEED: dict[str, Any] = {
    "transform": "OneOf",
    "p": 0.8,
    "transforms": [
        {
            "transform": "TimeStretch",
            "p": 1,
            "min_rate": 0.8,
            "max_rate": 1.3,
            "leave_length_unchanged": False,
        },
        {"transform": "PitchShift", "p": 1, "min_semitones": -3, "max_semitones": 3},
        {
            "transform": "Compose",
            "transforms": [
                {"transform": "AddColorNoise", "p": 1, "min_snr_db": 10, "max_snr_db": 30},
                {"transform": "Gain", "p": 0.5, "min_gain_db": -9, "max_gain_db": 6},
            ],
        },
        {
            "transform": "Compose",
            "transforms": [
                {
                    "transform": "LowPassFilter",
                    "p": 0.5,
                    "min_cutoff_freq": 3000,
                    "max_cutoff_freq": 7000,
                },
                {"transform": "Gain", "p": 1, "min_gain_db": -9, "max_gain_db": 6},
            ],
        },
    ],
}

SETS: Mapping[str, dict[str, Any]] = {"seed": SEED}
