"""Corpora for the audit: one without faults, and one with faults of known number and place.

The speech is synthetic (espeak-ng), each sentence unlike every other one; test voices are never
heard in training.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr
from made_source import prepare_made
from rapidfuzz import fuzz

from soritune.sources.corpora.demo.clip import DemoClip
from soritune.sources.corpora.demo.sentences import all_pairs
from soritune.sources.corpora.demo.voices import voices
from soritune.utterance import Split, Utterance

RATE_HZ = 16_000
SIZES: dict[Split, int] = {"train": 44, "dev": 6, "test": 10}
UNLIKE = 70.0  # no two sentences of a clean corpus have a higher ratio

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Clip:
    """An utterance before it is encoded."""

    id: str
    text: str
    language: str
    split: Split
    speaker: str
    samples: Samples


def speak(text: str, language: str, voice: str, seed: int, snr_db: float = 30.0) -> Samples:
    samples, rate_hz = DemoClip(
        text=text,
        language=language,
        voice=voice,
        rate_wpm=180 + 7 * seed % 50,
        pitch=35 + 5 * seed % 30,
        snr_db=snr_db,
        gain_db=0.0,
        seed=seed,
    ).render()
    assert rate_hz == RATE_HZ
    return samples


@cache
def unlike_sentences(language: str, count: int) -> tuple[str, ...]:
    """Sentences of the demo of which no two are nearly the same."""
    texts = [pair.korean if language == "ko" else pair.english for pair in all_pairs()[::37]]
    chosen: list[str] = []
    for text in texts:
        if len(text) >= 9 and all(fuzz.ratio(text, other) < UNLIKE for other in chosen):
            chosen.append(text)
        if len(chosen) == count:
            return tuple(chosen)
    raise AssertionError(f"only {len(chosen)} sentences")


@cache
def clean_clips(language: str) -> tuple[Clip, ...]:
    texts = iter(unlike_sentences(language, sum(SIZES.values())))
    clips = []
    for split, size in SIZES.items():
        names = voices(language, split)
        for place in range(size):
            text, voice = next(texts), names[place % len(names)]
            samples = speak(text, language, voice, seed=len(clips))
            name = f"{language}-{split}-{place:02d}"
            clips.append(Clip(name, text, language, split, voice, samples))
    return tuple(clips)


def prepared(folder: Path, name: str, clips: Iterable[Clip]) -> Path:
    prepare_made(name, _utterances(clips), folder, chunk_size=25)
    return folder


def _utterances(clips: Iterable[Clip]) -> Iterator[Utterance]:
    for clip in clips:
        buffer = io.BytesIO()
        soundfile.write(buffer, clip.samples, RATE_HZ, format="WAV", subtype="PCM_16")
        yield Utterance(
            id=clip.id,
            audio=buffer.getvalue(),
            text=clip.text,
            language=clip.language,
            split=clip.split,
            speaker=clip.speaker,
        )


def coded(samples: Samples, form: str, rate_hz: int = RATE_HZ) -> Samples:
    """Samples after a lossy codec and back at 16 kHz."""
    forms = {
        "mp3": ("MP3", "MPEG_LAYER_III"),
        "ogg": ("OGG", "VORBIS"),
        "ulaw": ("WAV", "ULAW"),
    }
    container, codec = forms[form]
    buffer = io.BytesIO()
    narrow = samples if rate_hz == RATE_HZ else soxr.resample(samples, RATE_HZ, rate_hz)
    soundfile.write(buffer, narrow, rate_hz, format=container, subtype=codec)
    buffer.seek(0)
    decoded, _ = soundfile.read(buffer, dtype="float32")
    return decoded if rate_hz == RATE_HZ else soxr.resample(decoded, rate_hz, RATE_HZ)


def telephone(samples: Samples) -> Samples:
    return soxr.resample(soxr.resample(samples, RATE_HZ, 8_000), 8_000, RATE_HZ)


def noisy(samples: Samples, snr_db: float, seed: int = 0) -> Samples:
    """White noise under the speech; the ratio is that of their mean powers."""
    noise = np.random.default_rng(seed).standard_normal(len(samples))
    level = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    mixed = samples + noise * level * 10 ** (-snr_db / 20)
    return (mixed * 0.5).astype(np.float32)


def overdriven(samples: Samples, limit: float) -> Samples:
    """Cut at a level that a tenth of a percent of the samples exceed, which then is `limit`."""
    cut = float(np.quantile(np.abs(samples), 0.99))
    return (np.clip(samples, -cut, cut) * (limit / cut)).astype(np.float32)


def _ends(samples: Samples, before_s: float, after_s: float, noise: float) -> Samples:
    random = np.random.default_rng(1)
    ends = [random.normal(0, noise, int(s * RATE_HZ)) for s in (before_s, after_s)]
    return np.concatenate([ends[0], samples, ends[1]]).astype(np.float32)


def ill_clips() -> tuple[list[Clip], dict[str, set[str]]]:
    """The clean Korean corpus with faults, and which utterances each check has to name."""
    clips = {clip.id: clip for clip in clean_clips("ko")}
    planted: dict[str, set[str]] = {}

    def change(check: str, name: str, **changes: object) -> None:
        clips[name] = replace(clips[name], **changes)  # type: ignore[arg-type]
        planted.setdefault(check, set()).add(name)

    def add(checks: Iterable[str], clip: Clip) -> None:
        clips[clip.id] = clip
        for check in checks:
            planted.setdefault(check, set()).add(clip.id)

    def train(place: int) -> Clip:
        return clips[f"ko-train-{place:02d}"]

    for place in (0, 1, 2):
        change("narrow-band", train(place).id, samples=telephone(train(place).samples))
    change("clipping", train(3).id, samples=overdriven(train(3).samples, 1.0))
    change("clipping", train(4).id, samples=overdriven(train(4).samples, 0.6))
    change("end-silence", train(5).id, samples=_ends(train(5).samples, 1.5, 0.0, 0.0))
    change("end-silence", train(6).id, samples=_ends(train(6).samples, 0.2, 1.4, 0.0015))
    change("offset", train(7).id, samples=(0.8 * train(7).samples + 0.05).astype(np.float32))
    change("offset", train(8).id, samples=(0.8 * train(8).samples - 0.03).astype(np.float32))
    change("noise", train(9).id, samples=noisy(train(9).samples, 3.0))
    change("noise", train(10).id, samples=noisy(train(10).samples, 0.0))

    # The same recording again: its samples; quieter, cut and through a codec; cut by half a
    # frame of the fingerprint.
    one, two, three, four, five = (train(place) for place in (11, 12, 13, 14, 15))
    add(["duplicate-audio"], replace(one, id="again-samples"))
    quieter = coded(one.samples[2_345:-1_234] * np.float32(0.4), "mp3")
    add(["duplicate-audio"], replace(one, id="again-mp3", samples=quieter))
    late = two.samples[8_060:]
    add(["duplicate-audio"], replace(two, id="again-cut", samples=late))
    call = coded(three.samples, "ulaw", 8_000)
    add(["duplicate-audio", "narrow-band"], replace(three, id="again-telephone", samples=call))
    add(["other-text"], replace(four, id="again-other", text="전혀 다른 문장이 여기 적혀 있습니다"))
    across = coded(five.samples, "ogg")
    voice = clips["ko-test-00"].speaker
    add(
        ["shared-audio", "shared-sentence"],
        replace(five, id="again-test", split="test", speaker=voice, samples=across),
    )

    # Sentences: the same but for punctuation and spacing, and one syllable apart.
    same = train(16).text.replace(" ", "", 1) + "!"
    change("shared-sentence", "ko-test-01", text=same, samples=speak(same, "ko", voice, 901))
    near = train(17).text[:-1] + "까"
    change("near-sentence", "ko-test-02", text=near, samples=speak(near, "ko", voice, 902))
    near = "아 " + train(18).text
    dev = clips["ko-dev-00"].speaker
    change("near-sentence", "ko-dev-01", text=near, samples=speak(near, "ko", dev, 903))
    change("shared-speaker", "ko-test-03", speaker=train(19).speaker)

    # Transcripts that are not those of the audio.
    longest = " ".join(train(place).text for place in (20, 21, 22))
    change("too-much-text", train(23).id, text=f"{train(23).text} {longest}")
    change("too-much-text", train(24).id, text=f"{longest} {longest}")
    change("too-little-text", train(25).id, text="네")
    change("too-little-text", train(26).id, text="아니요")

    change("characters", train(27).id, text=train(27).text + " ㅋㅋ")
    change("characters", train(28).id, text="大 " + train(28).text)
    change("characters", train(29).id, text=train(29).text + "*")
    change("characters", train(30).id, text=train(30).text + " 😀")

    # Three apples in words, two in digits.
    things = ("사과", "우산", "연필", "지우개", "감자")
    for place, thing in enumerate(things):
        said = f"{thing} 세 개 주시면 정말 고맙겠습니다" if place % 2 else f"{thing} 세 개가 필요해"
        speaker = train(place).speaker
        clip = Clip(
            f"number-{place}", said, "ko", "train", speaker, speak(said, "ko", speaker, 950)
        )
        digits = place >= 3
        written = replace(clip, text=said.replace("세 개", "3개")) if digits else clip
        add(["numbers"] if digits else [], written)
    return list(clips.values()), planted
