"""The record of what a language brings."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


def count_letters(text: str) -> int:
    """Return the number of letters and digits."""
    return sum(character.isalnum() for character in text)


def decode_utf8(content: bytes) -> str | None:
    """Return the text of a file in UTF-8, with or without a byte order mark; None if it is not."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


@dataclass(frozen=True)
class NumberForms:
    """Patterns of numbers written in digits and in words.

    They are evidence, not a parser: words that are hardly anything else, or that stand before a
    counter.
    """

    digits: re.Pattern[str]
    words: re.Pattern[str]


@dataclass(frozen=True)
class Language:
    """What a language brings; the defaults hold for any language.

    Args:
        code: ISO 639-1, or ISO 639-3 where there is none.
        scripts: first words of the Unicode names of its letters; empty: not known.
        combining_marks: whether combining marks stand in its texts.
        full_width: whether full-width and ideographic forms stand in its texts.
        number_forms: how numbers are written, by kind of number.
        spoken_units: how much is said in a text, for rates of speech.
        spoken_unit: what `spoken_units` counts, in the plural.
        decode: text of a file in one of its encodings, None where it is in none of them.
        normalize: a text in the form that the keywords name (`form.TextForm`); None: no rules.
        spacing_version: which library corrects spaces. Raises UserError where it is missing.
        bleu_tokenizer: sacrebleu's name of its tokenizer.
        readings: a text as segments with all the ways in which each may be read, the usual one
            first; letters and digits only. Keywords `numbers` and `letters` switch kinds off.
        readings_version: raised when other texts become equal.
        headings: what columns of a list are called in it, by their English names.
    """

    code: str
    scripts: tuple[str, ...] = ()
    combining_marks: bool = True
    full_width: bool = False
    number_forms: Mapping[str, NumberForms] = field(default_factory=dict)
    spoken_units: Callable[[str], int] = count_letters
    spoken_unit: str = "letters"
    decode: Callable[[bytes], str | None] = decode_utf8
    normalize: Callable[..., str] | None = None
    spacing_version: Callable[[], str] | None = None
    bleu_tokenizer: str = "13a"
    readings: Callable[..., tuple[tuple[str, ...], ...]] | None = None
    readings_version: int = 0
    headings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
