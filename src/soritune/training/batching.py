"""Optimizer steps of clips of similar length, and micro-batches within a token budget.

A step takes `batch_size` utterances, as in the reference. The loss of a step is divided by all its
target tokens, so the cut into micro-batches changes memory and time but not the gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from soritune.training.examples import Example

# Steps per pool. Lengths are sorted within a pool of shuffled examples, so a step holds similar
# lengths and yet differs from epoch to epoch.
POOL_STEPS = 50

# Padded tokens of a micro-batch: fits the training of 5.6 B parameters with LoRA on 80 GB.
DEFAULT_MAX_TOKENS = 8192

ItemT = TypeVar("ItemT")


def plan_steps(
    examples: Sequence[Example], batch_size: int, random: np.random.Generator
) -> list[list[Example]]:
    """Shuffle one epoch into steps of `batch_size` utterances of similar length.

    Every example is in exactly one step; the last step may be smaller.
    """
    order = [examples[i] for i in random.permutation(len(examples))]
    steps: list[list[Example]] = []
    pool_size = POOL_STEPS * batch_size
    for start in range(0, len(order), pool_size):
        pool = sorted(order[start : start + pool_size], key=lambda e: e.num_tokens)
        steps.extend(pool[i : i + batch_size] for i in range(0, len(pool), batch_size))
    return [steps[i] for i in random.permutation(len(steps))]


def micro_batches(
    items: Iterable[ItemT], max_tokens: int, num_tokens: Callable[[ItemT], int]
) -> Iterator[list[ItemT]]:
    """Cut items into batches whose rows × longest row is at most `max_tokens`, longest first.

    An item longer than the budget is a batch of its own.
    """
    batch: list[ItemT] = []
    for item in sorted(items, key=lambda each: -num_tokens(each)):
        # In descending order, so the first row is the longest.
        if batch and (len(batch) + 1) * num_tokens(batch[0]) > max_tokens:
            yield batch
            batch = []
        batch.append(item)
    if batch:
        yield batch
