"""What is looked for in transcripts: how much is said, foreign characters, forms of numbers."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

from soritune.languages.ko import syllables

SCRIPTS = {
    "ko": ("HANGUL SYLLABLE", "LATIN"),
    "ja": ("HIRAGANA", "KATAKANA", "CJK", "LATIN"),
    "zh": ("CJK", "LATIN"),
    **dict.fromkeys(("ru", "uk", "be", "bg", "sr", "mk", "kk", "ky", "mn"), ("CYRILLIC", "LATIN")),
    **dict.fromkeys(("ar", "fa", "ur", "ps", "ckb"), ("ARABIC", "EXTENDED ARABIC", "LATIN")),
    **dict.fromkeys(("hi", "mr", "ne"), ("DEVANAGARI", "LATIN")),
    "el": ("GREEK", "LATIN"),
    "he": ("HEBREW", "LATIN"),
    "th": ("THAI", "LATIN"),
    "ta": ("TAMIL", "LATIN"),
    "bn": ("BENGALI", "LATIN"),
    "ka": ("GEORGIAN", "LATIN"),
    "hy": ("ARMENIAN", "LATIN"),
}
"""First words of the Unicode names of letters that are usual in a language. Languages that are
not here have the script that most of their letters in the corpus have, and Latin."""
TAG_MARKS = frozenset("*#_\\{}[]")
"""Punctuation by Unicode, but in transcripts they are marks of annotators."""
USUAL_SYMBOLS = frozenset("+=~°℃$|") - {"|"}
FULLWIDTH_TOO = ("ja", "zh")

_NATIVE = "한|두|세|네|다섯|여섯|일곱|여덟|아홉|열|스무|스물|서른|마흔|쉰|예순|일흔|여든|아흔"
_NATIVE_UNITS = "개|명|시간|시|살|마리|권|장|잔|병|달|송이|켤레"
_SINO = "일이삼사오육칠팔구십백천만억"
_SINO_UNITS = "년|월|일|분|초|원|층|호|인분|킬로|미터|퍼센트|프로|주일|호선|박"
_ENDS = "(?![가-힣]{3})"  # a particle may follow, a longer word was another one
NUMBERS: dict[str, dict[str, tuple[re.Pattern[str], re.Pattern[str]]]] = {
    # Korean numerals and those from Chinese have their own counters, and it is usual to write
    # "세 개" and "30분" in one text; so each kind is compared with itself.
    "ko": {
        "세 개": (
            re.compile(rf"\d ?(?:{_NATIVE_UNITS}){_ENDS}"),
            re.compile(rf"(?<![가-힣])(?:{_NATIVE})+ ?(?:{_NATIVE_UNITS}){_ENDS}"),
        ),
        "삼십 분": (
            re.compile(rf"\d ?(?:{_SINO_UNITS}){_ENDS}"),
            re.compile(rf"(?<![가-힣])[{_SINO}]{{2,}} ?(?:{_SINO_UNITS}){_ENDS}"),
        ),
    },
    "en": {
        "": (
            re.compile(r"\d"),
            re.compile(
                r"\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|"
                r"fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|"
                r"sixty|seventy|eighty|ninety|hundred|thousand|million)\b",
                re.IGNORECASE,
            ),
        ),
    },
}
"""By language and kind of numbers: digits, and words. Evidence, not a parser: words that are
hardly anything else, or that stand before a counter."""


def spoken_units(text: str, language: str) -> int:
    """Syllables of Korean as it is read, letters of other languages: what is said, as a length."""
    return syllables(text) if language == "ko" else sum(c.isalnum() for c in text)


def rate_unit(language: str) -> str:
    """What `spoken_units` counts."""
    return "syllables" if language == "ko" else "letters"


def usual_scripts(texts: Iterable[str], language: str) -> tuple[str, ...]:
    """First words of the names of letters that are usual in these texts of `language`."""
    if language in SCRIPTS:
        return SCRIPTS[language]
    letters = Counter(_script(c) for text in texts for c in text if c.isalpha())
    most = min(letters, key=lambda script: (-letters[script], script), default="LATIN")
    return tuple(dict.fromkeys((most, "LATIN")))


def unusual_characters(text: str, language: str, scripts: tuple[str, ...]) -> list[str]:
    """The characters of `text`, each once, that its language does not write."""
    return [c for c in dict.fromkeys(text) if not _is_usual(c, language, scripts)]


def character_name(character: str) -> str:
    """`U+318D HANGUL LETTER ARAEA`."""
    return f"U+{ord(character):04X} {unicodedata.name(character, 'without a name')}"


def number_forms(text: str, language: str) -> dict[str, set[str]]:
    """By kind of numbers, in which of "digits" and "words" this text has them."""
    forms: dict[str, set[str]] = {}
    for kind, (digits, words) in NUMBERS.get(language, {}).items():
        found = {
            name for name, pattern in (("digits", digits), ("words", words)) if pattern.search(text)
        }
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
        return language in FULLWIDTH_TOO
    category = unicodedata.category(character)
    if category[0] in "LM" or category == "Nd":
        inherited = category[0] == "M" and name.startswith("COMBINING") and language != "ko"
        return inherited or name.startswith(scripts)
    return _usual_mark(character)


def _usual_mark(character: str) -> bool:
    category = unicodedata.category(character)
    punctuation = category[0] == "P" and character not in TAG_MARKS
    return punctuation or category == "Sc" or character in USUAL_SYMBOLS
