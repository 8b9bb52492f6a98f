"""An augmentation applied to clips: what happens to which clip depends on a key alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from soritune.audio import (
    MAX_DURATION_S,
    MIN_DURATION_S,
    MIN_SAMPLES,
    SAMPLE_RATE_HZ,
    SILENCE_PEAK,
    Samples,
)
from soritune.augment.babble import Clip
from soritune.augment.config import FEATURES_ONLY, Augmentation, Step
from soritune.augment.effects import Audiomentation, Drawn, Effect, Key, load_audiomentations
from soritune.augment.masks import SpecAugment
from soritune.augment.sets import SETS
from soritune.augment.transforms import OWN
from soritune.seeding import generator

if TYPE_CHECKING:
    import torch


Place = tuple[str | int, ...]
"""Where a step stands in an augmentation, as `Step.tree` has it."""


@dataclass(frozen=True)
class Applied:
    """One step of a clip and what was drawn; `skipped` says why it was not applied."""

    transform: str
    drawn: Drawn
    skipped: str = ""


@dataclass(frozen=True)
class Augmented:
    """A changed clip (16 kHz, float32 in [-1, 1]) and how it came about."""

    samples: Samples
    steps: tuple[Applied, ...]

    @property
    def changed(self) -> bool:
        return any(not step.skipped for step in self.steps)


@dataclass(frozen=True)
class _Turn:
    """A step that is applied, and the key of its own draws."""

    step: Step
    effect: Effect
    key: Key


class Augmenter:
    """An augmentation that is ready to be applied.

    `key` in its methods is what a draw depends on: seed, corpus, utterance and epoch. Each step
    has draws of its own, so a step that is added at the end changes none of the draws before it.

    Raises UserError where a package is missing, or files, or parameters do not fit together.
    """

    def __init__(self, augmentation: Augmentation) -> None:
        self.seed = augmentation.seed
        self._steps = tuple(_with_sets(step) for step in augmentation.use)
        self._masks = [step for step in self._steps if step.transform == FEATURES_ONLY]
        # By the place of their step, which a copy in another process has as well.
        self._effects: dict[Place, Effect] = {}
        for number, top in enumerate(self._steps):
            for inner, step in top.tree():
                if not step.kind.is_group and step.transform != FEATURES_ONLY:
                    self._effects[number, *inner] = _effect(step)

    @property
    def changes_samples(self) -> bool:
        """Whether anything is done before the features."""
        return bool(self._effects)

    @property
    def masks_features(self) -> bool:
        return bool(self._masks)

    def samples(self, samples: Samples, clip: Clip, key: Key) -> Augmented:
        """Return what becomes of a clip, shape (num_samples,), 16 kHz.

        A step that would leave no speech, too little (under 25 ms) or too much (over 30 s) is
        left out. What exceeds full scale at the end is scaled down.
        """
        done = []
        for turn in self._turns(key):
            changed, drawn = turn.effect.apply(samples, clip, turn.key)
            skipped = str(drawn.get("skipped", "")) or _unusable(changed)
            done.append(Applied(turn.step.transform, drawn, skipped))
            if not skipped:
                samples = changed
        loudest = float(np.abs(samples).max(initial=0.0))
        if loudest > 1.0:
            samples = samples / np.float32(loudest)
        return Augmented(np.ascontiguousarray(samples, dtype=np.float32), tuple(done))

    def duration_s(self, duration_s: float, key: Key) -> float:
        """Return how long a clip will be with this key, without its audio.

        Where only the audio would tell, it is the longest that is possible.
        """
        for turn in self._turns(key):
            changed_s = turn.effect.duration_s(duration_s, turn.key)
            if MIN_DURATION_S <= changed_s <= MAX_DURATION_S:
                duration_s = changed_s
        return duration_s

    def features(self, features: torch.Tensor, fill: torch.Tensor, key: Key) -> torch.Tensor:
        """Return features (frames, mels) with masks, in which `fill` (mels,) stands."""
        for index, step in enumerate(self._steps):
            if step.transform == FEATURES_ONLY:
                step_key: Key = (*key, index, step.transform)
                if generator(*step_key, "p").random() < step.probability:
                    masks = SpecAugment(**step.parameters)
                    features = masks.mask(features, fill, generator(*step_key, "draw"))
        return features

    def _turns(self, key: Key) -> Iterator[_Turn]:
        for index, step in enumerate(self._steps):
            yield from self._drawn(step, (index,), (*key, index))

    def _drawn(self, step: Step, place: Place, key: Key) -> Iterator[_Turn]:
        if step.transform == FEATURES_ONLY:
            return
        key = (*key, step.transform)
        if generator(*key, "p").random() >= step.probability:
            return
        if not step.kind.is_group:
            yield _Turn(step, self._effects[place], (*key, "draw"))
            return
        group = step.kind.group(step.parameters)
        for index in group.choose(len(step.transforms), generator(*key, "choice")):
            inner = (*place, "transforms", index)
            yield from self._drawn(step.transforms[index], inner, (*key, index))


def _with_sets(step: Step) -> Step:
    """Replace ready sets by what they are made of."""
    if step.transform in SETS:
        load_audiomentations()  # in one line where it is missing
        made = Step.model_validate(SETS[step.transform])
        return made if step.p is None else made.model_copy(update={"p": step.p})
    if step.transforms:
        inner = tuple(_with_sets(each) for each in step.transforms)
        return step.model_copy(update={"transforms": inner})
    return step


def _effect(step: Step) -> Effect:
    if step.transform in OWN:
        made: Effect = step.kind.made_by(**step.parameters)
        return made
    return Audiomentation(step.transform, step.parameters)


def _unusable(samples: Samples) -> str:
    """Return why a changed clip cannot be used, empty where it can."""
    if samples.ndim != 1 or not np.isfinite(samples).all():
        return "gave something that is not a clip"
    if len(samples) < MIN_SAMPLES:
        return "left less than 25 ms"
    if len(samples) > MAX_DURATION_S * SAMPLE_RATE_HZ:
        return f"made it longer than {MAX_DURATION_S:g} s"
    if float(np.abs(samples).max()) < SILENCE_PEAK:
        return "left silence"
    return ""
