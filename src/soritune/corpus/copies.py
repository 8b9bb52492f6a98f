"""Augmented copies that are stored beside the utterances of a training split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from typing import TypeVar

from soritune.audio import SAMPLE_RATE_HZ, Samples, load_mono_16k
from soritune.augment.babble import Audio, Clip, Voice, Voices, choose
from soritune.augment.chain import Augmenter
from soritune.augment.config import Augmentation
from soritune.seeding import generator
from soritune.utterance import Utterance

WINDOW = 64
"""Entries among which other voices are looked for: a source is read once, from front to back."""
VOICES = 4
"""Of these each copy takes the voices that it draws."""
ATTEMPTS = 8
"""A copy to which nothing happened is drawn again, at most so often."""

OtherT = TypeVar("OtherT")


@dataclass(frozen=True)
class AugmentedAudio:
    """Audio of a copy, made when it is needed (`RenderedAudio`)."""

    audio: Audio
    augmentation: Augmentation
    clip: Clip
    number: int

    def render(self) -> tuple[Samples, int]:
        """Return samples in [-1, 1] and their rate. Raises AudioError where they cannot be read."""
        samples = load_mono_16k(self.audio)
        augmenter = _augmenter(self.augmentation.model_dump_json())
        for attempt in range(ATTEMPTS):
            key = (self.augmentation.seed, "stored", self.clip.id, self.number, attempt)
            augmented = augmenter.samples(samples, self.clip, key)
            if augmented.changed:
                break
        return augmented.samples, SAMPLE_RATE_HZ


@lru_cache(maxsize=4)
def _augmenter(augmentation: str) -> Augmenter:
    """Return the augmenter for all copies that a process makes."""
    return Augmenter(Augmentation.model_validate_json(augmentation))


def with_copies(
    entries: Iterable[Utterance | OtherT], augmentation: Augmentation
) -> Iterator[Utterance | OtherT]:
    """Yield the entries, after each utterance of train its copies with ids `…+aug1`, `…+aug2`.

    Raises UserError where a package or a file that the augmentation needs is missing.
    """
    _augmenter(augmentation.model_dump_json())  # what is missing is reported before the work
    talks = any(step.transform == "babble" for step in augmentation.steps())
    source = iter(entries)
    before: list[Utterance] = []
    while window := list(islice(source, WINDOW if talks else 1)):
        train = [e for e in window if isinstance(e, Utterance) and e.split == "train"]
        others = train if len(train) > 1 else [*before, *train]
        for entry in window:
            yield entry
            if isinstance(entry, Utterance) and entry.split == "train":
                voices = _voices(entry, others, augmentation.seed) if talks else None
                for number in range(1, augmentation.num_copies + 1):
                    clip = Clip(entry.id, entry.speaker, voices)
                    audio = AugmentedAudio(entry.audio, augmentation, clip, number)
                    yield replace(entry, id=f"{entry.id}+aug{number}", audio=audio)
        before = train or before


def _voices(entry: Utterance, others: list[Utterance], seed: int) -> Voices:
    random = generator(seed, "voices", entry.id)
    names = [(other.id, other.speaker) for other in others]
    clip = Clip(entry.id, entry.speaker)
    chosen = {choose(clip, names, random) for _ in range(VOICES)} - {None}
    return Voices(
        tuple(Voice(o.id, o.speaker, o.audio) for i, o in enumerate(others) if i in chosen)
    )
