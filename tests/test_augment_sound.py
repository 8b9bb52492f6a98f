"""What the ready sets do to sound, measured; and draws that depend on nothing but their key."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from soritune.augment import room, telephone
from soritune.augment.babble import Clip, choose, mixed, original_id
from soritune.augment.chain import Augmenter
from soritune.augment.config import Augmentation
from soritune.augment.effects import FastSlow
from soritune.augment.masks import SpecAugment
from soritune.errors import UserError

RATE_HZ = 16_000


def seconds(duration_s: float) -> np.ndarray:
    return np.arange(round(duration_s * RATE_HZ)) / RATE_HZ


def voice(duration_s: float = 2.0, f0_hz: float = 150.0) -> np.ndarray:
    """Harmonics up to 8 kHz in syllables: something of everything that a voice has."""
    time_s = seconds(duration_s)
    sound = sum(np.sin(2 * np.pi * f0_hz * k * time_s) / k**0.5 for k in range(1, 50))
    return (0.05 * sound * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * time_s))).astype(np.float32)


def noise(duration_s: float, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(len(seconds(duration_s)))).astype(
        np.float32
    )


def power_db(samples: np.ndarray, low_hz: float, high_hz: float) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / RATE_HZ)
    return 10 * float(np.log10(spectrum[(hz >= low_hz) & (hz < high_hz)].sum() + 1e-20))


def pitch_hz(samples: np.ndarray) -> float:
    """By autocorrelation, of the middle half second, to a fraction of a sample."""
    middle = samples[len(samples) // 2 - 4000 : len(samples) // 2 + 4000].astype(np.float64)
    correlation = np.correlate(middle, middle, "full")[len(middle) - 1 :]
    lags = slice(RATE_HZ // 500, RATE_HZ // 60)
    peak = lags.start + int(np.argmax(correlation[lags]))
    before, at, after = correlation[peak - 1 : peak + 2]
    return RATE_HZ / (peak + 0.5 * (before - after) / (before - 2 * at + after))


def delay_samples(before: np.ndarray, after: np.ndarray) -> int:
    """By how much `after` lags behind, from the peak of the cross-correlation."""
    size = len(before) + len(after)
    product = np.conj(np.fft.rfft(before, size)) * np.fft.rfft(after, size)
    lag = int(np.argmax(np.fft.irfft(product, size)))
    return lag if lag < size // 2 else lag - size


# -- fast-slow


@pytest.mark.parametrize("rate", [0.8, 0.93, 1.0, 1.15, 1.3])
def test_stretched_speech_lasts_its_length_by_the_rate_and_keeps_its_pitch(rate: float) -> None:
    pytest.importorskip("audiomentations")
    tone = (0.3 * np.sin(2 * np.pi * 173.0 * seconds(3.0))).astype(np.float32)
    changed, drawn = FastSlow(rate, rate).apply(tone, Clip("u"), ("k",))
    assert drawn["rate"] == pytest.approx(rate)
    assert len(changed) == pytest.approx(len(tone) / rate, abs=2)
    assert pitch_hz(tone) == pytest.approx(173.0, rel=2e-3)
    assert pitch_hz(changed) == pytest.approx(173.0, rel=1e-2)


def test_stretched_syllables_stand_where_the_rate_puts_them() -> None:
    pytest.importorskip("audiomentations")
    sound = np.zeros(len(seconds(3.0)), np.float32)
    for start_s in (0.5, 1.5, 2.5):
        sound[round(start_s * RATE_HZ) :][:2400] = voice(0.15)
    changed, _ = FastSlow(0.8, 0.8).apply(sound, Clip("u"), ("k",))
    envelope = np.convolve(changed**2, np.ones(800) / 800, "same")
    loud = envelope > envelope.max() / 10
    starts_s = np.flatnonzero(loud & ~np.roll(loud, 1)) / RATE_HZ
    assert starts_s == pytest.approx([0.5 / 0.8, 1.5 / 0.8, 2.5 / 0.8], abs=0.04)


def test_the_drawn_speeds_fill_the_range_and_the_plan_knows_them() -> None:
    pytest.importorskip("audiomentations")
    augmenter = Augmenter(Augmentation.model_validate("fast-slow"))
    sound = voice(1.0)
    rates = []
    for epoch in range(60):
        key = (7, "corpus", "u1", epoch)
        changed = augmenter.samples(sound, Clip("u1"), key)
        planned_s = augmenter.duration_s(1.0, key)
        assert len(changed.samples) == pytest.approx(planned_s * RATE_HZ, abs=1.5)
        rates += [step.drawn["rate"] for step in changed.steps]
    # p is 0.8: 48 of 60, three standard deviations are 9.3.
    assert 38 <= len(rates) <= 58
    assert 0.8 <= min(rates) < 0.85
    assert 1.25 < max(rates) <= 1.3


def test_what_would_get_too_long_or_too_short_stays_as_it_was() -> None:
    pytest.importorskip("audiomentations")
    slow = Augmentation.model_validate([{"transform": "fast-slow", "max_rate": 0.8, "p": 1}])
    augmenter = Augmenter(slow)
    long = noise(25.0)
    changed = augmenter.samples(long, Clip("u"), ("k",))
    assert np.array_equal(changed.samples, long)
    assert changed.steps[0].skipped == "made it longer than 30 s"
    assert not changed.changed
    assert augmenter.duration_s(25.0, ("k",)) == 25.0
    assert augmenter.duration_s(20.0, ("k",)) == pytest.approx(25.0)


# -- telephone


@pytest.mark.parametrize("codec", [*telephone.CODECS, "none"])
def test_a_telephone_leaves_its_band_alone_and_nothing_above_4_khz(codec: str) -> None:
    sound = voice()
    heard = telephone.through_telephone(sound, codec)
    assert len(heard) == len(sound)
    assert power_db(sound, 4100, 8000) > power_db(sound, 500, 3200) - 10
    assert power_db(heard, 4100, 8000) < power_db(heard, 500, 3200) - 60
    # GSM's quantisation puts a little of its own there.
    floor_db = 20 if codec == "gsm" else 30
    assert power_db(heard, 0, 100) < power_db(heard, 500, 3200) - floor_db
    # The band itself passes at its level; GSM and MP3 at low rates are coarser.
    assert power_db(heard, 500, 3200) == pytest.approx(power_db(sound, 500, 3200), abs=2.5)


@pytest.mark.parametrize("codec", [*telephone.CODECS, "none"])
def test_a_telephone_delays_nothing(codec: str) -> None:
    random_ = np.random.default_rng(3)
    # No periods in it, so there is one peak only.
    sound = (voice() * random_.uniform(0.2, 1.0, len(voice()))).astype(np.float32)
    assert abs(delay_samples(sound, telephone.through_telephone(sound, codec))) <= 2


def test_mu_law_is_as_coarse_as_the_standard_says() -> None:
    """G.711 gives about 38 dB over a wide range of levels; a tone in the band, both 13-bit."""
    for level in (0.5, 0.05):
        tone = (level * np.sin(2 * np.pi * 1013.0 * seconds(1.0))).astype(np.float32)
        coded, plain = (telephone.through_telephone(tone, c)[800:-800] for c in ("mu-law", "none"))
        snr_db = 10 * np.log10(np.mean(plain**2) / np.mean((coded - plain) ** 2))
        assert 33 < snr_db < 42


@pytest.mark.parametrize("num_samples", [400, 401, 1000])
@pytest.mark.parametrize("codec", telephone.CODECS)
def test_the_shortest_clips_go_through_a_telephone(codec: str, num_samples: int) -> None:
    heard = telephone.through_telephone(noise(1.0)[:num_samples], codec)
    assert heard.shape == (num_samples,)
    assert heard.dtype == np.float32
    assert np.isfinite(heard).all()


# -- room


@pytest.mark.parametrize("rt60_s", [0.2, 0.4, 0.8])
def test_a_simulated_room_decays_by_60_db_in_the_time_that_was_asked_for(rt60_s: float) -> None:
    response = room.simulated_response(rt60_s, 60.0, 2.0, np.random.default_rng(1))
    # Schroeder: the energy still to come, as a curve in dB; slope between -5 and -25 dB.
    tail = response[1:].astype(np.float64)
    left_db = 10 * np.log10(np.cumsum(tail[::-1] ** 2)[::-1] / np.sum(tail**2) + 1e-12)
    start, end = (int(np.argmax(left_db < level)) for level in (-5, -25))
    assert 3 * (end - start) / RATE_HZ == pytest.approx(rt60_s, rel=0.15)


def test_a_room_is_louder_than_the_direct_sound_beyond_the_critical_distance() -> None:
    # V = 60 m³, RT60 = 0.5 s: 0.057 · sqrt(120) = 0.624 m.
    for distance_m, energy in ((0.624, 1.0), (1.249, 4.0)):
        response = room.simulated_response(0.5, 60.0, distance_m, np.random.default_rng(2))
        assert response[0] == 1.0
        assert float(np.sum(response[1:].astype(np.float64) ** 2)) == pytest.approx(
            energy, rel=0.01
        )


def test_a_room_keeps_length_level_and_the_place_of_the_direct_sound() -> None:
    sound = noise(1.0)
    sound[:4000] = 0
    response = room.simulated_response(0.4, 60.0, 1.0, np.random.default_rng(3))
    heard = room.in_room(sound, response)
    assert len(heard) == len(sound)
    assert not heard[:3999].any() or np.abs(heard[:3990]).max() < 1e-5
    assert delay_samples(sound, heard) == 0
    assert np.sqrt(np.mean(heard**2)) == pytest.approx(np.sqrt(np.mean(sound**2)), rel=1e-4)


def test_a_recorded_response_with_a_delay_moves_nothing(tmp_path: Path) -> None:
    recorded = np.zeros(24_000, np.float32)  # at 48 kHz
    recorded[4800] = 0.9  # 100 ms after the beginning
    recorded[7200] = -0.3  # an echo 50 ms later
    soundfile.write(tmp_path / "hall.wav", recorded, 48_000, subtype="FLOAT")
    step = {"transform": "room", "p": 1, "impulse_responses": str(tmp_path)}
    augmenter = Augmenter(Augmentation.model_validate([step]))
    sound = noise(1.0)
    heard = augmenter.samples(sound, Clip("u"), ("k",))
    assert heard.steps[0].drawn["impulse_response"].endswith("hall.wav")
    assert delay_samples(sound, heard.samples) == 0
    echo = np.corrcoef(heard.samples[800:], sound[:-800])[0, 1]
    assert echo == pytest.approx(-0.3, abs=0.06)


def test_a_folder_without_responses_is_named(tmp_path: Path) -> None:
    step = {"transform": "room", "impulse_responses": str(tmp_path)}
    with pytest.raises(UserError, match="holds no impulse responses"):
        Augmenter(Augmentation.model_validate([step]))


@pytest.mark.parametrize(
    ("transform", "key"),
    [
        ("AddBackgroundNoise", "sounds_path"),
        ("AddShortNoises", "sounds_path"),
        ("ApplyImpulseResponse", "ir_path"),
        ("room", "impulse_responses"),
    ],
)
def test_a_damaged_sound_file_is_one_line_with_its_name(
    tmp_path: Path, transform: str, key: str
) -> None:
    (tmp_path / "cut.wav").write_bytes(b"RIFF")
    augmenter = Augmenter(
        Augmentation.model_validate(
            {
                "use": [{"transform": transform, "p": 1, key: str(tmp_path)}],
                "transcript": "may-change",
            }
        )
    )
    with pytest.raises(UserError, match=re.escape(str(tmp_path))) as told:
        augmenter.samples(voice(1.0), Clip("u"), ("k",))
    assert "\n" not in str(told.value)


# -- babble


@pytest.mark.parametrize("snr_db", [5.0, 12.5, 20.0])
def test_babble_stands_under_the_speech_by_what_was_asked_for(snr_db: float) -> None:
    speech, others = voice(2.0), [noise(0.7, 1), noise(3.0, 2)]
    mix = mixed(speech, others, snr_db, 0.3)
    added = mix.astype(np.float64) - speech
    measured = 10 * np.log10(np.mean(speech.astype(np.float64) ** 2) / np.mean(added**2))
    assert measured == pytest.approx(snr_db, abs=0.05)


class Talkers:
    """Two utterances of mina and two of jun; it remembers who was heard."""

    clips = (("m1", "mina"), ("m2", "mina"), ("j1", "jun"), ("j2", "jun"))

    def voice(self, clip: Clip, random: np.random.Generator) -> tuple[str, np.ndarray] | None:
        index = choose(clip, self.clips, random)
        return None if index is None else (self.clips[index][0], noise(1.0, index))


def test_babble_is_of_another_utterance_and_another_speaker_where_there_is_one() -> None:
    step = {"transform": "babble", "p": 1, "voices": 2}
    augmenter = Augmenter(Augmentation.model_validate([step]))
    heard = set()
    for epoch in range(50):
        clip = Clip("m1", "mina", Talkers())
        (applied,) = augmenter.samples(voice(1.0), clip, (epoch,)).steps
        heard |= set(applied.drawn["voices"])
        assert 5 <= applied.drawn["snr_db"] <= 20
    assert heard == {"j1", "j2"}
    alone = [("m1", "mina"), ("m2", "mina")]
    generator = np.random.default_rng(0)
    assert {choose(Clip("m1", "mina"), alone, generator) for _ in range(20)} == {1}
    assert choose(Clip("m1", "mina"), alone[:1], generator) is None
    assert choose(Clip("m1", "mina"), [], generator) is None


def test_a_stored_copy_is_not_another_utterance() -> None:
    names = [("m1", None), ("m1+aug1", None), ("m1+aug12", None)]
    generator = np.random.default_rng(0)
    assert choose(Clip("m1+aug2"), names, generator) is None
    assert [original_id(i) for i in ("a+aug1", "a+augx", "a", "a+b+aug3")] == [
        "a",
        "a+augx",
        "a",
        "a+b",
    ]


def test_babble_without_anybody_else_leaves_the_clip_alone() -> None:
    augmenter = Augmenter(Augmentation.model_validate([{"transform": "babble", "p": 1}]))
    sound = voice(1.0)
    result = augmenter.samples(sound, Clip("u"), ("k",))
    assert np.array_equal(result.samples, sound)
    assert not result.changed


# -- specaugment


def test_masks_are_within_their_bounds_and_hold_the_mean() -> None:
    fill = torch.linspace(1.0, 5.0, 80)
    widest = longest = 0
    for seed in range(200):
        features = torch.full((300, 80), -9.0)
        masks = SpecAugment(frequency_masks=1, time_masks=1)
        hidden = masks.mask(features, fill, np.random.default_rng(seed))
        changed = hidden != features
        assert torch.equal(hidden[changed], fill.expand(300, 80)[changed])
        bands = changed.all(0)
        moments = changed.all(1)
        assert torch.equal(changed, bands[None, :] | moments[:, None])
        for mask in (bands, moments):  # one piece
            assert int((mask[1:] & ~mask[:-1]).sum()) + int(mask[0]) <= 1
        widest, longest = max(widest, int(bands.sum())), max(longest, int(moments.sum()))
        assert (features == -9.0).all()
    assert 25 <= widest <= 27
    assert 55 <= longest <= 60  # a fifth of 300 frames


def test_masks_of_a_long_clip_are_no_longer_than_a_second() -> None:
    longest = 0
    for seed in range(100):
        features = torch.zeros(3000, 80)
        masks = SpecAugment(time_masks=1)
        hidden = masks.mask(features, torch.ones(80), np.random.default_rng(seed))
        longest = max(longest, int((hidden == 1).all(1).sum()))
    assert 90 <= longest <= 100


def test_specaugment_leaves_the_sound_and_its_length_alone() -> None:
    augmenter = Augmenter(Augmentation.model_validate("specaugment"))
    sound = voice(1.0)
    assert not augmenter.changes_samples
    assert np.array_equal(augmenter.samples(sound, Clip("u"), ("k",)).samples, sound)
    assert augmenter.duration_s(1.0, ("k",)) == 1.0
    features = torch.randn(100, 80, generator=torch.Generator().manual_seed(0))
    first = augmenter.features(features, torch.zeros(80), ("k", 1))
    assert torch.equal(first, augmenter.features(features, torch.zeros(80), ("k", 1)))
    assert not torch.equal(first, augmenter.features(features, torch.zeros(80), ("k", 2)))
