"""Korean text: letters, numerals in digits and in words, punctuation, spacing.

docs/korean-text.md has each rule with its source and what was measured.
"""

from __future__ import annotations

from soritune.text.korean.characters import compose, decompose, unify
from soritune.text.korean.normalization import normalize, syllables
from soritune.text.korean.spell import spell_numbers
from soritune.text.korean.write import write_numbers

__all__ = [
    "compose",
    "decompose",
    "normalize",
    "spell_numbers",
    "syllables",
    "unify",
    "write_numbers",
]
