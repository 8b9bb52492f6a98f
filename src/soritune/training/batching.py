"""Optimizer steps of clips with like lengths, cut into micro-batches by token budget.

A step takes `batch_size` utterances, as in the reference; since the loss of a step is divided by
all its target tokens, the cut into micro-batches changes memory and time but not the gradient.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from soritune.training.examples import Example

# Steps per pool: within a pool of shuffled examples lengths are sorted, so steps are filled with
# like lengths and yet differ from epoch to epoch.
POOL_STEPS = 50


def plan_steps(
    examples: Sequence[Example], batch_size: int, random: np.random.Generator
) -> list[list[Example]]:
    """Shuffle one epoch into steps of `batch_size` utterances of like length (the last fewer).

    Every example stands in exactly one step.
    """
    order = [examples[i] for i in random.permutation(len(examples))]
    steps: list[list[Example]] = []
    pool_size = POOL_STEPS * batch_size
    for start in range(0, len(order), pool_size):
        pool = sorted(order[start : start + pool_size], key=lambda e: e.num_tokens)
        steps.extend(pool[i : i + batch_size] for i in range(0, len(pool), batch_size))
    return [steps[i] for i in random.permutation(len(steps))]


def micro_batches(step: Sequence[Example], max_tokens: int) -> Iterator[list[Example]]:
    """Cut a step so that rows × longest row stays within `max_tokens`.

    An example longer than the budget makes a micro-batch of its own.
    """
    batch: list[Example] = []
    for example in sorted(step, key=lambda e: -e.num_tokens):
        # Sorted downwards: the first row is the longest.
        if batch and (len(batch) + 1) * batch[0].num_tokens > max_tokens:
            yield batch
            batch = []
        batch.append(example)
    if batch:
        yield batch
