"""Draws that depend on a key alone, whatever was drawn before, in any process."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


def seed_of(*names: object) -> int:
    """64 bits that stand for the names."""
    key = "\0".join(str(name) for name in names).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(key).digest()[:8], "big")


def generator(*names: object) -> np.random.Generator:
    """A generator of its own for the names."""
    return np.random.default_rng(seed_of(*names))


@contextmanager
def global_draws(*names: object) -> Iterator[None]:
    """Python's and numpy's global generators seeded by the names, and put back afterwards.

    audiomentations draws from these two and from nothing else (0.43.1). Not for several threads.
    """
    seed = seed_of(*names)
    python_state, numpy_state = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
