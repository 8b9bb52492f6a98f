"""Recordings that were joined to one file byte by byte (cat a b > c).

libsndfile hears the first of them, without a word.
"""

from __future__ import annotations

import re
import struct
from typing import BinaryIO

from soritune.audio.errors import AudioError

MAGIC_BYTES = 16
"""By which a recording is known: too many to stand anywhere by chance."""
_BEGINS = re.compile(
    rb"(?:RIFF|RF64).{4}WAVE|fLaC[\x00\x80]\x00\x00\x22|OggS\x00\x02|FORM.{4}AIF[FC]"
    rb"|\.snd\x00\x00.{6}\x00\x00\x00|caff\x00\x01\x00\x00|riff\x2e\x91\xcf\x11|NIST_1A\n"
    rb"|Creative Voice F|FLV\x01[\x01\x04\x05]\x00\x00\x00\x09|TTA1[\x01\x03]\x00",
    re.DOTALL,
)
_MARKS = (
    b"RIFF",
    b"RF64",
    b"fLaC",
    b"OggS",
    b"FORM",
    b".snd",
    b"caff",
    b"riff",
    b"NIST",
    b"Creative Voice F",
    b"FLV\x01",
    b"TTA1",
)
_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide")
_BLOCK = 1 << 20


def begins_recording(head: bytes) -> bool:
    """Return whether bytes are those at the beginning of a WAV, FLAC, Ogg, AIFF, AU, CAF, …"""
    return _BEGINS.match(head) is not None


def joined(after_s: float | None, where: str) -> AudioError:
    """Return the error for a file in which another recording follows."""
    place = "" if after_s is None else f" after {after_s:.2f} s"
    return AudioError(
        "damaged",
        f"has another recording behind the first{place}: several were joined. Give them one by "
        "one.",
        where,
    )


def holds_another(file: BinaryIO, start: int, num_bytes: int) -> bool:
    """Return whether a recording begins anywhere in a file from `start` on."""
    kept = b""
    file.seek(start)
    while block := file.read(min(_BLOCK, max(0, num_bytes - file.tell()))):
        kept += block
        for mark in _MARKS:
            found = kept.find(mark)
            while found >= 0:
                if begins_recording(kept[found : found + MAGIC_BYTES]):
                    return True
                found = kept.find(mark, found + 1)
        kept = kept[-MAGIC_BYTES:]
    return False


def check_container(file: BinaryIO, num_bytes: int, where: str) -> None:
    """Raise AudioError for recordings behind each other of which FFmpeg hears only the first."""
    file.seek(0)
    head = file.read(MAGIC_BYTES)
    several = begins_recording(head) and holds_another(file, MAGIC_BYTES, num_bytes)
    if several or (head[4:8] in _MP4_BOXES and _num_movies(file, num_bytes) > 1):
        raise joined(None, where)


def _num_movies(file: BinaryIO, num_bytes: int) -> int:
    """Return how many tables of contents an MPEG-4 file has (ISO/IEC 14496-12, 4.2)."""
    count = position = 0
    while position + 8 <= num_bytes:
        file.seek(position)
        size, name, long_size = struct.unpack(">I4sQ", file.read(16).ljust(16, b"\0"))
        count += name == b"moov"
        size = long_size if size == 1 else size
        if size < 8:
            break
        position += size
    return count
