"""Korean letters: one code for each syllable.

Unicode writes the same syllable in several ways: precomposed (한, U+D55C), as conjoining jamo
(decomposed file names of macOS), as the compatibility jamo of keyboards (ㅎㅏㄴ), and half-width.
Everything here leads to the first. Composition is that of The Unicode Standard, section 3.12,
"Conjoining Jamo Behavior"; the block of half-width letters and full-width forms is U+FF00–FFEF.
NFKC is not applied as a whole: it would make conjoining jamo of ㅋㅋ and 1⁄2 of ½.
"""

from __future__ import annotations

import re
import unicodedata

from soritune.languages.punctuation import SAME_MARKS

FIRST_SYLLABLE, LAST_SYLLABLE = "가", "힣"
INITIALS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
FINALS = "ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"

_TYPED = re.compile(rf"([{INITIALS}])([{VOWELS}])(?:([{FINALS}])(?![{VOWELS}]))?")
_HALF_WIDTH = range(0xFFA0, 0xFFDD)
_FULL_WIDTH = range(0xFF01, 0xFF5F)
_SQUARED_UNITS = range(0x3380, 0x33E0)
_CHARACTERS = {
    "\u3000": " ",
    "\u00a0": " ",
    **SAME_MARKS,
    "°C": "℃",
    "\u00b5": "μ",  # the sign on keyboards
    "￦": "₩",
    "￠": "¢",
    "￡": "£",
    "￥": "¥",
}
_REPLACED = re.compile("|".join(re.escape(key) for key in sorted(_CHARACTERS, key=len)[::-1]))
_INVISIBLE = dict.fromkeys(map(ord, "\ufeff\u200b\u200c\u200d\u2060\u00ad"))


def unify(text: str) -> str:
    """Return `text` with one code for each letter; words, spaces and punctuation stay as they are.

    NFC; half-width and typed jamo become syllables where they make one (ㅋㅋ and ㅠㅠ do not);
    full-width forms become ASCII; ㎞ becomes km; the several dots, dashes and tildes that Korean
    keyboards and fonts give become · - ~; invisible characters go.
    """
    text = unicodedata.normalize("NFC", text).translate(_INVISIBLE)
    if text.isascii():
        return text
    text = "".join(map(_plain, text))
    return compose(_REPLACED.sub(lambda found: _CHARACTERS[found.group()], text))


def compose(text: str) -> str:
    """Compose typed jamo to syllables, as a keyboard does it: ㅎㅏㄴㄱㅡㄹ → 한글; others stay."""
    return _TYPED.sub(lambda found: _syllable(*found.groups()), text)


def is_syllable(character: str) -> bool:
    """Return whether it is a precomposed Hangul syllable (U+AC00–D7A3)."""
    return FIRST_SYLLABLE <= character <= LAST_SYLLABLE


def _plain(character: str) -> str:
    code = ord(character)
    if code in _HALF_WIDTH:
        # One step only: NFKC would go on from ㅎ to the conjoining letter.
        _, _, target = unicodedata.decomposition(character).partition("> ")
        return chr(int(target, 16)) if target else character
    if code in _FULL_WIDTH:
        return unicodedata.normalize("NFKC", character)
    if code in _SQUARED_UNITS:
        # ㎏ is kg; ㎡ stays, because m2 would not be a unit any more.
        plain = unicodedata.normalize("NFKC", character)
        return plain if plain.isalpha() else character
    return character


def _syllable(initial: str, vowel: str, final: str | None) -> str:
    index = INITIALS.index(initial) * len(VOWELS) + VOWELS.index(vowel)
    last = FINALS.index(final) + 1 if final else 0
    return chr(ord(FIRST_SYLLABLE) + index * (len(FINALS) + 1) + last)
