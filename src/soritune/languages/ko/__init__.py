"""Korean text: letters, numerals in digits and in words, punctuation, spacing.

docs/korean-text.md has each rule with its source and what was measured.
"""

from __future__ import annotations

from soritune.languages.ko.characters import compose, decompose, unify
from soritune.languages.ko.normalization import normalize, syllables
from soritune.languages.ko.spell import spell_numbers
from soritune.languages.ko.write import write_numbers

__all__ = [
    "compose",
    "decompose",
    "normalize",
    "spell_numbers",
    "syllables",
    "unify",
    "write_numbers",
]
