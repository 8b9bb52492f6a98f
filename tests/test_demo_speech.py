"""Demo speech: reproducible clips, voices that are held out, and the reader's bookkeeping."""

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from soritune.errors import UserError
from soritune.sources.corpora.demo.clip import DemoClip
from soritune.sources.corpora.demo.espeak import synthesize
from soritune.sources.corpora.demo.sentences import pairs
from soritune.sources.corpora.demo.source import DemoSource, read
from soritune.sources.corpora.demo.voices import LANGUAGES, VARIANTS, voices
from soritune.utterance import RenderedAudio, Split, Utterance

espeakng_loader = pytest.importorskip("espeakng_loader", reason="demo speech needs soritune[demo]")

SPLITS: tuple[Split, ...] = ("train", "dev", "test")
KOREAN = DemoClip("서울까지 기차로 세 시간 걸려요", "ko", "ko+m1", 200, 50, 25.0, 0.0, 1)
ENGLISH = DemoClip("the bank is next to the school", "en", "en-us+f2", 180, 60, 20.0, 2.0, 2)


def source(**fields: object) -> DemoSource:
    return DemoSource.model_validate({"source": "demo", **fields})


def digest(clip: DemoClip) -> str:
    return hashlib.sha256(clip.render()[0].tobytes()).hexdigest()


def clips(utterances: list[Utterance]) -> list[DemoClip]:
    found = [utterance.audio for utterance in utterances]
    assert all(isinstance(clip, DemoClip) for clip in found)
    return [clip for clip in found if isinstance(clip, DemoClip)]


def test_a_clip_is_mono_float32_at_16_khz_within_full_scale() -> None:
    samples, rate_hz = KOREAN.render()
    assert rate_hz == 16_000
    assert samples.dtype == np.float32
    assert samples.ndim == 1
    assert 0.1 < float(np.abs(samples).max()) <= 1.0


def test_a_clip_is_bit_equal_whatever_was_rendered_before() -> None:
    first = digest(KOREAN), digest(ENGLISH)
    assert first == (digest(KOREAN), digest(ENGLISH))
    assert digest(ENGLISH) == first[1]
    assert digest(KOREAN) == first[0]


def test_a_clip_is_bit_equal_in_a_fresh_process() -> None:
    program = (
        "import hashlib; from soritune.sources.corpora.demo.clip import DemoClip;"
        f"print(hashlib.sha256({ENGLISH!r}.render()[0].tobytes()).hexdigest())"
    )
    digest(KOREAN)
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    other = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, check=True, text=True
    )
    assert other.stdout.strip() == digest(ENGLISH)


def test_a_clip_survives_pickling_as_worker_processes_need_it() -> None:
    assert isinstance(KOREAN, RenderedAudio)
    assert pickle.loads(pickle.dumps(KOREAN)) == KOREAN


def test_a_higher_rate_is_shorter_and_a_higher_pitch_sounds_different() -> None:
    text = KOREAN.text
    slow, fast = (len(synthesize(text, "ko+m1", rate, 50)) for rate in (165, 240))
    assert fast < 0.8 * slow
    low, high = (synthesize(text, "ko+m1", 200, pitch) for pitch in (25, 75))
    assert not np.array_equal(low[: len(high)], high[: len(low)])


@pytest.mark.parametrize("seed", [0, 1, 2, 3])  # both colours of noise occur
def test_the_noise_lies_under_the_speech_by_the_given_ratio(seed: int) -> None:
    def render(snr_db: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        clip = DemoClip(KOREAN.text, "ko", "ko+m1", 200, 50, snr_db, 0.0, seed)
        return clip.render()[0].astype(np.float64)

    clean = render(200.0)
    noise = render(20.0) - clean
    spoken = np.flatnonzero(np.abs(clean) > 1e-6)
    speech = clean[spoken[0] :]
    measured = 10 * np.log10(np.mean(speech**2) / np.mean(noise**2))
    assert measured == pytest.approx(20.0, abs=0.2)


def test_gain_changes_the_level_of_the_whole_clip() -> None:
    quiet, loud = (
        DemoClip(KOREAN.text, "ko", "ko+m1", 200, 50, 30.0, gain_db, 1).render()[0]
        for gain_db in (-3.0, 3.0)
    )
    ratio_db = 20 * np.log10(np.std(loud) / np.std(quiet))
    assert ratio_db == pytest.approx(6.0, abs=0.01)


def test_an_unknown_voice_is_an_error_and_no_other_voice_instead() -> None:
    with pytest.raises(ValueError, match=r"en-gb\+m1"):  # a trap: no such voice in espeak-ng
        synthesize("hello", "en-gb+m1", 200, 50)


def test_every_variant_is_a_file_of_espeak_ng() -> None:
    # espeak-ng takes an unknown variant without a word and speaks with the plain voice.
    folder = Path(espeakng_loader.get_data_path()) / "voices" / "!v"
    files = {path.name for path in folder.iterdir()}
    assert {name for names in VARIANTS.values() for name in names} <= files


def test_missing_espeak_ng_is_one_clear_line_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(UserError, match=r"pip install soritune\[demo\]"):
        KOREAN.render()


def test_data_that_espeak_ng_cannot_read_is_a_clear_error_and_does_not_end_the_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(tmp_path))
    with pytest.raises(UserError, match="cannot start"):
        KOREAN.render()


def test_a_library_that_is_gone_is_a_clear_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(espeakng_loader, "get_library_path", lambda: str(tmp_path / "gone.so"))
    with pytest.raises(UserError, match="cannot be loaded"):
        KOREAN.render()


