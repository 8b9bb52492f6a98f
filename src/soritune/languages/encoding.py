"""Text files in the encodings of their language."""

from __future__ import annotations

import codecs

from soritune.languages import find_language


def decode_text(content: bytes, language: str) -> str | None:
    """Return the text of a file, None where it is in no encoding of its language.

    Args:
        content: the bytes; UTF-16 is recognised by its byte order mark.
        language: code, tag or name.
    """
    if content.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return None  # FF FE 00 00 would pass for UTF-16
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return content.decode("utf-16")
        except UnicodeDecodeError:
            return None
    return find_language(language).decode(content)
