"""The utterances of the evaluations for the page: what was said, what each case wrote."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MAX_TEXT = 3000
"""Characters of a text that the page shows; a model that never stops would fill it."""
MAX_COMPARED = 4_000_000_000
"""Characters of a pair, multiplied; beyond it errors are not counted (seconds a pair)."""
MIN_GROUPS, MAX_GROUPS = 2, 200
"""Of a condition that can be chosen in the page."""


@dataclass(frozen=True)
class CaseTexts:
    """What one case wrote, by utterance.

    Attributes:
        failures: classes of failure, see `scoring.records.FAILURES`.
    """

    case: str
    texts: Sequence[str]
    failures: Sequence[tuple[str, ...]]


@dataclass(frozen=True)
class EvaluatedUtterances:
    """All utterances of one evaluation; every list is in their order.

    Attributes:
        language: code of what is written.
        durations_s: length of the recordings.
        conditions: by utterance, its group in each condition that is known.
        sounds: keys of the recordings (`report.sound`), None where there is none.
    """

    evaluation: str
    language: str
    ids: Sequence[str]
    references: Sequence[str]
    durations_s: Sequence[float]
    conditions: Sequence[Mapping[str, str]]
    cases: Sequence[CaseTexts]
    sounds: Sequence[str | None] = field(default=())


def page_data(utterances: EvaluatedUtterances) -> dict[str, Any]:
    """Return an evaluation as the page's script reads it."""
    number = len(utterances.ids)
    return {
        "name": utterances.evaluation,
        "language": utterances.language,
        "ids": list(utterances.ids),
        "references": [text[:MAX_TEXT] for text in utterances.references],
        "lengths": [len(_compared(text)) for text in utterances.references],
        "durations": [round(duration_s, 2) for duration_s in utterances.durations_s],
        "conditions": _conditions(utterances.conditions),
        "sounds": list(utterances.sounds) or [None] * number,
        "cases": [_case(utterances, case) for case in utterances.cases],
    }


def character_errors(reference: str, written: str) -> int | None:
    """Return the edits between two texts as they are (NFC); None for texts of extreme length."""
    from rapidfuzz.distance import Levenshtein

    if len(reference) * len(written) > MAX_COMPARED:
        return None
    return Levenshtein.distance(_compared(reference), _compared(written))


def _compared(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _case(utterances: EvaluatedUtterances, case: CaseTexts) -> dict[str, Any]:
    return {
        "name": case.case,
        "texts": [text[:MAX_TEXT] for text in case.texts],
        "cut": {place: len(text) for place, text in enumerate(case.texts) if len(text) > MAX_TEXT},
        "errors": [
            character_errors(reference, text)
            for reference, text in zip(utterances.references, case.texts, strict=True)
        ],
        "failures": {place: each for place, each in enumerate(case.failures) if each},
    }


def _conditions(conditions: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Return by condition its groups and the number of each utterance's one, -1 for none."""
    found = {}
    for name in dict.fromkeys(name for each in conditions for name in each):
        groups = sorted({each[name] for each in conditions if name in each}, key=_natural)
        if MIN_GROUPS <= len(groups) <= MAX_GROUPS:
            places = {group: place for place, group in enumerate(groups)}
            of = [places.get(each.get(name, ""), -1) for each in conditions]
            found[name] = {"groups": groups, "of": of}
    return found


def _natural(group: str) -> tuple[float, str]:
    """Order by the first number in a name (`below 5 s`, `5–10 s`), then by the name."""
    import re

    match = re.search(r"-?\d+(\.\d+)?", group)
    number = float(match[0]) if match else 0.0
    return (number - 0.5 if group.startswith(("below", "under", "<")) else number, group)
