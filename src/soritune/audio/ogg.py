"""Ogg: whether all of its pages are there and whole (RFC 3533).

libsndfile leaves a damaged page out without a word, and ends with the first of several streams.
"""

from __future__ import annotations

import zlib
from typing import BinaryIO

from soritune.audio.errors import AudioError

MAGIC = b"OggS"
_HEADER = 27
_FIRST_PAGE, _LAST_PAGE = 2, 4
_MAX_HEADER = _HEADER + 255
_MAX_PAGE = _MAX_HEADER + 255 * 255
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_UNSET = 0xFFFF_FFFF


def check_ogg(file: BinaryIO, num_bytes: int, where: str) -> None:
    """Walk the pages of a file.

    Raises:
        AudioError: truncated (the last page is not all there, or not marked as the last: RFC 3533,
            6), damaged (a page is missing or its checksum is wrong, several streams after each
            other).
    """
    numbers: dict[int, int] = {}
    ended: set[int] = set()
    position = 0
    while position < num_bytes:
        file.seek(position)
        page = file.read(_MAX_HEADER)
        size = _page_size(page)
        page += file.read(max(0, size - len(page)))
        if page[:4] != MAGIC[: len(page)]:
            if ended and ended == set(numbers):
                return  # a tag behind the sound
            raise AudioError("damaged", _hole(position, num_bytes), where)
        if not size or len(page) < size:
            if MAGIC in page[4:] + file.read(_MAX_PAGE):
                raise AudioError("damaged", _hole(position, num_bytes), where)
            raise AudioError("truncated", "breaks off before the end its header names", where)
        page = page[:size]
        if _checksum(page) != int.from_bytes(page[22:26], "little"):
            raise AudioError("damaged", _hole(position, num_bytes), where)
        serial, number = (int.from_bytes(page[i : i + 4], "little") for i in (14, 18))
        if serial not in numbers or (ended and page[5] & _FIRST_PAGE):
            if ended:
                raise AudioError(
                    "damaged",
                    "is several Ogg streams after each other, of which only the first would be "
                    "heard. Give them one by one.",
                    where,
                )
        elif number != (numbers[serial] + 1) & _UNSET:
            raise AudioError("damaged", _hole(position, num_bytes), where)
        numbers[serial] = number
        if page[5] & _LAST_PAGE:
            ended.add(serial)
        position += size
    if not ended:
        raise AudioError(
            "truncated",
            "has no last page: it breaks off, or its recorder was stopped. Where it is all there: "
            "ffmpeg -i FILE -c copy FILE.ogg",
            where,
        )


def _hole(position: int, num_bytes: int) -> str:
    return f"has a hole or a changed byte at {position:,} of {num_bytes:,} bytes"


def _page_size(page: bytes) -> int:
    """Return the bytes of a page from its header, 0 where that is not all there."""
    if len(page) < _HEADER or len(page) < _HEADER + page[26]:
        return 0
    return _HEADER + page[26] + sum(page[_HEADER : _HEADER + page[26]])


def _checksum(page: bytes) -> int:
    """Return the CRC-32 of a page with its own field as 0 (RFC 3533, 6).

    That of zlib has the same polynomial, but reads and writes its bits the other way round.
    """
    turned = (page[:22] + bytes(4) + page[26:]).translate(_REVERSED)
    value = zlib.crc32(turned, _UNSET) ^ _UNSET
    return int.from_bytes(value.to_bytes(4, "big").translate(_REVERSED), "little")
