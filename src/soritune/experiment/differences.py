"""What differs between the settings of a stage before and now, in words for people."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from soritune.progress import number_text

_DIGEST = re.compile(r"[0-9a-f]{64}")
_MAX_CHARACTERS = 60


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return one text for each value that differs: `learning_rate 0.001 → 0.0005`.

    Both are JSON values. Nested keys are joined by a point; a digest is said to have changed.
    """
    return list(_differences(before, now, ""))


def _differences(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for key in dict.fromkeys((*before, *now)):
        old, new = before.get(key), now.get(key)
        if old == new:
            continue
        name = f"{prefix}{key}"
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _differences(old, new, f"{name}.")
        elif _is_digest(old) and _is_digest(new):
            yield f"{name} changed"
        elif old is None and (isinstance(new, Mapping) or _is_digest(new)):
            yield f"{name} added"
        elif new is None and (isinstance(old, Mapping) or _is_digest(old)):
            yield f"{name} removed"
        else:
            yield f"{name} {_text(old)} → {_text(new)}"


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and bool(_DIGEST.fullmatch(value))


def _text(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, float):
        return number_text(value)
    if isinstance(value, str):
        return value
    text = json.dumps(value, ensure_ascii=False).replace('"', "")
    return text if len(text) <= _MAX_CHARACTERS else text[: _MAX_CHARACTERS - 1] + "…"
