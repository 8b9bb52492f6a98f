"""FLAC: how long a stream really is (RFC 9639).

libsndfile takes the length from STREAMINFO, where a stream that was written to a pipe has 0, and
never reads beyond it. The last frame says where it stands and how many samples it has.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import BinaryIO

from soritune.audio.views import Part

HEAD = 42
"""Up to the end of STREAMINFO, which comes first (8.2): mark, block header, 34 bytes."""
_LENGTH_BITS = 36
_MAX_FRAME = 1 << 17
"""16,384 samples of two channels with 24 bits; longer frames are not streamable (7)."""
_SYNC = re.compile(rb"\xff[\xf8\xf9]")
_ID3_BYTES = 128


def _table(polynomial: int, bits: int) -> list[int]:
    top, mask = 1 << bits - 1, (1 << bits) - 1
    table = []
    for byte in range(256):
        value = byte << bits - 8
        for _ in range(8):
            value = (value << 1 ^ (polynomial if value & top else 0)) & mask
        table.append(value)
    return table


_CRC8, _CRC16 = _table(0x07, 8), _table(0x8005, 16)


@dataclass(frozen=True)
class FlacLength:
    """The samples that the header names (0: not known), and those up to the end of the last frame.

    `real` is None where the file does not end in a whole frame.
    """

    named: int
    real: int | None


def flac_length(file: BinaryIO, num_bytes: int) -> FlacLength | None:
    """Return the length of a FLAC stream; None for other files."""
    file.seek(0)
    head = file.read(HEAD)
    if len(head) < HEAD or head[:4] != b"fLaC" or head[4] & 0x7F:
        return None
    named = int.from_bytes(head[21:26], "big") & (1 << _LENGTH_BITS) - 1
    block_size = int.from_bytes(head[10:12], "big")
    start = max(HEAD, num_bytes - _MAX_FRAME)
    file.seek(start)
    tail = _without_tags(file.read(num_bytes - start))
    for found in reversed(list(_SYNC.finditer(tail))):
        end = _end_of_frame(tail[found.start() : found.start() + 16], block_size)
        # By chance alone, every 32,768th place looks like a header: its frame decides.
        if end is not None and (end == named or _crc(tail[found.start() :], _CRC16, 16) == 0):
            return FlacLength(named, end)
    return FlacLength(named, None)


def with_length(file: BinaryIO, num_bytes: int, length: int) -> list[Part]:
    """Return a FLAC file with this length in its header."""
    file.seek(0)
    head = file.read(HEAD)
    fields = int.from_bytes(head[21:26], "big") >> _LENGTH_BITS << _LENGTH_BITS
    return [head[:21], (fields | length).to_bytes(5, "big"), (26, num_bytes)]


def _end_of_frame(head: bytes, fixed_size: int) -> int | None:
    """Return the number of the sample behind a frame, None where `head` begins none (9.1)."""
    if len(head) < 6 or head[3] & 1:
        return None
    code, rate = head[2] >> 4, head[2] & 15
    ones = 8 - (head[4] ^ 0xFF).bit_length()  # as in UTF-8, but up to 36 bits
    if code == 0 or rate == 15 or ones in (1, 8):
        return None
    extra = max(0, ones - 1)
    number = head[4] & (0x7F >> ones if ones else 0x7F)
    for byte in head[5 : 5 + extra]:
        number = number << 6 | byte & 0x3F
    place = 5 + extra
    size_bytes = {6: 1, 7: 2}.get(code, 0)
    if size_bytes:
        size = int.from_bytes(head[place : place + size_bytes], "big") + 1
    elif code == 1:
        size = 192
    else:
        size = 576 << code - 2 if code < 6 else 256 << code - 8
    place += size_bytes + {12: 1, 13: 2, 14: 2}.get(rate, 0)
    if place >= len(head) or _crc(head[: place + 1], _CRC8, 8):
        return None
    return (number if head[1] & 1 else number * fixed_size) + size


def _crc(content: bytes, table: list[int], bits: int) -> int:
    """Return the checksum; 0 where `content` ends in its own."""
    value = 0
    if bits == 8:
        for byte in content:
            value = table[value ^ byte]
        return value
    for byte in content:
        value = (value << 8 & 0xFFFF) ^ table[value >> 8 ^ byte]
    return value


def _without_tags(tail: bytes) -> bytes:
    """Return the end of a file without ID3v1 and APE tags, which some programs append."""
    if tail[-_ID3_BYTES:].startswith(b"TAG"):
        tail = tail[:-_ID3_BYTES]
    if tail[-32:].startswith(b"APETAGEX"):
        size = int.from_bytes(tail[-20:-16], "little")
        has_header = tail[-12 + 3] >> 7
        tail = tail[: -(size + 32 * has_header)]
    return tail
