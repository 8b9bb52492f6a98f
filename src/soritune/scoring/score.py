"""The record of one figure: its value, its 95 % interval and everything that influenced it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import ClassVar

from pydantic import ConfigDict

from soritune.errors import UserError

LOWER_IS_BETTER = {
    "cer": True,
    "wer": True,
    "bleu": False,
    "chrf": False,
    "spacing": False,
    "jamo": True,
    "invented": True,
}
METRICS = tuple(LOWER_IS_BETTER)
ERROR_RATES = ("cer", "wer", "jamo")
RAW = "raw"
MAX_CHARACTERS = 200_000
"""Of one text: hours of speech. What is longer is a whole book in one line, and its alignment
would take minutes."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """One metric of one set of utterances: a cell of the report, a record of `results.json`.

    Attributes:
        case, evaluation: names in the recipe; empty where there is no recipe.
        variant: what is done to the texts before ("raw": nothing but NFC), see `variants.VARIANTS`.
        value: of the corpus (micro): percent for "cer", "wer" and "jamo" (above 100 where more was
            written than was said), 0–100 for "bleu", "chrf" and "spacing", words a minute for
            "invented".
        low, high: bounds of the 95 % bootstrap interval.
        macro: mean of the utterances' own rates; None where a metric has none.
        speakers: number of known speakers; None where some are not known.
        clustered: whether the interval draws speakers with all their utterances.
        signature: what is measured and how: metric, variant, versions, references; scores are
            comparable where it is equal.
        system: what was measured: checksums of the model and of its decoding, and its settings.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    case: str = ""
    evaluation: str = ""
    metric: str
    variant: str = "raw"
    value: float
    low: float
    high: float
    macro: float | None = None
    utterances: int
    speakers: int | None = None
    clustered: bool = False
    signature: str
    system: str = ""

    @property
    def title(self) -> str:
        """Metric and variant: "cer", "cer reading"."""
        return self.metric if self.variant == RAW else f"{self.metric} {self.variant}"


def differences(signatures: Sequence[str]) -> list[str]:
    """Return in what signatures differ: `rapidfuzz (3.14.5, 3.14.6)`; empty where they are equal.

    Parts of a signature are separated by bars; what stands before a colon is their name.
    """
    parts = [
        {name or part: value for part in signature.split("|") for name, _, value in [_pair(part)]}
        for signature in dict.fromkeys(signatures)
    ]
    names = dict.fromkeys(name for each in parts for name in each)
    found = []
    for name in names:
        values = dict.fromkeys(each.get(name, "none") for each in parts)
        if len(values) > 1:
            found.append(f"{name} ({', '.join(value or name for value in values)})")
    return found


def _pair(part: str) -> tuple[str, str, str]:
    return part.partition(":")


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


def check_text(where: str, text: str) -> None:
    """Check that a text can be compared with another; `where` begins the message.

    Raises UserError: it is too long, or holds half a character.
    """
    if len(text) > MAX_CHARACTERS:
        raise UserError(
            f"{where}: a text of {len(text):,} characters is not an utterance. "
            f"Divide it into parts of at most {MAX_CHARACTERS:,}."
        )
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise UserError(
            f"{where}: holds half a character (a lone surrogate). Write the file again in UTF-8."
        )
