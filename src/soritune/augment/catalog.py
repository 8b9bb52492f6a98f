"""Every transform with its parameters, and whether it keeps a transcript true.

A transcript stays true where every word that was said can still be heard, once and in its order.
`TRANSFORMS` has our own and each of audiomentations 0.43.1, with the parameters that a recipe may
give and the package's defaults (`tests/test_augment_catalog.py` compares them with the package).
"""

from __future__ import annotations

from soritune.augment.judgements import (
    EATS,
    HIGH_PASS_CEILING_HZ,
    LOW_PASS_FLOOR_HZ,
    MASKS,
    MAX_MASK_SHARE,
    OVER_SPEECH,
    band_is_wide,
    clipped_at_the_peaks,
    noise_is_relative,
    rays_repeat,
    resampled_by_little,
    shifted_by_little,
    speech_stays_loud,
    stretch_repeats,
    stretched_within_bounds,
)
from soritune.augment.rules import (
    Parameter,
    Transform,
    all_of,
    at_least,
    at_most,
    choice,
    flag,
    never,
    number,
    span,
    whole,
    whole_span,
)


def _with_sounds(*more: Parameter) -> tuple[Parameter, ...]:
    return (Parameter("sounds_path", "path", needed=True), *more)


OWN = (
    Transform("fast-slow", span("rate", 0.8, 1.3, 0.5), stretched_within_bounds, p=0.8, own=True),
    Transform(
        "telephone", (choice("codec", "any", "mu-law", "a-law", "gsm", "mp3", "none"),), own=True
    ),
    Transform(
        "room",
        (Parameter("impulse_responses", "path"), *span("rt60_s", 0.2, 0.6, 0.05)),
        at_most("max_rt60_s", 1.5, "blurs words into each other beyond 1.5 s of reverberation"),
        own=True,
    ),
    Transform("babble", (*span("snr_db", 5.0, 20.0), whole("voices", 1, 1)), OVER_SPEECH, own=True),
    Transform(
        "specaugment",
        (
            whole("frequency_masks", 2, 0),
            whole("frequency_width", 27, 0),
            whole("time_masks", 2, 0),
            whole("time_width", 100, 0),
            number("time_share", 0.2, 0),
        ),
        MASKS,
        p=1.0,
        own=True,
    ),
    Transform("seed", p=1.0, own=True),
)

_SHELF = (*span("gain_db", -18.0, 18.0), *span("q", 0.1, 0.999))
_ROLLOFF = (*whole_span("rolloff", 12, 24), flag("zero_phase", False))
_METHOD = choice("method", "signalsmith_stretch", "librosa_phase_vocoder")

