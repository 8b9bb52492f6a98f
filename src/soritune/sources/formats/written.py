"""Numbers of JSON that know how they were written: of a transcript 3.10, 3.1 is another reading."""

from __future__ import annotations

import json
from typing import Any, Self


class _Written:
    """A number whose text is that of the file."""

    written: str

    def __new__(cls, written: str) -> Self:
        number = super().__new__(cls, written)  # type: ignore[call-arg]
        number.written = written
        return number

    def __str__(self) -> str:
        return self.written


class WrittenInt(_Written, int):
    """Such as -0."""


class WrittenFloat(_Written, float):
    """Such as 3.10 and 1e5."""


def load_json(content: str | bytes) -> Any:
    """Return the value of a JSON text. Raises ValueError, RecursionError."""
    return json.loads(content, parse_int=WrittenInt, parse_float=WrittenFloat)


def is_written(value: Any) -> bool:
    """Return whether it is known how a value was written; of a number or a date it is not."""
    return isinstance(value, str | _Written)
