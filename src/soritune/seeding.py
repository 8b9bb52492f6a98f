"""Random numbers that depend on the seed and the purpose alone, not on what was drawn before."""

from __future__ import annotations

import hashlib

import numpy as np


def generator(seed: int, *names: object) -> np.random.Generator:
    """Return a generator for one purpose: same seed and names, same numbers, in any process."""
    key = "/".join(str(name) for name in (seed, *names)).encode("utf-8", "surrogatepass")
    return np.random.default_rng(int.from_bytes(hashlib.sha256(key).digest()[:8], "big"))
