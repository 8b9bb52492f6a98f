"""Which transforms keep a transcript true, judged for each one of the installed package."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from soritune.augment.babble import Clip
from soritune.augment.chain import Augmenter
from soritune.augment.config import Augmentation
from soritune.augment.effects import EXTRA_MODULES as NEEDS
from soritune.augment.risks import RISKS, risk_of
from soritune.augment.transforms import OWN, PATHS, find_transform

audiomentations = pytest.importorskip("audiomentations")

# Values with which a transform keeps the transcript, where its defaults do not.
TRUE_TO_THE_WORDS: dict[str, dict[str, Any]] = {
    "AddShortNoises": {"min_snr_db": 5.0},
    "BandPassFilter": {"min_bandwidth_fraction": 1.8, "min_center_freq": 1500.0},
    "BandStopFilter": {"max_center_freq": 1000.0, "max_bandwidth_fraction": 0.9},
    "BitCrush": {"min_bit_depth": 8},
    "HighPassFilter": {"max_cutoff_freq": 400.0},
    "LowPassFilter": {"min_cutoff_freq": 3000.0},
    "Resample": {"min_sample_rate": 14_000, "max_sample_rate": 18_000},
    "Shift": {
        "rollover": False,
        "shift_unit": "seconds",
        "min_shift": -0.03,
        "max_shift": 0.03,
    },
    "TimeMask": {"max_band_part": 0.05},
    "TimeStretch": {"leave_length_unchanged": False},
    "Trim": {"top_db": 50.0},
}
# Nothing that could be said makes these true: they cut, overwrite, repeat or reverse.
NEVER_TRUE = {"AdjustDuration", "Padding", "RepeatPart", "Reverse"}


def package_classes() -> dict[str, type]:
    return {n: c for n, c in vars(audiomentations).items() if inspect.isclass(c)}


GROUPS = {"Compose", "OneOf", "SomeOf"}
WITH_SOUND = sorted(set(package_classes()) - GROUPS - {"Lambda"})


def test_every_transform_of_the_package_is_judged() -> None:
    assert len(package_classes()) >= 42
    assert set(package_classes()) - {"Lambda"} <= set(RISKS)


def test_our_names_for_groups_are_those_of_the_package_and_no_other_name_is() -> None:
    assert set(OWN) & set(package_classes()) == GROUPS


def test_parameters_that_name_files_are_found_beside_the_recipe() -> None:
    paths = {
        parameter.name
        for name in WITH_SOUND
        for parameter in find_transform(name).parameters.values()
        if "Path" in str(parameter.annotation)
    }
    assert paths == PATHS - {"impulse_responses"}


@pytest.mark.parametrize("name", [*WITH_SOUND, *sorted(set(OWN) - GROUPS)])
def test_defaults_that_may_change_the_transcript_are_refused(name: str) -> None:
    values = find_transform(name).values
    if name in NEVER_TRUE:
        assert risk_of(name, values({}))
        return
    assert risk_of(name, values(TRUE_TO_THE_WORDS.get(name, {}))) is None
    assert bool(risk_of(name, values({}))) == (name in TRUE_TO_THE_WORDS)


def test_a_transform_of_a_newer_package_is_refused_until_it_is_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Newer:
        def __init__(self, amount: float = 1.0, p: float = 0.5) -> None: ...

    monkeypatch.setattr(audiomentations, "Newer", Newer, raising=False)
    with pytest.raises(ValueError, match="Newer is not judged yet"):
        Augmentation.model_validate("Newer")
    Augmentation.model_validate({"use": ["Newer"], "transcript": "may-change"})


@pytest.mark.parametrize("name", [*sorted(NEVER_TRUE), "Shift", "TimeMask", "TimeStretch"])
def test_what_cuts_rolls_or_reverses_is_refused_unless_the_recipe_allows_it(name: str) -> None:
    step: dict[str, Any] = {"transform": name}
    with pytest.raises(ValueError, match="transcript: may-change"):
        Augmentation.model_validate({"use": [step]})
    allowed = Augmentation.model_validate({"use": [step], "transcript": "may-change"})
    assert [each.transform for each in allowed.steps()] == [name]


def test_a_reason_is_found_inside_of_groups() -> None:
    group = {"transform": "OneOf", "transforms": ["room", {"transform": "SomeOf",
             "num_transforms": 1, "transforms": ["Gain", "Reverse"]}]}  # fmt: skip
    with pytest.raises(ValueError, match="Reverse plays the speech backwards"):
        Augmentation.model_validate([group])


def speech_like(seconds: float = 1.5) -> np.ndarray:
    """A voiced sound with syllables at 16 kHz."""
    time_s = np.arange(int(16_000 * seconds)) / 16_000
    sound = sum(np.sin(2 * np.pi * 140 * k * time_s) / k for k in range(1, 20))
    sound = sound * (0.55 + 0.45 * np.sin(2 * np.pi * 4 * time_s))
    return (0.2 * sound).astype(np.float32)


@pytest.mark.parametrize("name", WITH_SOUND)
def test_what_a_recipe_may_say_of_a_transform_runs_and_gives_the_same_twice(
    name: str, tmp_path: Path
) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    soundfile.write(tmp_path / "noise.wav", speech_like(0.4)[::-1], 16_000)
    given = {
        "AdjustDuration": {"duration_seconds": 1.0},
        "RoomSimulator": {"use_ray_tracing": False},
    }.get(name, {})
    step = {
        "transform": name,
        "p": 1.0,
        **TRUE_TO_THE_WORDS.get(name, {}),
        **given,
        **{path: str(tmp_path) for path in find_transform(name).parameters if path in PATHS},
    }
    augmentation = Augmentation.model_validate({"use": [step], "transcript": "may-change"})
    sound = speech_like()
    original = sound.copy()
    key = (7, "corpus", "u1", 0)
    augmenter = Augmenter(augmentation)
    first = augmenter.samples(sound, Clip("u1"), key)
    augmenter.samples(sound, Clip("u2"), (7, "corpus", "u2", 0))
    again = Augmenter(augmentation).samples(sound, Clip("u1"), key)
    assert np.array_equal(sound, original)
    assert first.samples.dtype == np.float32
    assert np.array_equal(first.samples, again.samples)
    assert first.steps == again.steps
    assert first.changed
    planned_s = augmenter.duration_s(len(sound) / 16_000, key)
    # Trim alone is known by its sound only; no plan is too short.
    assert len(first.samples) / 16_000 <= planned_s + 1e-3