def test_voices_of_the_splits_share_no_variant_in_any_language() -> None:
    assert [len(VARIANTS[split]) for split in SPLITS] == [31, 2, 4]
    heard = [
        {name.split("+")[1] for language in LANGUAGES for name in voices(language, split)}
        for split in SPLITS
    ]
    assert [len(names) for names in heard] == [31, 2, 4]
    assert len(set.union(*heard)) == 31 + 2 + 4


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_voice_is_bit_equal_in_any_order(language: str) -> None:
    # Flutter, breath and noise are a voice's own: one that keeps a state betrays itself here.
    text = KOREAN.text if language == "ko" else ENGLISH.text
    names = [name for split in SPLITS for name in voices(language, split)]
    forward = {name: synthesize(text, name, 200, 50).tobytes() for name in names}
    backward = {name: synthesize(text, name, 200, 50).tobytes() for name in reversed(names)}
    assert [name for name in names if forward[name] != backward[name]] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_voice_speaks_and_none_sounds_like_another(language: str) -> None:
    text = KOREAN.text if language == "ko" else ENGLISH.text
    spoken = {}
    for split in SPLITS:
        for voice in voices(language, split):
            samples = synthesize(text, voice, 200, 50)
            assert 1.0 < len(samples) / 22_050 < 4.0, voice
            assert float(np.abs(samples).max()) > 0.1, voice
            spoken[voice] = samples.tobytes()
    assert len(set(spoken.values())) == len(spoken)


@pytest.mark.parametrize("language", LANGUAGES)
def test_clips_last_about_two_seconds(language: str) -> None:
    utterances = list(read(source(language=language, train=60, dev=0, test=0)))
    durations_s = [len(clip.render()[0]) / 16_000 for clip in clips(utterances)]
    assert 1.5 < float(np.mean(durations_s)) < 2.6
    assert min(durations_s) > 0.8
    assert max(durations_s) < 4.5


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_reader_gives_the_counts_and_fields_asked_for(language: str) -> None:
    utterances = list(read(source(language=language, train=70, dev=5, test=8)))
    assert Counter(utterance.split for utterance in utterances) == {
        "train": 70,
        "dev": 5,
        "test": 8,
    }
    assert len({utterance.id for utterance in utterances}) == 83
    assert utterances[12].id == f"{language}-train-00012"
    other = "en" if language == "ko" else "ko"
    for utterance, clip in zip(utterances, clips(utterances), strict=True):
        assert (utterance.language, utterance.translation_language) == (language, other)
        assert (utterance.text, utterance.speaker) == (clip.text, clip.voice)
        assert utterance.speaker in voices(language, utterance.split)
        korean, english = (
            (utterance.text, utterance.translation)
            if language == "ko"
            else (utterance.translation, utterance.text)
        )
        assert any((p.korean, p.english) == (korean, english) for p in pairs(utterance.split))


def test_defaults_are_the_sizes_of_the_demo() -> None:
    counts = Counter(utterance.split for utterance in read(source()))
    assert counts == {"train": 4000, "dev": 100, "test": 120}


def test_training_hears_nothing_of_dev_and_test_in_either_language() -> None:
    heard: dict[str, set[str | None]] = {"train": set(), "held out": set()}
    for language in LANGUAGES:
        for utterance in read(source(language=language, train=20_000, dev=200, test=400)):
            kind = "train" if utterance.split == "train" else "held out"
            assert utterance.speaker is not None
            heard[kind] |= {utterance.text, utterance.translation}
            heard[kind].add("variant " + utterance.speaker.split("+")[1])
    assert heard["train"].isdisjoint(heard["held out"])


def test_test_sentences_are_distinct_and_the_same_pairs_in_both_languages() -> None:
    korean, english = (
        [u for u in read(source(language=language, train=0, dev=0)) if u.split == "test"]
        for language in LANGUAGES
    )
    assert len({utterance.text for utterance in korean}) == len(korean) == 120
    assert [(u.text, u.translation) for u in korean] == [(u.translation, u.text) for u in english]


def test_every_sentence_comes_once_before_any_comes_twice() -> None:
    distinct = len(pairs("train"))
    once = Counter(u.text for u in read(source(train=distinct, dev=0, test=0)))
    assert set(once.values()) == {1}
    twice = Counter(u.text for u in read(source(train=distinct + 10, dev=0, test=0)))
    assert Counter(twice.values()) == {1: distinct - 10, 2: 10}


def test_voices_are_heard_equally_often() -> None:
    counts = Counter(u.speaker for u in read(source(train=310, dev=0, test=0)))
    assert set(counts.values()) == {10}


def test_the_way_of_speaking_spreads_over_its_range() -> None:
    spoken = clips(list(read(source(train=1000, dev=0, test=0))))
    for name, low, high in (
        ("rate_wpm", 165, 240),
        ("pitch", 25, 75),
        ("snr_db", 18, 35),
        ("gain_db", -3, 3),
    ):
        values = [getattr(clip, name) for clip in spoken]
        assert low <= min(values) < low + 0.1 * (high - low)
        assert high >= max(values) > high - 0.1 * (high - low)


def test_equal_sources_read_equally_and_another_seed_differs() -> None:
    few = {"train": 40, "dev": 4, "test": 4}
    first = list(read(source(**few)))
    assert list(read(source(**few))) == first
    assert list(read(source(**few, seed=1))) != first


def test_more_clips_do_not_change_the_ones_before() -> None:
    short = list(read(source(train=50, dev=0, test=0)))
    long = list(read(source(train=500, dev=0, test=0)))
    assert long[:50] == short


def test_more_test_clips_than_sentences_is_an_error_with_the_limit() -> None:
    limit = len(pairs("test"))
    with pytest.raises(UserError, match=f"at most {limit}"):
        list(read(source(test=limit + 1)))


@pytest.mark.parametrize("wrong", [{"language": "fr"}, {"train": -1}, {"voices": 3}])
def test_wrong_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        source(**wrong)
