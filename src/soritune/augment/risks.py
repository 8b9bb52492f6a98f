"""What each transform may do to a transcript, and which ones cannot be repeated.

A transcript stays true where every word that was said can still be heard, once and in its order.
The bounds are judgements on the safe side, not measurements of a model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Values = Mapping[str, Any]
"""All parameters of one transform, defaults included."""
Rule = Callable[[Values], str | None]
"""Returns why the transcript may change with these values, None where it stays true."""

# Half of the intelligibility of speech lies on either side of about 1.9 kHz, and each half alone
# is still understood in sentences (French & Steinberg 1947, "Factors governing the intelligibility
# of speech sounds", J. Acoust. Soc. Am. 19, fig. 5).
LOW_PASS_FLOOR_HZ = 2000.0
HIGH_PASS_CEILING_HZ = 1000.0
# Speech at twice its speed is about the fastest that can be followed without training. Below half
# the speed, signalsmith_stretch draws its phases from the system, so no run can be repeated.
SLOWEST, FASTEST = 0.5, 2.0
# A phoneme lasts 50 ms or more: less than that at an edge is not a word.
MAX_SHIFT_S = 0.05
MAX_MASK_SHARE = 0.1
MAX_MASK_FRAMES = 100  # of 10 ms: SpecAugment's longest


def risk_of(name: str, values: Values) -> str | None:
    """Return why the transcript may be wrong after transform `name`, None where it stays true."""
    if name not in RISKS:
        return "is not judged yet"
    return RISKS[name](values)


def why_not_repeatable(name: str, values: Values) -> str | None:
    """Return why two runs would differ: draws that come from the system instead of the seed."""
    # Measured with pyroomacoustics 0.10.1: six clips, six sounds; without rays one.
    if name == "RoomSimulator" and values["use_ray_tracing"]:
        return "draws its rays from the system; write use_ray_tracing: false"
    # Measured with python-stretch 0.3.1: no two clips are alike below half the speed.
    signalsmith = values.get("method") == "signalsmith_stretch"
    if name == "TimeStretch" and signalsmith and values["min_rate"] < SLOWEST:
        return f"draws at rates under {SLOWEST:g} from the system; write another method"
    return None


def _always(reason: str) -> Rule:
    return lambda values: reason


def _at_least(name: str, floor: float, reason: str) -> Rule:
    return lambda values: reason if values[name] < floor else None


def _at_most(name: str, ceiling: float, reason: str) -> Rule:
    return lambda values: reason if values[name] > ceiling else None


def _all_of(*rules: Rule) -> Rule:
    """Return the first reason of several rules."""
    return lambda values: next((reason for rule in rules if (reason := rule(values))), None)


def _harmless(values: Values) -> str | None:
    return None


def _stretched(values: Values) -> str | None:
    if not SLOWEST <= values["min_rate"] <= values["max_rate"] <= FASTEST:
        return f"needs rates between {SLOWEST:g} and {FASTEST:g}, beyond which words are lost"
    if values.get("leave_length_unchanged", False) and values["min_rate"] < 1:
        return "with leave_length_unchanged: true cuts off the end of what it slows down"
    return None


def _shifted(values: Values) -> str | None:
    if values["rollover"]:
        return "with rollover: true plays the end of the clip before its beginning"
    unit, reach = values["shift_unit"], max(abs(values["min_shift"]), abs(values["max_shift"]))
    seconds = {"seconds": reach, "samples": reach / 16_000}.get(unit)
    if seconds is None or seconds > MAX_SHIFT_S:
        return (
            f"pushes speech over the edge; up to {MAX_SHIFT_S:g} s (shift_unit: seconds) "
            "counts as harmless"
        )
    return None


def _narrow_band(values: Values) -> str | None:
    half = values["min_bandwidth_fraction"] / 2
    low = values["max_center_freq"] * (1 - half)
    high = values["min_center_freq"] * (1 + half)
    if low > HIGH_PASS_CEILING_HZ or high < LOW_PASS_FLOOR_HZ:
        return (
            f"may leave less than {HIGH_PASS_CEILING_HZ:g} to {LOW_PASS_FLOOR_HZ:g} Hz, too "
            "little to tell words apart"
        )
    return None


def _wide_stop(values: Values) -> str | None:
    if values["max_center_freq"] * values["max_bandwidth_fraction"] > 1000:
        return "may remove more than 1,000 Hz (max_center_freq × max_bandwidth_fraction)"
    return None


def _resampled(values: Values) -> str | None:
    fastest, slowest = 16_000 / values["min_sample_rate"], 16_000 / values["max_sample_rate"]
    if not 0.75 <= slowest <= fastest <= 1.35:
        return (
            "changes speed and pitch together (16,000 / sample rate); rates from 11,852 to 21,333 "
            "are within 0.75 to 1.35 times"
        )
    return None


def _clipped(values: Values) -> str | None:
    if values["a_min"] > -0.1 or values["a_max"] < 0.1:
        return "cuts the waveform below a tenth of full scale"
    return None


def _absolute_noise(values: Values) -> str | None:
    if values["noise_rms"] == "absolute":
        return "with noise_rms: absolute drowns quiet clips"
    return None


def _speech_turned_down(values: Values) -> str | None:
    gain_db = values["signal_gain_db_during_noise"]
    old_gain_db = values["signal_gain_in_db_during_noise"]
    if min(gain_db or 0.0, old_gain_db or 0.0) < -6:
        return "turns the speech down during a noise"
    return None


_LOUD_NOISE = _at_least(
    "min_snr_db", 0, "lets noise be louder than the speech (min_snr_db under 0)"
)
_PITCH = "beyond 6 semitones moves vowels onto others"

RISKS: Mapping[str, Rule] = {
    # Ours.
    "fast-slow": _stretched,
    "telephone": _harmless,
    "room": _at_most(
        "max_rt60_s", 1.5, "blurs words into each other beyond 1.5 s of reverberation"
    ),
    "babble": _LOUD_NOISE,
    "specaugment": _all_of(
        _at_most("time_share", 0.2, "masks more than a fifth of a clip at once"),
        _at_most("time_width", MAX_MASK_FRAMES, "masks more than a second at once"),
        _at_most("time_masks", 2, "masks more than twice"),
        _at_most("frequency_masks", 2, "masks more than two bands"),
        _at_most("frequency_width", 27, "masks more than a third of the mel channels at once"),
    ),
    "seed": _harmless,
    "Compose": _harmless,
    "OneOf": _harmless,
    "SomeOf": _harmless,
    # Noise.
    "AddBackgroundNoise": _all_of(_LOUD_NOISE, _absolute_noise),
    "AddColorNoise": _LOUD_NOISE,
    "AddGaussianNoise": _at_most(
        "max_amplitude", 0.05, "above an amplitude of 0.05 is louder than quiet speech"
    ),
    "AddGaussianSNR": _LOUD_NOISE,
    "AddShortNoises": _all_of(_LOUD_NOISE, _absolute_noise, _speech_turned_down),
    # Time.
    "AdjustDuration": _always("cuts off speech that the transcript still says"),
    "Padding": _always("overwrites the beginning or the end of the speech"),
    "RepeatPart": _always("says a part several times, the transcript once"),
    "Resample": _resampled,
    "Reverse": _always("plays the speech backwards"),
    "Shift": _shifted,
    "TimeMask": _at_most(
        "max_band_part",
        MAX_MASK_SHARE,
        f"silences whole words where max_band_part is over {MAX_MASK_SHARE:g}",
    ),
    "TimeStretch": _stretched,
    "Trim": _at_least("top_db", 40, "under 40 dB takes weak sounds at the ends for silence"),
    # Frequencies.
    "AirAbsorption": _harmless,
    "Aliasing": _at_least(
        "min_sample_rate", 6000, "under 6,000 Hz leaves too little of the consonants"
    ),
    "BandPassFilter": _narrow_band,
    "BandStopFilter": _wide_stop,
    "HighPassFilter": _at_most(
        "max_cutoff_freq",
        HIGH_PASS_CEILING_HZ,
        f"above {HIGH_PASS_CEILING_HZ:g} Hz removes what tells vowels apart",
    ),
    "HighShelfFilter": _harmless,
    "LowPassFilter": _at_least(
        "min_cutoff_freq",
        LOW_PASS_FLOOR_HZ,
        f"under {LOW_PASS_FLOOR_HZ:g} Hz removes what tells consonants apart",
    ),
    "LowShelfFilter": _harmless,
    "PeakingFilter": _harmless,
    "PitchShift": _all_of(
        _at_least("min_semitones", -6, _PITCH), _at_most("max_semitones", 6, _PITCH)
    ),
    "SevenBandParametricEQ": _harmless,
    # Levels and the waveform.
    "BitCrush": _at_least("min_bit_depth", 8, "under 8 bits makes quiet clips silent"),
    "Clip": _clipped,
    "ClippingDistortion": _at_most(
        "max_percentile_threshold", 60, "above 60 clips most of the waveform"
    ),
    "Gain": _at_least(
        "min_gain_db", -40, "under -40 dB leaves nothing of quiet clips in 16 bits"
    ),
    "GainTransition": _at_least(
        "min_gain_db", -24, "under -24 dB makes a part too quiet to hear"
    ),
    "Limiter": _harmless,
    "LoudnessNormalization": _harmless,
    "Normalize": _harmless,
    "PolarityInversion": _harmless,
    "TanhDistortion": _harmless,
    # Codecs and rooms.
    "ApplyImpulseResponse": _harmless,
    "Mp3Compression": _harmless,
    "RoomSimulator": _harmless,
}  # fmt: skip
"""A transform that is not here (of a newer audiomentations) needs `transcript: may-change`."""
