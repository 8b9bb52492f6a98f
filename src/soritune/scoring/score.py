"""The record of one figure: its value, its 95 % interval and everything that influenced it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import ClassVar

from pydantic import ConfigDict

from soritune.errors import UserError

LOWER_IS_BETTER = {"cer": True, "wer": True, "bleu": False, "chrf": False}
METRICS = tuple(LOWER_IS_BETTER)


@dataclass(frozen=True, kw_only=True)
class Score:
    """One metric of one set of utterances: a cell of the report, a record of `results.json`.

    Attributes:
        case, evaluation: names in the recipe; empty where there is no recipe.
        value: percent for "cer" and "wer" (above 100 where more was written than was said), 0–100
            for "bleu" and "chrf".
        low, high: bounds of the 95 % bootstrap interval over utterances.
        signature: all that the value depends on; scores are comparable where it is equal.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    case: str = ""
    evaluation: str = ""
    metric: str
    value: float
    low: float
    high: float
    utterances: int
    signature: str


def package_version(package: str) -> str:
    """Return the version of an installed package, for a signature."""
    return version(package)


def check_pairs(metric: str, references: Sequence[str], hypotheses: Sequence[str]) -> None:
    """Check that texts can be scored.

    Raises:
        UserError: there are no utterances.
        ValueError: the lists have unequal lengths.
    """
    if len(references) != len(hypotheses):
        raise ValueError(f"{metric}: {len(references)} references but {len(hypotheses)} hypotheses")
    if not references:
        raise UserError(
            f"{metric}: no utterances to score; check the corpus, split and languages "
            "of the evaluation"
        )
