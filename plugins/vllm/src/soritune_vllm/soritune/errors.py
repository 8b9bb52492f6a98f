# Copied from src/soritune/errors.py by tools/copy_to_vllm.py: change it there.
"""Errors that a user's mistake raises, and the hint with the nearest right word."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable

_STEERING = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters but tab and line break, and what turns the order of letters on a screen."""


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


def visible(text: str) -> str:
    """Return `text` with control characters written out, so that they do not steer a terminal.

    Bytes of a file name that are not UTF-8 are written out as well.
    """
    return _STEERING.sub(lambda match: _written_out(ord(match[0])), text)


def visible_json(value: object, indent: int | None = None) -> str:
    """Return JSON in which the same characters are escapes, which readers turn back.

    A byte of a file name that is not UTF-8 is the escape of the surrogate that Python keeps it as.
    """
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return _STEERING.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _written_out(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF:  # how Python keeps a byte that is not UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
