"""Texts that were normalised before they are scored: where a file says so, and where it looks so.

A rate of such texts is another measure than one of texts as they were written, and who reads the
figure cannot see it. So what is known is refused, and what is likely is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

SIGNATURE = "texts:normalised"
"""The part of a signature of such texts, where the user accepts them."""
TEXT_KEYS = ("normalized_text", "normalised_text", "text_normalized", "text_norm", "norm_text")
"""What data sets call the column of a normalised text."""
_DECLARING_KEYS = (
    *("normalized", "normalizer", "normalization"),
    *("normalised", "normaliser", "normalisation"),
)
_NOTHING = ("", "0", "false", "no", "none", "null", "raw", "nfc")
_CHANGES = ("space:removed", "case:lc", "punct:removed", "norm:reading", SIGNATURE)
"""Parts of a signature of ours that say that letters, marks or spaces were changed."""
MIN_TEXTS = 20
_NONE_SHARE, _SOME_SHARE = 0.01, 0.2


def declared(row: Mapping[str, object]) -> str | None:
    """Return how a row of a file says that its text was normalised, None where it does not."""
    for key in _DECLARING_KEYS:
        value = row.get(key)
        if value is not None and str(value).strip().lower() not in _NOTHING:
            return f'"{key}": {str(value)[:40]}'
    signature = row.get("signature")
    if isinstance(signature, str):
        parts = signature.split("|")
        return next((part for part in parts if part.startswith(_CHANGES)), None)
    return None


def signs(references: Sequence[str], hypotheses: Sequence[str]) -> Iterator[str]:
    """Yield what looks as if one side was normalised, which only its maker can tell.

    That is: it has no punctuation, no capitals or no digits, where a fifth of the other's texts
    have some. Fewer than `MIN_TEXTS` say nothing.
    """
    if len(references) < MIN_TEXTS:
        return
    names = ("the references", "the hypotheses")
    tests: tuple[tuple[str, Callable[[str], bool]], ...] = (
        ("punctuation", _has_mark),
        ("capital letters", _has_capital),
        ("digits", _has_digit),
    )
    for what, test in tests:
        shares = [sum(map(test, side)) / len(side) for side in (references, hypotheses)]
        for one, other in ((0, 1), (1, 0)):
            if shares[one] < _NONE_SHARE and shares[other] > _SOME_SHARE:
                yield (
                    f"{names[one]} have no {what}, and {names[other]} have some in "
                    f"{shares[other]:.0%} of the texts: one side looks normalised, and then rates "
                    "count the way of writing as errors. Score both as they were written"
                )


def _has_mark(text: str) -> bool:
    return any(character in ".,?!。，？！" for character in text)


def _has_capital(text: str) -> bool:
    return text != text.lower()


def _has_digit(text: str) -> bool:
    return any(character.isdigit() for character in text)