AUDIOMENTATIONS = (
    # Noise beside the speech.
    Transform(
        "AddBackgroundNoise",
        _with_sounds(
            *span("snr_db", 3.0, 30.0),
            choice("noise_rms", "relative", "absolute"),
            *span("absolute_rms_db", -45.0, -15.0),
            whole("lru_cache_size"),
        ),
        all_of(OVER_SPEECH, noise_is_relative),
        functions=("noise_transform",),
    ),
    Transform(
        "AddColorNoise",
        (
            *span("snr_db", 5.0, 40.0),
            *span("f_decay", -6.0, 6.0),
            number("p_apply_a_weighting", 0.0),
            whole("n_fft", 128),
        ),
        OVER_SPEECH,
    ),
    Transform(
        "AddGaussianNoise",
        span("amplitude", 0.001, 0.015),
        at_most("max_amplitude", 0.05, "above an amplitude of 0.05 is louder than quiet speech"),
    ),
    Transform("AddGaussianSNR", span("snr_db", 5.0, 40.0), OVER_SPEECH),
    Transform(
        "AddShortNoises",
        _with_sounds(
            *span("snr_db", -6.0, 18.0),
            *span("time_between_sounds", 2.0, 8.0),
            choice("noise_rms", "relative_to_whole_input", "relative", "absolute"),
            *span("absolute_noise_rms_db", -50.0, -20.0),
            flag("add_all_noises_with_same_level", False),
            flag("include_silence_in_noise_rms_estimation", True),
            number("burst_probability", 0.22),
            *span("pause_factor_during_burst", 0.1, 1.1),
            *span("fade_in_time", 0.005, 0.08),
            *span("fade_out_time", 0.01, 0.1),
            number("signal_gain_in_db_during_noise"),
            number("signal_gain_db_during_noise"),
            whole("lru_cache_size", 64),
        ),
        all_of(OVER_SPEECH, noise_is_relative, speech_stays_loud),
        functions=("noise_transform",),
    ),
    # Time.
    Transform(
        "AdjustDuration",
        (
            whole("duration_samples"),
            number("duration_seconds"),
            choice("padding_mode", "silence", "wrap", "reflect"),
            Parameter("padding_position", "text", "end", ("start", "end")),
        ),
        never(EATS),
    ),
    Transform(
        "Padding",
        (
            choice("mode", "silence", "wrap", "reflect"),
            *span("fraction", 0.01, 0.7),
            Parameter("pad_section", "text", "end", ("start", "end")),
        ),
        never("overwrites the beginning or the end of the speech"),
    ),
    Transform(
        "RepeatPart",
        (
            *whole_span("repeats", 1, 3),
            *span("part_duration", 0.25, 1.2),
            choice("mode", "insert", "replace"),
            number("crossfade_duration", 0.005),
        ),
        never("says a part several times, the transcript once"),
        functions=("part_transform",),
    ),
    Transform("Resample", whole_span("sample_rate", 8000, 44_100), resampled_by_little),
    Transform("Reverse", keeps=never("plays the speech backwards")),
    Transform(
        "Shift",
        (
            *span("shift", -0.5, 0.5),
            choice("shift_unit", "fraction", "samples", "seconds"),
            flag("rollover", True),
            number("fade_duration", 0.005),
        ),
        shifted_by_little,
    ),
    Transform(
        "TimeMask",
        (
            *span("band_part", 0.01, 0.2),
            number("fade_duration", 0.005),
            Parameter("mask_location", "text", "random", ("start", "end", "random")),
        ),
        at_most(
            "max_band_part",
            MAX_MASK_SHARE,
            f"silences whole words where max_band_part is over {MAX_MASK_SHARE:g}",
        ),
    ),
    Transform(
        "TimeStretch",
        (*span("rate", 0.8, 1.25), flag("leave_length_unchanged", True), _METHOD),
        stretched_within_bounds,
        repeats=stretch_repeats,
    ),
    Transform(
        "Trim",
        (number("top_db", 30.0),),
        at_least("top_db", 40, "under 40 dB takes weak sounds at the ends for silence"),
    ),
    # Frequencies.
    Transform(
        "AirAbsorption",
        (
            *span("temperature", 10.0, 20.0),
            *span("humidity", 30.0, 90.0),
            *span("distance", 10.0, 100.0),
        ),
    ),
    Transform(
        "Aliasing",
        whole_span("sample_rate", 8000, 30_000),
        at_least("min_sample_rate", 6000, "under 6,000 Hz leaves too little of the consonants"),
    ),
    Transform(
        "BandPassFilter",
        (*span("center_freq", 200.0, 4000.0), *span("bandwidth_fraction", 0.5, 1.99), *_ROLLOFF),
        band_is_wide,
    ),
    Transform(
        "BandStopFilter",
        (*span("center_freq", 200.0, 4000.0), *span("bandwidth_fraction", 0.5, 1.99), *_ROLLOFF),
        lambda values: (
            "may take away more than 1,000 Hz (max_center_freq × max_bandwidth_fraction)"
            if values["max_center_freq"] * values["max_bandwidth_fraction"] > 1000
            else None
        ),
    ),
    Transform(
        "HighPassFilter",
        (*span("cutoff_freq", 20.0, 2400.0), *_ROLLOFF),
        at_most(
            "max_cutoff_freq",
            HIGH_PASS_CEILING_HZ,
            f"above {HIGH_PASS_CEILING_HZ:g} Hz takes away what tells vowels apart",
        ),
    ),
    Transform("HighShelfFilter", (*span("center_freq", 300.0, 7500.0), *_SHELF)),
    Transform(
        "LowPassFilter",
        (*span("cutoff_freq", 150.0, 7500.0), *_ROLLOFF),
        at_least(
            "min_cutoff_freq",
            LOW_PASS_FLOOR_HZ,
            f"under {LOW_PASS_FLOOR_HZ:g} Hz takes away what tells consonants apart",
        ),
    ),
    Transform("LowShelfFilter", (*span("center_freq", 50.0, 4000.0), *_SHELF)),
    Transform(
        "PeakingFilter",
        (*span("center_freq", 50.0, 7500.0), *span("gain_db", -24.0, 24.0), *span("q", 0.5, 5.0)),
    ),
    Transform(
        "PitchShift",
        (*span("semitones", -4.0, 4.0), _METHOD),
        all_of(
            at_least("min_semitones", -6, "beyond 6 semitones moves vowels onto others"),
            at_most("max_semitones", 6, "beyond 6 semitones moves vowels onto others"),
        ),
    ),
    Transform("SevenBandParametricEQ", span("gain_db", -12.0, 12.0)),
    # Levels and the waveform.
    Transform(
        "BitCrush",
        whole_span("bit_depth", 5, 10),
        at_least("min_bit_depth", 8, "under 8 bits makes quiet clips silent"),
    ),
    Transform("Clip", (number("a_min", -1.0), number("a_max", 1.0)), clipped_at_the_peaks),
    Transform(
        "ClippingDistortion",
        whole_span("percentile_threshold", 0, 40),
        at_most("max_percentile_threshold", 60, "above 60 clips most of the waveform"),
    ),
    Transform(
        "Gain",
        span("gain_db", -12.0, 12.0),
        at_least("min_gain_db", -40, "under -40 dB leaves nothing of quiet clips in 16 bits"),
    ),
    Transform(
        "GainTransition",
        (
            *span("gain_db", -24.0, 6.0),
            *span("duration", 0.2, 6.0),
            Parameter("duration_unit", "text", "seconds", ("fraction", "samples", "seconds")),
        ),
        at_least("min_gain_db", -24, "under -24 dB makes a part too quiet to hear"),
    ),
    Transform(
        "Limiter",
        (
            *span("threshold_db", -24.0, -2.0),
            *span("attack", 0.0005, 0.025),
            *span("release", 0.05, 0.7),
            choice("threshold_mode", "relative_to_signal_peak", "absolute"),
        ),
        needs="numpy_audio_limiter",
    ),
    Transform("LoudnessNormalization", span("lufs", -31.0, -13.0), needs="loudness"),
    Transform("Normalize", (choice("apply_to", "all", "only_too_loud_sounds"),)),
    Transform("PolarityInversion"),
    Transform("TanhDistortion", span("distortion", 0.01, 0.7)),
    # Codecs and rooms.
    Transform(
        "Mp3Compression",
        (
            *whole_span("bitrate", 8, 64),
            choice("backend", "fast-mp3-augment", "pydub", "lameenc"),
            flag("preserve_delay", False),
            whole("quality", 7),
        ),
        needs="fast_mp3_augment",
    ),
    Transform(
        "ApplyImpulseResponse",
        (
            Parameter("ir_path", "path", needed=True),
            whole("lru_cache_size", 128),
            flag("leave_length_unchanged", True),
        ),
    ),
    Transform(
        "RoomSimulator",
        (
            *span("size_x", 3.6, 5.6),
            *span("size_y", 3.6, 3.9),
            *span("size_z", 2.4, 3.0),
            *span("absorption_value", 0.075, 0.4),
            *span("target_rt60", 0.15, 0.8),
            *span("source_x", 0.1, 3.5),
            *span("source_y", 0.1, 2.7),
            *span("source_z", 1.0, 2.1),
            *span("mic_distance", 0.15, 0.35),
            *span("mic_azimuth", -3.141592653589793, 3.141592653589793),
            *span("mic_elevation", -3.141592653589793, 3.141592653589793),
            choice("calculation_mode", "absorption", "rt60"),
            flag("use_ray_tracing", True),
            whole("max_order", 1),
            flag("leave_length_unchanged", False),
            number("padding", 0.1),
            Parameter("ray_tracing_options", "mapping"),
        ),
        repeats=rays_repeat,
        needs="pyroomacoustics",
    ),
    # Other transforms.
    Transform("Compose", (flag("shuffle", False),), p=1.0, group=True),
    Transform("OneOf", (Parameter("weights", "list of numbers"),), p=1.0, group=True),
    Transform(
        "SomeOf", (Parameter("num_transforms", "whole number", needed=True),), p=1.0, group=True
    ),
    Transform("Lambda", functions=("transform",)),
)

TRANSFORMS = {transform.name: transform for transform in (*OWN, *AUDIOMENTATIONS)}
