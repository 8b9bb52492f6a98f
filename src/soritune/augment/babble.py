"""Other voices that talk in the background of a clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from soritune.audio import AudioError, Samples, load_mono_16k
from soritune.utterance import Excerpt, RenderedAudio

Audio = Path | bytes | Excerpt | RenderedAudio
TRIES = 16
"""Draws among which a voice of another speaker is looked for."""


class Background(Protocol):
    """Where other voices come from."""

    def voice(self, clip: Clip, random: np.random.Generator) -> tuple[str, Samples] | None:
        """Return id and samples (16 kHz) of another utterance, None where there is no other."""
        ...


@dataclass(frozen=True)
class Clip:
    """The clip that is changed: its id, who speaks (None: not known), and who else might."""

    id: str
    speaker: str | None = None
    background: Background | None = None


@dataclass(frozen=True)
class Voice:
    """Another utterance that may speak in the background."""

    id: str
    speaker: str | None
    audio: Audio


@dataclass(frozen=True)
class Voices:
    """A `Background` of a few recordings."""

    voices: tuple[Voice, ...]

    def voice(self, clip: Clip, random: np.random.Generator) -> tuple[str, Samples] | None:
        """Return one of them, None where it cannot be read."""
        index = choose(clip, [(v.id, v.speaker) for v in self.voices], random)
        if index is None:
            return None
        try:
            return self.voices[index].id, load_mono_16k(self.voices[index].audio)
        except AudioError:  # quarantined under its own name
            return None


def choose(
    clip: Clip, others: Sequence[tuple[str, str | None]], random: np.random.Generator
) -> int | None:
    """Return the index of another utterance (id, speaker), None where there is none.

    It is never the clip itself or a stored copy of it, and of another speaker if some draws find
    one.
    """
    fallback = None
    for index in random.integers(len(others), size=TRIES) if others else ():
        name, speaker = others[index]
        if original_id(name) == original_id(clip.id):
            continue
        if clip.speaker is not None and speaker is not None and speaker != clip.speaker:
            return int(index)
        if fallback is None:
            fallback = int(index)
    return fallback


def original_id(utterance_id: str) -> str:
    """Return the id of the utterance that a stored copy (`…+aug1`) was made of."""
    start, mark, number = utterance_id.rpartition("+aug")
    return start if mark and number.isdigit() else utterance_id


def mixed(samples: Samples, voices: Sequence[Samples], snr_db: float, offset: float) -> Samples:
    """Return the clip with the voices behind it, `snr_db` below it over the whole clip.

    Voices are repeated and cut to the clip's length, from `offset` (a share of each) on.
    """
    talk = np.zeros(len(samples), dtype=np.float64)
    for voice in voices:
        shifted = np.roll(voice, -int(offset * len(voice)))
        talk += np.resize(shifted, len(samples))
    noise_power = float(np.mean(talk**2))
    if noise_power <= 0:
        return samples
    power = float(np.mean(samples.astype(np.float64) ** 2))
    gain = np.sqrt(power / noise_power / 10 ** (snr_db / 10))
    return np.asarray(samples + gain * talk, dtype=np.float32)
