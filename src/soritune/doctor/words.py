"""What is looked for in transcripts: foreign characters, and forms of numbers."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

from soritune.languages import find_language

TAG_MARKS = frozenset("*#_\\{}[]")
"""Punctuation by Unicode, but in transcripts they are marks of annotators."""
USUAL_SYMBOLS = frozenset("+=~°℃$")


def usual_scripts(texts: Iterable[str], language: str) -> tuple[str, ...]:
    """Return the first words of the names of letters that are usual in texts of `language`.

    Where they are not known: the script that most letters of the texts have, and Latin.
    """
    known = find_language(language).scripts
    if known:
        return known
    letters = Counter(_script(c) for text in texts for c in text if c.isalpha())
    most = min(letters, key=lambda script: (-letters[script], script), default="LATIN")
    return tuple(dict.fromkeys((most, "LATIN")))


def unusual_characters(text: str, language: str, scripts: tuple[str, ...]) -> list[str]:
    """Return the characters of `text`, each once, that its language does not write."""
    return [c for c in dict.fromkeys(text) if not _is_usual(c, language, scripts)]


def character_name(character: str) -> str:
    """Return a character's name such as `U+00E9 LATIN SMALL LETTER E WITH ACUTE`."""
    return f"U+{ord(character):04X} {unicodedata.name(character, 'without a name')}"


def number_forms(text: str, language: str) -> dict[str, set[str]]:
    """Return, by kind of number, in which of "digits" and "words" this text has them."""
    forms: dict[str, set[str]] = {}
    for kind, written in find_language(language).number_forms.items():
        patterns = (("digits", written.digits), ("words", written.words))
        found = {name for name, pattern in patterns if pattern.search(text)}
        if found:
            forms[kind] = found
    return forms


def _script(character: str) -> str:
    return unicodedata.name(character, "UNNAMED").split()[0]


@lru_cache(maxsize=65_536)
def _is_usual(character: str, language: str, scripts: tuple[str, ...]) -> bool:
    if character.isascii():
        printable = character.isalnum() or character == " "
        return printable or _usual_mark(character)
    name = unicodedata.name(character, "")
    if name.startswith(("FULLWIDTH", "HALFWIDTH", "IDEOGRAPHIC")):
        return find_language(language).full_width
    category = unicodedata.category(character)
    if category[0] in "LM" or category == "Nd":
        combining = category[0] == "M" and name.startswith("COMBINING")
        return (combining and find_language(language).combining_marks) or name.startswith(scripts)
    return _usual_mark(character)


def _usual_mark(character: str) -> bool:
    category = unicodedata.category(character)
    punctuation = category[0] == "P" and character not in TAG_MARKS
    return punctuation or category == "Sc" or character in USUAL_SYMBOLS
