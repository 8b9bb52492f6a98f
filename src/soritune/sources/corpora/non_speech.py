"""A built-in suite of sounds without words: what a model writes for them, it invents.

All sounds are computed, equal on every machine up to the rounding of floats, and free. The voices
are a source–filter synthesizer of vowels (Fant 1960): pulses through resonances that wander between
the vowels of no language in particular, so there is a voice and no word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator

from soritune.languages.names import language_code
from soritune.sources.options import SourceOptions
from soritune.utterance import Utterance

SAMPLE_RATE_HZ = 16_000
DURATIONS_S = (2.0, 6.0, 15.0)
"""Of the clips of each sound: answers may depend on the length."""
CUT_S = 0.12
"""Length of what is left of speech that is cut off: less than a syllable."""
_FORMANTS_HZ = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480))
"""Of ah, ee, oo and eh (Peterson and Barney 1952, men)."""
_BANDWIDTHS_HZ = (80.0, 100.0, 140.0)
_PITCHES_HZ = (220.0, 261.63, 293.66, 329.63, 392.0, 440.0)
_TALKERS = 6
_FRAME = 400  # 25 ms

Floats = npt.NDArray[np.float64]


class NonSpeechSource(SourceOptions):
    """The suite; `language` is the one in which a model is asked to write."""

    source: Literal["non-speech"]
    language: Annotated[str, AfterValidator(language_code)] = ""

    def in_language(self, language: str) -> Self:
        """Return the settings with `language` where they have none."""
        return self if self.language else self.model_copy(update={"language": language})


@dataclass(frozen=True)
class Sound:
    """One clip of the suite, rendered when it is needed."""

    name: str
    duration_s: float
    seed: int

    def render(self) -> tuple[npt.NDArray[np.float32], int]:
        """Return samples in [-1, 1], shape (num_samples,), and their rate, 16,000 Hz."""
        random = np.random.default_rng(self.seed)
        samples = SOUNDS[self.name](int(self.duration_s * SAMPLE_RATE_HZ), random)
        return samples.astype(np.float32), SAMPLE_RATE_HZ


def read(source: NonSpeechSource) -> Iterator[Utterance]:
    """Yield every sound in every length, as utterances of the test split without a transcript."""
    for number, name in enumerate(SOUNDS):
        for place, duration_s in enumerate(DURATIONS_S):
            yield Utterance(
                id=f"{name}-{duration_s:g}s",
                audio=Sound(name, duration_s, seed=100 * number + place),
                text="",
                language=source.language,
                split="test",
                speaker=None,
                speech=False,
            )


def _silence(length: int, random: np.random.Generator) -> Floats:
    return np.zeros(length)


def _white(length: int, random: np.random.Generator) -> Floats:
    return _at(-30, random.standard_normal(length))


def _quiet(length: int, random: np.random.Generator) -> Floats:
    return _at(-65, random.standard_normal(length))


def _pink(length: int, random: np.random.Generator) -> Floats:
    return _at(-30, _coloured(length, random, 0.5))


def _brown(length: int, random: np.random.Generator) -> Floats:
    return _at(-30, _coloured(length, random, 1.0))


def _hum(length: int, random: np.random.Generator) -> Floats:
    times = np.arange(length) / SAMPLE_RATE_HZ
    mains = sum(np.sin(2 * np.pi * 60 * k * times) / k for k in (1, 2, 3, 5))
    return _at(-30, mains + 0.02 * random.standard_normal(length))


def _tone(length: int, random: np.random.Generator) -> Floats:
    return _at(-25, np.sin(2 * np.pi * 1000 * np.arange(length) / SAMPLE_RATE_HZ))


def _music(length: int, random: np.random.Generator) -> Floats:
    """Notes of 0.3 s with five partials, over a chord."""
    found = np.zeros(length)
    note = int(0.3 * SAMPLE_RATE_HZ)
    times = np.arange(note) / SAMPLE_RATE_HZ
    fall = np.exp(-6 * times) * np.minimum(1, times / 0.01)
    for start in range(0, length, note):
        melody, low = random.choice(_PITCHES_HZ), random.choice(_PITCHES_HZ) / 2
        tones = sum(
            np.sin(2 * np.pi * pitch * k * times) / k**2
            for pitch in (melody, low, 1.5 * low)
            for k in range(1, 6)
        )
        found[start : start + note] += (fall * tones)[: length - start]
    return _at(-25, found)


def _babble(length: int, random: np.random.Generator) -> Floats:
    """Six voices at once, none of which says a word."""
    return _at(-28, sum((_voice(length, random) for _ in range(_TALKERS)), np.zeros(length)))


def _cut_off(length: int, random: np.random.Generator) -> Floats:
    """The beginning of a voice, and then nothing but faint noise."""
    cut = int(CUT_S * SAMPLE_RATE_HZ)
    samples = _at(-65, random.standard_normal(length))
    voice = _at(-25, _voice(cut, random))
    start = min(length - cut, SAMPLE_RATE_HZ // 2)
    samples[start : start + cut] += voice
    return samples


SOUNDS: dict[str, Callable[[int, np.random.Generator], Floats]] = {
    "silence": _silence,
    "quiet-noise": _quiet,
    "white-noise": _white,
    "pink-noise": _pink,
    "brown-noise": _brown,
    "hum": _hum,
    "tone": _tone,
    "music": _music,
    "babble": _babble,
    "cut-off": _cut_off,
}


def _at(dbfs: float, samples: Floats) -> Floats:
    """Return samples with this level, and no peak beyond full scale."""
    level = np.sqrt(np.mean(samples**2))
    scaled = samples * (10 ** (dbfs / 20) / max(level, 1e-12))
    limited: Floats = np.clip(scaled, -1, 1)
    return limited


def _coloured(length: int, random: np.random.Generator, fall: float) -> Floats:
    """Return noise whose amplitude falls with frequency to the power of `fall`."""
    spectrum = np.fft.rfft(random.standard_normal(length))
    shaped = spectrum / np.maximum(np.arange(len(spectrum)), 1) ** fall
    return np.asarray(np.fft.irfft(shaped, n=length), dtype=np.float64)


def _voice(length: int, random: np.random.Generator) -> Floats:
    """Return pulses of a wandering pitch through wandering resonances, 25 ms by 25 ms."""
    frames = length // _FRAME + 2
    pitch = random.uniform(90, 220) * np.exp(0.1 * np.cumsum(random.normal(0, 0.15, frames)))
    phase = np.cumsum(np.repeat(np.clip(pitch, 60, 400), _FRAME)) / SAMPLE_RATE_HZ
    pulses = np.diff(np.floor(phase), prepend=0.0) + 0.01 * random.standard_normal(len(phase))
    vowels = np.array(_FORMANTS_HZ, dtype=np.float64)
    frequencies = np.fft.rfftfreq(2 * _FRAME, 1 / SAMPLE_RATE_HZ)
    window = np.hanning(2 * _FRAME)
    found = np.zeros(len(phase) + _FRAME)
    formants = vowels[random.integers(len(vowels))]
    for start in range(0, len(phase) - 2 * _FRAME + 1, _FRAME):
        formants = formants + 0.3 * (vowels[random.integers(len(vowels))] - formants)
        gain = np.prod(
            [
                1 / (1 + ((frequencies - centre) / width) ** 2) + 0.02
                for centre, width in zip(formants, _BANDWIDTHS_HZ, strict=True)
            ],
            axis=0,
        ) ** (1 / 3)
        part = np.fft.rfft(window * pulses[start : start + 2 * _FRAME]) * gain
        found[start : start + 2 * _FRAME] += np.fft.irfft(part) * random.uniform(0.3, 1)
    return found[:length]
