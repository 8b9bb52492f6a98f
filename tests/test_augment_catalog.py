"""The catalog against the package that it describes, and what it says keeps a transcript true."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from soritune.augment.babble import Clip
from soritune.augment.catalog import AUDIOMENTATIONS, OWN, TRANSFORMS
from soritune.augment.chain import Augmenter
from soritune.augment.config import Augmentation

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
    found = {n: c for n, c in vars(audiomentations).items() if inspect.isclass(c)}
    assert len(found) >= 42
    return found


def parameters_of(name: str) -> dict[str, inspect.Parameter]:
    signature = inspect.signature(package_classes()[name].__init__)
    variable = inspect.Parameter.VAR_KEYWORD
    return {
        n: p
        for n, p in signature.parameters.items()
        if n not in {"self", "p", "transforms"} and p.kind is not variable
    }


def test_every_class_of_the_package_is_in_the_catalog() -> None:
    assert {t.name for t in AUDIOMENTATIONS} == set(package_classes())


@pytest.mark.parametrize("transform", AUDIOMENTATIONS, ids=lambda t: t.name)
def test_parameters_and_defaults_are_those_of_the_package(transform) -> None:  # type: ignore[no-untyped-def]
    theirs = parameters_of(transform.name)
    assert {p.name for p in transform.parameters} | set(transform.functions) == set(theirs)
    for ours in transform.parameters:
        default = theirs[ours.name].default
        if default is inspect.Parameter.empty:
            assert ours.needed
        elif ours.choices:
            # Where the package names a choice in another order, ours has the same default.
            assert default in ours.choices
            assert transform.values({})[ours.name] == default
        else:
            assert ours.default == default


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=lambda t: t.name)
def test_each_transform_is_judged_one_way_or_the_other(transform) -> None:  # type: ignore[no-untyped-def]
    if transform.group or transform.name == "Lambda":
        return
    refused = transform.keeps(transform.values({}))
    if transform.name in NEVER_TRUE:
        assert refused
        return
    assert transform.keeps(transform.values(TRUE_TO_THE_WORDS.get(transform.name, {}))) is None
    # Where values had to be chosen, the defaults are those that may change the transcript.
    assert bool(refused) == (transform.name in TRUE_TO_THE_WORDS)


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


@pytest.mark.parametrize("transform", AUDIOMENTATIONS, ids=lambda t: t.name)
def test_what_a_recipe_may_say_of_a_transform_runs_and_gives_the_same_twice(
    transform,  # type: ignore[no-untyped-def]
    tmp_path: Path,
) -> None:
    if transform.group or transform.name == "Lambda":
        return
    if transform.needs:
        pytest.importorskip(transform.needs)
    soundfile.write(tmp_path / "noise.wav", speech_like(0.4)[::-1], 16_000)
    given = {
        "AdjustDuration": {"duration_seconds": 1.0},
        "RoomSimulator": {"use_ray_tracing": False},
    }.get(transform.name, {})
    step = {
        "transform": transform.name,
        "p": 1.0,
        **TRUE_TO_THE_WORDS.get(transform.name, {}),
        **given,
        **{p.name: str(tmp_path) for p in transform.parameters if p.needed},
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


def test_own_transforms_have_names_of_their_own() -> None:
    assert not {t.name for t in OWN} & set(package_classes())
    assert all(t.own for t in OWN)
