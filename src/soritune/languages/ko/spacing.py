"""Spacing of Korean words, by Kiwi (kiwipiepy, Apache-2.0; the extra `korean`).

Spacing follows from morphemes, so no rule of ours could do it; measured in docs/korean-text.md.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from soritune.errors import UserError
from soritune.languages.ko.counters import COUNTERS, MONTHS
from soritune.languages.ko.numerals import NATIVE_WORDS

if TYPE_CHECKING:
    from kiwipiepy import Kiwi


_UNITS = "|".join(sorted((word for word in COUNTERS if len(word) > 2), key=len, reverse=True))
_NUMERAL = re.compile(
    f"{'|'.join(MONTHS[1:])}|[영공일이삼사오육칠팔구십백천만억조경]{{2,}}월?|{NATIVE_WORDS}|{_UNITS}"
)
"""Words that Kiwi would split."""
_REMEDY = "correcting Korean spacing needs Kiwi: pip install soritune[korean]"


def correct_spacing(text: str) -> str:
    """Return `text` with the spaces that are missing; no letter and no space of it is removed.

    Kiwi separates each morpheme of a numeral (이천이십육 → 이 천 이 십 육); 한글 맞춤법 제44항
    separates them by 만 alone, so inside a numeral Kiwi's spaces are not taken.
    Raises UserError where the extra is not installed.
    """
    before, letters = _spaces(text)
    proposed, other = _spaces(_kiwi().space(text, reset_whitespace=False))
    if (
        letters != other
    ):  # Kiwi separates words; should it ever change one, the text stays as it was
        return text
    missing = proposed - before
    for numeral in _NUMERAL.finditer(letters):
        missing -= set(range(numeral.start() + 1, numeral.end()))
    return "".join(
        f" {letter}" if place in missing | before else letter
        for place, letter in enumerate(letters)
    )


def _spaces(text: str) -> tuple[set[int], str]:
    """Return where `text` has spaces, in letters before them, and its letters."""
    words = text.split()
    places: set[int] = set()
    for word in words[:-1]:
        places.add(len(word) + max(places, default=0))
    return places, "".join(words)


def spacing_version() -> str:
    """Return which Kiwi and model decide about spaces. Raises UserError where one is missing."""
    try:
        return f"kiwipiepy {version('kiwipiepy')}, model {version('kiwipiepy_model')}"
    except PackageNotFoundError:
        raise UserError(_REMEDY) from None


@lru_cache(maxsize=1)
def _kiwi() -> Kiwi:
    try:
        from kiwipiepy import Kiwi
    except ImportError:
        raise UserError(_REMEDY) from None
    return Kiwi(num_workers=1)
