"""Korean transcripts in one form: the rules of this folder in their order."""

from __future__ import annotations

import re
from typing import Literal

from soritune.languages.ko.characters import is_syllable, unify
from soritune.languages.ko.letters import spell_codes, spell_letters
from soritune.languages.ko.spacing import correct_spacing
from soritune.languages.ko.spell import spell_numbers
from soritune.languages.punctuation import drop_punctuation

Numerals = Literal["keep", "words"]
Punctuation = Literal["keep", "drop"]
Letters = Literal["keep", "hangul"]
Spacing = Literal["keep", "correct"]

_LATIN = re.compile("[A-Za-z]+")
_VOWELS = re.compile("[aeiouy]+", re.IGNORECASE)


def normalize(
    text: str,
    *,
    numerals: Numerals = "keep",
    punctuation: Punctuation = "keep",
    letters: Letters = "keep",
    spacing: Spacing = "keep",
) -> str:
    """Return `text` with one code for each letter, single spaces, and what the options say.

    `numerals`: words reads digits (3개 → 세 개). `punctuation`: drop removes marks that are not
    part of a numeral. `letters`: hangul names abbreviations (KBS → 케이비에스). `spacing`: correct
    separates words by Kiwi and needs the extra `korean` (UserError without it). To normalise twice
    changes nothing more.
    """
    text = " ".join(unify(text).split())
    if letters == "hangul":
        if numerals == "words":  # units before letters: 2L
            text = spell_numbers(spell_codes(text))
        text = spell_letters(text)
    if numerals == "words":
        text = spell_numbers(text)
    if punctuation == "drop":
        text = drop_punctuation(text)
    if spacing == "correct":
        text = correct_spacing(text)
    return " ".join(text.split())


def syllables(text: str) -> int:
    """Return how many syllables are said: digits as they are read, letters as they are named.

    For rates of speech. Latin words that are not spelled (Seoul) count by their groups of vowels,
    which is near enough; marks and single jamo (ㅋㅋ) are not counted.
    """
    text = unify(text)
    if any(character.isascii() and character.isalnum() for character in text):
        text = spell_letters(spell_numbers(spell_letters(text)))
    latin = sum(max(1, len(_VOWELS.findall(word))) for word in _LATIN.findall(text))
    return latin + sum(map(is_syllable, text))
