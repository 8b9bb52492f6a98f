"""The record of one figure: its value, its 95 % interval and everything that influenced it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

from soritune.errors import UserError

LOWER_IS_BETTER = {"cer": True, "wer": True, "bleu": False, "chrf": False}
METRICS = tuple(LOWER_IS_BETTER)


@dataclass(frozen=True)
class Score:
    """One metric of one set of utterances.

    `value`, `low` and `high` are percent for "cer" and "wer" (above 100 where more was written
    than was said) and 0–100 for "bleu" and "chrf"; `low` and `high` bound the 95 % bootstrap
    interval over utterances. Two scores may be compared where their signatures are equal.
    """

    metric: str
    value: float
    low: float
    high: float
    utterances: int
    signature: str


def package_version(package: str) -> str:
    """Version of an installed package, as it stands in a signature."""
    return version(package)


def check_pairs(metric: str, references: Sequence[str], hypotheses: Sequence[str]) -> None:
    """Refuse what has no score: UserError without utterances, ValueError on unequal lengths."""
    if len(references) != len(hypotheses):
        raise ValueError(f"{metric}: {len(references)} references but {len(hypotheses)} hypotheses")
    if not references:
        raise UserError(
            f"{metric}: no utterances to score; check the corpus, split and languages "
            "of the evaluation"
        )
