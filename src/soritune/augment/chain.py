"""An augmentation at work: what happens to which clip, decided by a key and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
from soritune.augment.effects import Drawn, Effect, Key, effect
from soritune.augment.seeding import generator
from soritune.augment.sets import SETS

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Applied:
    """One step that was done to a clip, and what was drawn; `skipped` says why it was not."""

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
    """A step that was drawn, and the key of its own draws."""

    step: Step
    effect: Effect
    key: Key


class Augmenter:
    """An augmentation ready to be applied.

    `key` in its methods is what a draw depends on: seed, corpus, utterance and epoch. Each step
    has draws of its own, so one that is added or left out changes nothing of the others' where
    it stands behind them.

    Raises UserError where a package is missing, or files, or parameters do not fit together.
    """

    def __init__(self, augmentation: Augmentation) -> None:
        self.seed = augmentation.seed
        self._steps = tuple(_with_sets(step) for step in augmentation.use)
        self._masks = [step for step in self._steps if step.transform == FEATURES_ONLY]
        self._effects: dict[int, Effect] = {}
        for top in self._steps:
            for _, step in top.tree():
                if not step.kind.group and step.transform != FEATURES_ONLY:
                    self._effects[id(step)] = effect(step)

    @property
    def changes_samples(self) -> bool:
        """Whether anything is done before the features."""
        return bool(self._effects)

    @property
    def masks_features(self) -> bool:
        return bool(self._masks)

    def samples(self, samples: Samples, clip: Clip, key: Key) -> Augmented:
        """What becomes of a clip, shape (num_samples,), 16 kHz.

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
        """How long `samples` will be with this key, without the audio; at most, where only the
        audio would tell."""
        for turn in self._turns(key):
            changed_s = turn.effect.duration_s(duration_s, turn.key)
            if MIN_DURATION_S <= changed_s <= MAX_DURATION_S:
                duration_s = changed_s
        return duration_s

    def features(self, features: torch.Tensor, fill: torch.Tensor, key: Key) -> torch.Tensor:
        """Features (frames, mels) with masks; `fill` (mels,) is what stands in them."""
        from soritune.augment.masks import masked

        for index, step in enumerate(self._steps):
            if step.transform == FEATURES_ONLY:
                way = (*key, index, step.transform)
                if generator(*way, "p").random() < step.probability:
                    values = step.kind.values(step.parameters)
                    features = masked(features, fill, generator(*way, "draw"), **values)
        return features

    def _turns(self, key: Key) -> Iterator[_Turn]:
        for index, step in enumerate(self._steps):
            yield from self._drawn(step, (*key, index))

    def _drawn(self, step: Step, way: Key) -> Iterator[_Turn]:
        if step.transform == FEATURES_ONLY:
            return
        way = (*way, step.transform)
        if generator(*way, "p").random() >= step.probability:
            return
        if not step.kind.group:
            yield _Turn(step, self._effects[id(step)], (*way, "draw"))
            return
        for index in _chosen(step, generator(*way, "choice")):
            yield from self._drawn(step.transforms[index], (*way, index))


def _with_sets(step: Step) -> Step:
    """Ready sets replaced by what they are made of."""
    if step.transform in SETS:
        made = SETS[step.transform]
        return made if step.p is None else made.model_copy(update={"p": step.p})
    if step.transforms:
        inner = tuple(_with_sets(each) for each in step.transforms)
        return step.model_copy(update={"transforms": inner})
    return step


def _chosen(group: Step, random: np.random.Generator) -> Sequence[int]:
    """Which transforms of a group have their turn, in order."""
    count = len(group.transforms)
    parameters: dict[str, Any] = group.parameters
    if group.transform == "Compose":
        return random.permutation(count).tolist() if parameters.get("shuffle") else range(count)
    if group.transform == "OneOf":
        weights = np.asarray(parameters.get("weights") or np.ones(count), dtype=np.float64)
        return [int(random.choice(count, p=weights / weights.sum()))]
    picked = random.choice(count, size=parameters["num_transforms"], replace=False)
    return sorted(int(index) for index in picked)


def _unusable(samples: Samples) -> str:
    """Why a changed clip cannot stand, empty where it can."""
    if samples.ndim != 1 or not np.isfinite(samples).all():
        return "gave something that is no clip"
    if len(samples) < MIN_SAMPLES:
        return "left less than 25 ms"
    if len(samples) > MAX_DURATION_S * SAMPLE_RATE_HZ:
        return f"made it longer than {MAX_DURATION_S:g} s"
    if float(np.abs(samples).max()) < SILENCE_PEAK:
        return "left silence"
    return ""
