"""Korean text files: UTF-8, or the CP949 in which older corpora are written."""

from __future__ import annotations

import codecs
import re

from soritune.languages.language import decode_utf8

THREE_BYTES = 0x800
"""From this code point up a character has three bytes in UTF-8; all of Hangul is there."""
LATIN_WORD = re.compile(r"[A-Za-z][^\x00-\x7f]|[^\x00-\x7f][A-Za-z]")
"""A letter with an accent beside a plain one (café)."""


def decode_korean(content: bytes) -> str | None:
    """Return the text of a file in UTF-8 (with or without a mark) or CP949, None if it is neither.

    Two syllables of CP949 such as 호호 (C8 A3 C8 A3) are also valid UTF-8 for letters of two
    bytes (ȣȣ). Korean in UTF-8 has three bytes a letter, so letters of two bytes alone are CP949,
    unless they stand in a Latin word.
    """
    text = decode_utf8(content)
    if content.startswith(codecs.BOM_UTF8):
        return text
    if text is None:
        return _decode_cp949(content)
    two_bytes = not text.isascii() and all(ord(character) < THREE_BYTES for character in text)
    if two_bytes and not LATIN_WORD.search(text):
        other = _decode_cp949(content)
        if other is not None and any("가" <= character <= "힣" for character in other):
            return other
    return text


def _decode_cp949(content: bytes) -> str | None:
    try:
        return content.decode("cp949")
    except UnicodeDecodeError:
        return None
