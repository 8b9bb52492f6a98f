"""Limits on what is read from lists and archives, and the one setting that lifts them.

A packed file of some megabytes can hold gigabytes; what no honest file reaches is refused before it
fills the memory. Who knows better sets SORITUNE_LIMIT_FACTOR.
"""

from __future__ import annotations

import math
import os

from soritune.errors import UserError

FACTOR = "SORITUNE_LIMIT_FACTOR"
LIFTED_BY = f"{FACTOR}=10 in the environment makes limits ten times as large"


def limit_factor() -> float:
    """Return the factor of all limits, 1 by default. Raises UserError for one that is none."""
    given = os.environ.get(FACTOR, "1")
    try:
        factor = float(given)
    except ValueError:
        factor = math.nan
    if not 1 <= factor < math.inf:
        raise UserError(f"{FACTOR}: {given!r} is not a number of at least 1; fix or unset it")
    return factor


def lifted(limit: int) -> int:
    """Return a limit as the environment has it."""
    return int(limit * limit_factor())
