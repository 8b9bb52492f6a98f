"""Text files in the encodings of their language."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping

from soritune.languages.ko.encoding import decode_korean


def _decode_utf8(content: bytes) -> str | None:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


DECODERS: Mapping[str, Callable[[bytes], str | None]] = {"ko": decode_korean}
"""Languages whose older files are in another encoding than UTF-8."""


def decode_text(content: bytes, language: str) -> str | None:
    """Return the text of a file, None where it is in no encoding of its language.

    Args:
        content: the bytes; UTF-16 is recognised by its byte order mark.
        language: ISO 639-1 code.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return content.decode("utf-16")
        except UnicodeDecodeError:
            return None
    return DECODERS.get(language, _decode_utf8)(content)
