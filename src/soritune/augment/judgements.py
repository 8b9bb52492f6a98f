"""When a transform keeps a transcript true: the bounds, each with its reason.

They are judgements on the safe side, not measurements of a model.
"""

from __future__ import annotations

from soritune.augment.rules import Rule, Values, all_of, at_least, at_most

# Half of the intelligibility of speech lies on either side of about 1.9 kHz, and each half alone
# is still understood in sentences (French & Steinberg 1947, "Factors governing the intelligibility
# of speech sounds", J. Acoust. Soc. Am. 19, fig. 5).
LOW_PASS_FLOOR_HZ = 2000.0
HIGH_PASS_CEILING_HZ = 1000.0
# Speech of twice its speed is about the fastest that is still followed without training; below
# half the speed, signalsmith_stretch draws its phases from the system, so no run can be repeated.
SLOWEST, FASTEST = 0.5, 2.0
# A phoneme lasts 50 ms or more: less than that at an edge is no word.
MAX_SHIFT_S = 0.05
MAX_MASK_SHARE = 0.1
MAX_MASK_FRAMES = 100  # of 10 ms: SpecAugment's longest

DROWNS = "lets noise be louder than the speech (min_snr_db under 0)"
EATS = "cuts off speech that the transcript still says"


def stretched_within_bounds(values: Values) -> str | None:
    if not SLOWEST <= values["min_rate"] <= values["max_rate"] <= FASTEST:
        return f"needs rates between {SLOWEST:g} and {FASTEST:g}, beyond which words are lost"
    if values.get("leave_length_unchanged", False) and values["min_rate"] < 1:
        return "with leave_length_unchanged: true cuts off the end of what it slows down"
    return None


def stretch_repeats(values: Values) -> str | None:
    """Measured with python-stretch 0.3.1: no two clips alike below half the speed."""
    if values["min_rate"] < SLOWEST and values["method"] == "signalsmith_stretch":
        return f"draws at rates under {SLOWEST:g} from the system; write another method"
    return None


def rays_repeat(values: Values) -> str | None:
    """Measured with pyroomacoustics 0.10.1: six clips, six sounds; without rays one."""
    if values["use_ray_tracing"]:
        return "draws its rays from the system; write use_ray_tracing: false"
    return None


def shifted_by_little(values: Values) -> str | None:
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


def band_is_wide(values: Values) -> str | None:
    half = values["min_bandwidth_fraction"] / 2
    low = values["max_center_freq"] * (1 - half)
    high = values["min_center_freq"] * (1 + half)
    if low > HIGH_PASS_CEILING_HZ or high < LOW_PASS_FLOOR_HZ:
        return (
            f"may leave less than {HIGH_PASS_CEILING_HZ:g} to {LOW_PASS_FLOOR_HZ:g} Hz, too "
            "little to tell words apart"
        )
    return None


def resampled_by_little(values: Values) -> str | None:
    fastest, slowest = 16_000 / values["min_sample_rate"], 16_000 / values["max_sample_rate"]
    if not 0.75 <= slowest <= fastest <= 1.35:
        return (
            "changes speed and pitch together (16,000 / sample rate); rates from 11,852 to 21,333 "
            "are within 0.75 to 1.35 times"
        )
    return None


def clipped_at_the_peaks(values: Values) -> str | None:
    if values["a_min"] > -0.1 or values["a_max"] < 0.1:
        return "cuts the waveform below a tenth of full scale"
    return None


def noise_is_relative(values: Values) -> str | None:
    if values["noise_rms"] == "absolute":
        return "with noise_rms: absolute drowns quiet clips"
    return None


def speech_stays_loud(values: Values) -> str | None:
    gain_db = values["signal_gain_db_during_noise"]
    old_gain_db = values["signal_gain_in_db_during_noise"]
    if min(gain_db or 0.0, old_gain_db or 0.0) < -6:
        return "turns the speech down during a noise"
    return None


OVER_SPEECH = at_least("min_snr_db", 0, DROWNS)
MASKS: Rule = all_of(
    at_most("time_share", 0.2, "masks more than a fifth of a clip at once"),
    at_most("time_width", MAX_MASK_FRAMES, "masks more than a second at once"),
    at_most("time_masks", 2, "masks more than twice"),
    at_most("frequency_masks", 2, "masks more than two bands"),
    at_most("frequency_width", 27, "masks more than a third of the mel channels at once"),
)
