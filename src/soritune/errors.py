"""Errors that a user's mistake raises, and the hint with the nearest right word."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake that the user can fix: shown as one line without a traceback, exit code 2.

    The message reads `where: what is wrong. What to do.`
    """


class RecipeProblem(ValueError):  # noqa: N818 - pydantic collects it; a reader sees a UserError
    """A mistake in a recipe that needs more than one key to be seen.

    Args:
        message: what is wrong and what to do.
        loc: keys that lead to the value to fix.
    """

    def __init__(self, message: str, *loc: str | int) -> None:
        super().__init__(message)
        self.loc = loc


def nearest(word: str, known: Iterable[str]) -> str:
    """Return `: did you mean "…"?` with the known word closest to `word`, empty if none is."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f': did you mean "{found[0]}"?' if found else ""
