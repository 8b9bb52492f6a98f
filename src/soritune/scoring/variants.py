"""What is done to texts before their errors are counted: the declared variants of CER and WER.

The same words can differ by a factor of two in CER where it is not said what counts, so each
variant is named and stands in the signature. docs/scoring.md says what is known and what is guessed
of `seed`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from soritune.errors import UserError, nearest
from soritune.languages.punctuation import RULE, drop_punctuation
from soritune.scoring.score import RAW

SEED_VARIANT, NO_SPACES = "seed", "no-spaces"
NO_PUNCTUATION, READING = "no-punctuation", "reading"

_SPACES = re.compile(r"\s\s+")


@dataclass(frozen=True)
class Variant:
    """One way to compare texts.

    Attributes:
        described: the part of a signature that says what is done.
        metrics: error rates that have it.
        capped: whether an utterance has at most as many errors as its reference has characters.
    """

    name: str
    described: str
    metrics: tuple[str, ...]
    capped: bool = False


VARIANTS = {
    each.name: each
    for each in (
        Variant(RAW, "space:kept|case:mixed|punct:kept|norm:nfc", ("cer", "wer", "jamo")),
        Variant(
            SEED_VARIANT,
            "space:kept|case:mixed|punct:kept|norm:none|cap:utterance",
            ("cer", "wer"),
            capped=True,
        ),
        Variant(NO_SPACES, "space:removed|case:mixed|punct:kept|norm:nfc", ("cer", "jamo")),
        Variant(
            NO_PUNCTUATION,
            f"space:kept|case:lc|punct:removed.{RULE}|norm:nfc",
            ("cer", "wer", "jamo"),
        ),
        Variant(READING, f"space:removed|case:lc|punct:removed.{RULE}|norm:reading", ("cer",)),
    )
}


def check_variant(name: str) -> Variant:
    """Return a variant by its name. Raises UserError where there is none."""
    if name not in VARIANTS:
        raise UserError(
            f'variant "{name}" is unknown; use {", ".join(VARIANTS)}{nearest(name, VARIANTS)}'
        )
    return VARIANTS[name]


def prepare(texts: Sequence[str], variant: str) -> list[str]:
    """Return texts as a variant compares them (`reading` aligns more than that: `reading.py`)."""
    if variant == SEED_VARIANT:
        # The transforms of evaluate 0.4.3, metrics cer and wer: RemoveMultipleSpaces and Strip.
        return [_SPACES.sub(" ", text).strip() for text in texts]
    # NFC first: a decomposed syllable (ㅎㅏㄴ) would count as three characters.
    composed = [unicodedata.normalize("NFC", text) for text in texts]
    if variant in (NO_PUNCTUATION, READING):
        composed = [drop_punctuation(text.lower()) for text in composed]
    if variant in (NO_SPACES, READING):
        return ["".join(text.split()) for text in composed]
    return [" ".join(text.split()) for text in composed]
