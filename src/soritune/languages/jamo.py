"""Hangul syllables in their parts: onset, nucleus, coda (The Unicode Standard, section 3.12)."""

from __future__ import annotations

import unicodedata

from soritune.languages.ko.characters import FINALS, FIRST_SYLLABLE, INITIALS, VOWELS, is_syllable

SLOTS = ("onset", "nucleus", "coda")


def decompose(text: str) -> str:
    """Return `text` with each Hangul syllable as conjoining jamo; an onset is never a coda."""
    if text.isascii():
        return text
    return "".join(
        unicodedata.normalize("NFD", letter) if is_syllable(letter) else letter for letter in text
    )


def slots_of(letter: str) -> tuple[str, str, str] | None:
    """Return onset, nucleus and coda ("" for none) of a syllable in the letters of keyboards."""
    if not is_syllable(letter):
        return None
    index, coda = divmod(ord(letter) - ord(FIRST_SYLLABLE), len(FINALS) + 1)
    onset, nucleus = divmod(index, len(VOWELS))
    return INITIALS[onset], VOWELS[nucleus], FINALS[coda - 1] if coda else ""
