"""Measures of one clip against values that are known because they were put in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple

import numpy as np
import numpy.typing as npt
import pytest
import soxr
from doctor_corpus import RATE_HZ, clean_clips, coded, noisy, overdriven, telephone

from soritune.doctor.audio_checks import JUDGES
from soritune.doctor.catalogue import GAP_DB, NARROW_BAND_DB
from soritune.doctor.duplicates import MAX_ERROR_RATE
from soritune.doctor.fingerprint import bit_error_rate, exact_hash, frame_bits, sample_frames
from soritune.doctor.signal import FULL_SCALE, HOP, Signal, measure, plateaus, power_spectra

Samples = npt.NDArray[np.float32]
SPEECH = [clip.samples for language in ("ko", "en") for clip in clean_clips(language)[:12]]


def measured(samples: Samples) -> Signal:
    samples = samples.astype(np.float32)
    return measure(samples, power_spectra(samples))


def sine(hz: float, amplitude: float, seconds: float = 1.0) -> Samples:
    return (
        amplitude * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE_HZ)) / RATE_HZ)
    ).astype(np.float32)


def test_speech_as_it_is_passes_every_check() -> None:
    found = [name for x in SPEECH for name, judge in JUDGES.items() if judge(measured(x))]
    assert found == []


@pytest.mark.parametrize("quality", ["LQ", "MQ", "HQ", "VHQ"])
def test_what_came_from_8_khz_is_told_whatever_the_resampler(quality: str) -> None:
    for samples in SPEECH[::4]:
        narrow = soxr.resample(samples, RATE_HZ, 8_000)
        level = measured(soxr.resample(narrow, 8_000, RATE_HZ, quality=quality)).high_band_db
        assert level < NARROW_BAND_DB - 10


def cubic(narrow: Samples) -> Samples:
    return soxr.resample(narrow, 8_000, RATE_HZ, quality="QQ")


def linear(narrow: Samples) -> Samples:
    return np.interp(np.arange(2 * len(narrow) - 1) / 2, np.arange(len(narrow)), narrow)


def held(narrow: Samples) -> Samples:
    return np.repeat(narrow, 2)


@pytest.mark.parametrize("upsample", [cubic, linear, held])
def test_mirrored_images_above_4_khz_are_no_wide_band(
    upsample: Callable[[Samples], Samples],
) -> None:
    for samples in SPEECH[::4]:
        signal = measured(upsample(soxr.resample(samples, RATE_HZ, 8_000)))
        assert signal.high_band_db > NARROW_BAND_DB  # there is something up there
        assert signal.gap_db < GAP_DB - 10
        assert JUDGES["narrow-band"](signal)
        assert measured(samples).gap_db > GAP_DB + 10


def test_wide_band_speech_stays_far_from_the_threshold_even_without_its_noise() -> None:
    quiet = [clip.samples for clip in clean_clips("en")]
    levels = [measured(samples).high_band_db for samples in quiet]
    assert min(levels) > NARROW_BAND_DB + 20


@pytest.mark.parametrize("codec", ["mp3", "ogg"])
def test_a_codec_does_not_make_speech_narrow(codec: str) -> None:
    assert measured(coded(SPEECH[0], codec)).high_band_db > NARROW_BAND_DB + 20


def test_runs_at_full_scale_are_counted_on_both_sides() -> None:
    samples = np.zeros(1_000, np.float32)
    samples[100:103] = 1.0
    samples[200:202] = 1.0  # two are not enough
    samples[300:310] = -1.0
    assert plateaus(samples, FULL_SCALE) == 2


def test_a_tone_that_touches_full_scale_is_not_clipped() -> None:
    signal = measured(sine(440, 1.0))
    assert signal.clipped_runs == signal.flat_runs == 0


@pytest.mark.parametrize("limit", [1.0, 0.7, 0.2])
def test_overdriven_speech_is_told_at_any_level(limit: float) -> None:
    assert all(JUDGES["clipping"](measured(overdriven(x, limit))) for x in SPEECH[::3])


@pytest.mark.parametrize(("before_s", "after_s"), [(0.0, 0.0), (1.5, 0.3), (0.25, 2.0)])
def test_silence_at_the_ends_is_measured_to_two_frames(before_s: float, after_s: float) -> None:
    speech = sine(300, 0.3, 2.0)
    parts = [np.zeros(int(s * RATE_HZ), np.float32) for s in (before_s, after_s)]
    noise = np.random.default_rng(0).normal(0, 1e-4, RATE_HZ * 10)
    samples = np.concatenate([parts[0], speech, parts[1]])
    signal = measured(samples + noise[: len(samples)])
    assert signal.lead_s == pytest.approx(before_s, abs=0.02)
    assert signal.trail_s == pytest.approx(after_s, abs=0.02)


def test_the_offset_is_the_mean() -> None:
    assert measured(sine(200, 0.2) + np.float32(0.05)).offset == pytest.approx(0.05, abs=1e-4)
    assert measured(sine(200, 0.2)).offset == pytest.approx(0.0, abs=1e-4)


def test_the_offset_changes_no_level() -> None:
    plain, shifted = measured(SPEECH[0] * 0.8), measured(SPEECH[0] * 0.8 + np.float32(0.1))
    assert shifted.snr_db == pytest.approx(plain.snr_db, abs=0.01)
    assert shifted.lead_s == plain.lead_s


def test_the_noise_level_is_that_of_the_noise() -> None:
    for level_dbfs in (-60.0, -45.0):
        quiet = np.zeros(RATE_HZ, np.float32)
        samples = np.concatenate([quiet, sine(300, 0.5, 2.0), quiet])
        noise = np.random.default_rng(3).normal(0, 10 ** (level_dbfs / 20), len(samples))
        assert measured(samples + noise).noise_dbfs == pytest.approx(level_dbfs, abs=1.5)


def test_more_noise_is_less_ratio_and_loudness_changes_nothing() -> None:
    for samples in SPEECH[::6]:
        ratios = [measured(noisy(samples, snr_db)).snr_db for snr_db in (0, 5, 10, 15)]
        assert ratios == sorted(ratios)
        assert np.allclose(np.diff(ratios), 5, atol=1.8)
        loud = measured(noisy(samples, 10)).snr_db
        assert measured(noisy(samples, 10) * np.float32(0.05)).snr_db == pytest.approx(
            loud, abs=0.1
        )


def test_digital_silence_and_the_shortest_clip_can_be_measured() -> None:
    for samples in (
        np.zeros(400, np.float32),
        np.zeros(3 * RATE_HZ, np.float32),
        sine(300, 0.5, 0.025),
    ):
        signal = measured(samples)
        assert all(np.isfinite(value) for value in astuple(signal))


CHANGES = {
    "quieter": lambda x: np.rint(x * 0.3 * 32_768) / 32_768,
    "cut": lambda x: x[2_000:-3_000],
    "cut by half a frame": lambda x: x[HOP * 10 + HOP // 2 :],
    "mp3": lambda x: coded(x, "mp3"),
    "vorbis": lambda x: coded(x, "ogg"),
    "telephone": lambda x: coded(x, "ulaw", 8_000),
    "noise": lambda x: noisy(x, 20),
}


def error_rate(one: Samples, other: Samples) -> float:
    prints = [frame_bits(power_spectra(x.astype(np.float32))) for x in (one, other)]
    offsets = range(-len(prints[1][0]) + 1, len(prints[0][0]))
    rates = [bit_error_rate(*prints, offset) for offset in offsets]
    return min((rate for rate, compared in rates if compared >= 0.6), default=1.0)


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_has_nearly_the_bits_of_its_original(change: str) -> None:
    for samples in SPEECH[::5]:
        assert error_rate(samples, CHANGES[change](samples)) < MAX_ERROR_RATE - 0.05


def test_other_speech_of_the_same_voice_has_other_bits() -> None:
    of_voice = [clip.samples for clip in clean_clips("ko") if clip.split == "test"][::4]
    assert len(of_voice) >= 3  # four test voices take turns
    for place, one in enumerate(of_voice):
        for other in of_voice[place + 1 :]:
            assert error_rate(one, other) > MAX_ERROR_RATE + 0.04


def test_the_frames_that_are_sampled_do_not_hang_on_where_a_clip_was_cut() -> None:
    samples = SPEECH[0]
    cut = 20
    one, other = (frame_bits(power_spectra(x)) for x in (samples, samples[cut * HOP :]))
    whole = {int(place) - cut for place in sample_frames(*one) if place >= cut}
    assert whole == {int(place) for place in sample_frames(*other)}
    assert 0.1 < len(sample_frames(*one)) / np.count_nonzero(one[1]) < 0.45


def test_equal_samples_alone_have_equal_hashes() -> None:
    samples = SPEECH[0]
    changed = samples.copy()
    changed[100] += 1 / 32_768
    assert exact_hash(samples) == exact_hash(samples.copy())
    assert exact_hash(samples) != exact_hash(changed)


def test_a_clip_under_a_second_has_no_fingerprint() -> None:
    assert len(frame_bits(power_spectra(SPEECH[0][: RATE_HZ - HOP]))[0]) == 0
    assert len(frame_bits(power_spectra(SPEECH[0][:RATE_HZ]))[0]) > 0


def test_telephone_speech_is_found_by_the_check_itself() -> None:
    assert JUDGES["narrow-band"](measured(telephone(SPEECH[0])))
