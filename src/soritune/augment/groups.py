"""Transforms that hold other transforms, under the names that audiomentations gives them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field


@dataclass(frozen=True)
class Compose:
    """All of the transforms, in their order or in a random one."""

    shuffle: bool = False

    def problem(self, count: int) -> str | None:
        """Return what is wrong for a group of `count` transforms, None where nothing is."""
        return None

    def choose(self, count: int, random: np.random.Generator) -> Sequence[int]:
        """Return which of the `count` transforms are applied, in this order."""
        return random.permutation(count).tolist() if self.shuffle else range(count)


@dataclass(frozen=True)
class OneOf:
    """One of the transforms, with a probability in proportion to its weight."""

    weights: Sequence[float] | None = None

    def problem(self, count: int) -> str | None:
        weights = self.weights
        if weights is None:
            return None
        if len(weights) != count or min(weights) < 0 or sum(weights) <= 0:
            return "weights: give one weight above 0 for each of the transforms"
        return None

    def choose(self, count: int, random: np.random.Generator) -> Sequence[int]:
        weights = np.asarray(self.weights or np.ones(count), dtype=np.float64)
        return [int(random.choice(count, p=weights / weights.sum()))]


@dataclass(frozen=True)
class SomeOf:
    """So many of the transforms, in their order."""

    num_transforms: Annotated[int, Field(ge=1)]

    def problem(self, count: int) -> str | None:
        if self.num_transforms > count:
            return f"num_transforms is {self.num_transforms} of {count} transforms"
        return None

    def choose(self, count: int, random: np.random.Generator) -> Sequence[int]:
        picked = random.choice(count, size=self.num_transforms, replace=False)
        return sorted(int(index) for index in picked)


Group = Compose | OneOf | SomeOf
