"""MPEG audio (MP3 and layers I and II): how many frames a file really has.

An MP3 has no header. libsndfile (mpg123) takes its length from the Xing or LAME tag in the first
frame, and without one guesses it from the first frame's bit rate and the size of the file: too
short where the bit rate varies, too long where a picture or a tag is in the file. It never reads
beyond its guess. So the frame headers are walked here (ISO/IEC 11172-3, 2.4.2.3), and where there
is not a right count, one is put in front. Layers I and II have no such tag: they are read where
what is between the frames is left out and the guess is right.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import BinaryIO

from soritune.audio.errors import AudioError
from soritune.audio.joined import MAGIC_BYTES, begins_recording, joined
from soritune.audio.views import Part

_BLOCK = 1 << 20
_LAYER_3, _LAYER_2, _LAYER_1 = 1, 2, 3
"""As headers have them."""
_KBPS_MPEG1 = {
    _LAYER_3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    _LAYER_2: (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    _LAYER_1: tuple(range(0, 449, 32)),
}
_KBPS_MPEG2 = {
    **dict.fromkeys(
        (_LAYER_3, _LAYER_2), (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
    ),
    _LAYER_1: (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
}
_RATES_HZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_HEADER = 4
_KBPS_OF_TAG = {3: 5, 2: 8, 0: 8}
"""Index of 64 kbit/s: at every rate a frame of it has room for a tag."""
LOST_BYTES = 2 * 1_441
"""More than two of the longest frames (320 kbit/s at 32 kHz) that are no frames are lost speech."""
_MAY_BEGIN = re.compile(rb"\xff[\xe2-\xe7\xf2-\xff]|ID3|TAG|APETAGEX")
_LONGEST_MARK = 8
_RUN = 3
"""Frames that must follow each other where a stream begins: two bytes alone may be anything."""
_LATE_RUN = 10
_MAX_LEAD = 1 << 16
"""Bytes in front of the first frame (the end of one, a line of a web radio) that are no loss."""


@dataclass(frozen=True)
class Frames:
    """The sound frames of a file: spans of bytes, their number, and what the tag says it is.

    `start` is the place of the first frame (of its tag, where there is one), `header` its header.
    """

    start: int
    header: bytes
    spans: tuple[tuple[int, int], ...]
    count: int
    tagged: int | None

    @property
    def is_layer_3(self) -> bool:
        return _layer(self.header) == _LAYER_3

    @property
    def num_samples(self) -> int:
        return self.count * _samples(self.header)

    def guessed_wrong(self, num_samples: int) -> bool:
        """Return whether a length that was guessed from the first frame is not that of all."""
        slack = _samples(self.header)
        return not -slack <= num_samples - self.num_samples <= 2 * slack

    def parts(self) -> list[Part] | None:
        """Return what to read in place of the file; None where its own tag is right.

        Some encoders count the frame of the tag as well.
        """
        if not self.is_layer_3:
            return list(self.spans)
        if self.tagged is not None and self.count <= self.tagged <= self.count + 1:
            return None
        return [_tag(self.header, self.count), *self.spans]


def ends_in_frames(file: BinaryIO, end: int) -> bool:
    """Return whether the end of a file holds an MP3."""
    return has_frames(file, max(0, end - (_LATE_RUN + 1) * LOST_BYTES // 2), end)


def find_frames(file: BinaryIO, start: int, end: int, where: str) -> Frames | None:
    """Return the frames between two places of a file; None where there are none.

    Args:
        file: seekable.
        start: where to begin.
        end: where to end.
        where: for messages.

    Raises:
        AudioError: truncated (fewer frames than the tag names), damaged (a hole between frames,
            another layer, sample rate or number of channels from some frame on, another recording
            behind them).
    """
    window = _Window(file, end)
    first = b""
    begin, count, lost = start, 0, 0
    tagged: int | None = None
    spans: list[tuple[int, int]] = []
    position = start
    while position + _HEADER <= end:
        header = window.at(position, _HEADER)
        length = frame_length(header)
        if not length or ((lost or not first) and not _runs_on(window, position, header)):
            skipped = _tag_length(window, position, header)
            if first and not skipped and begins_recording(window.at(position, MAGIC_BYTES)):
                raise joined(_seconds(count, first), where)
            lost = 0 if skipped else lost + window.to_next_sync(position) - position
            position += skipped or window.to_next_sync(position) - position
            continue
        if position + length > end:
            break  # a stream that was recorded ends anywhere
        if first and lost > LOST_BYTES:
            detail = f"has a hole of {lost:,} bytes at {_seconds(count, first):.2f} s"
            raise AudioError("damaged", detail, where)
        if not first:
            first, begin = header, position
        lost = 0
        if _kind(header) != _kind(first):
            raise AudioError(
                "damaged",
                "has another layer, sample rate or number of channels after "
                f"{_seconds(count, first):.2f} s: several recordings were joined. Give them one "
                "by one.",
                where,
            )
        in_tag = _tagged_count(window.at(position, min(length, 64)), header)
        if in_tag is not None:
            tagged = tagged if count else in_tag
        else:
            count += 1
            if spans and spans[-1][1] == position:
                spans[-1] = (spans[-1][0], position + length)
            else:
                spans.append((position, position + length))
        position += length
    if not first:
        return None
    if (tagged is not None and count < tagged - 1) or _is_blank(window, end, lost):
        raise AudioError("truncated", "breaks off before the end its header names", where)
    return Frames(begin, first, tuple(spans), count, tagged)


def frame_length(header: bytes) -> int:
    """Return the bytes of the frame that begins with `header`, 0 where it is none."""
    if len(header) < _HEADER or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return 0
    version, layer, rate = header[1] >> 3 & 3, _layer(header), header[2] >> 2 & 3
    kbps = header[2] >> 4
    if version == 1 or layer == 0 or rate == 3 or kbps in (0, 15):
        return 0
    rate_hz = _RATES_HZ[version][rate]
    bits = 1000 * (_KBPS_MPEG1 if version == 3 else _KBPS_MPEG2)[layer][kbps]
    padding = header[2] >> 1 & 1
    if layer == _LAYER_1:  # in words of four bytes
        return 4 * (12 * bits // rate_hz + padding)
    return _samples(header) // 8 * bits // rate_hz + padding


def has_frames(file: BinaryIO, start: int, end: int) -> bool:
    """Return whether many frames follow each other near a place of a file, or behind tags there."""
    window = _Window(file, end)
    position, tags = start, 0
    while position - start - tags < _MAX_LEAD and position + _HEADER <= end:
        header = window.at(position, _HEADER)
        if frame_length(header) and _runs_on(window, position, header, _LATE_RUN):
            return True
        skipped = _tag_length(window, position, header)
        tags += skipped
        position += skipped or window.to_next_sync(position) - position
    return False


def _layer(header: bytes) -> int:
    return header[1] >> 1 & 3


def _samples(header: bytes) -> int:
    """Return the samples of a frame."""
    if _layer(header) == _LAYER_1:
        return 384
    return 576 if _layer(header) == _LAYER_3 and header[1] >> 3 & 3 != 3 else 1152


def _kind(header: bytes) -> tuple[int, int, bool]:
    """Return what must be the same in all frames: version and layer, sample rate, mono or not."""
    return header[1] >> 1 & 15, header[2] >> 2 & 3, header[3] >> 6 == 3


def _seconds(count: int, header: bytes) -> float:
    return count * _samples(header) / _RATES_HZ[header[1] >> 3 & 3][header[2] >> 2 & 3]


def _tag_place(header: bytes) -> int:
    """Return where a Xing tag stands in its frame: behind the header and the side information."""
    mono = header[3] >> 6 == 3
    if header[1] >> 3 & 3 == 3:
        return _HEADER + (17 if mono else 32)
    return _HEADER + (9 if mono else 17)


def _tagged_count(frame: bytes, header: bytes) -> int | None:
    """Return the number of frames that a tag names (0: it does not), None for a sound frame."""
    if _layer(header) != _LAYER_3:
        return None
    place = _tag_place(header)
    if frame[place : place + 4] in (b"Xing", b"Info"):
        has_count = frame[place + 7] & 1 if len(frame) >= place + 12 else 0
        return int.from_bytes(frame[place + 8 : place + 12], "big") if has_count else 0
    if frame[36:40] == b"VBRI" and len(frame) >= 54:
        return int.from_bytes(frame[50:54], "big")
    return None


def _tag(header: bytes, count: int) -> bytes:
    """Return a frame without sound that names the number of frames behind it."""
    version = header[1] >> 3 & 3
    bare = bytes(
        [0xFF, header[1] | 1, _KBPS_OF_TAG[version] << 4 | header[2] & 0x0C, header[3]]
    )  # the | 1: without a checksum
    place = _tag_place(header)
    frame = bytearray(frame_length(bare))
    frame[:_HEADER] = bare
    frame[place : place + 12] = b"Xing" + (1).to_bytes(4, "big") + count.to_bytes(4, "big")
    return bytes(frame)


def _runs_on(window: _Window, position: int, first: bytes, run: int = _RUN) -> bool:
    """Return whether `run` frames of one kind follow each other from `position`."""
    header = first
    for _ in range(run - 1):
        position += frame_length(header)
        header = window.at(position, _HEADER)
        if len(header) < _HEADER:
            return run == _RUN  # the last ones of a file that begins with some
        if not frame_length(header) or _kind(header) != _kind(first):
            return header[:3] in (b"TAG", b"ID3", b"APE")
    return True


def tag_length(file: BinaryIO, end: int) -> int:
    """Return the length of the tag that a file begins with, 0 where there is none."""
    window = _Window(file, end)
    return _tag_length(window, 0, window.at(0, _HEADER))


def _tag_length(window: _Window, position: int, header: bytes) -> int:
    """Return the length of a tag (ID3v1, ID3v2, APE) at `position`, 0 where there is none."""
    if header[:3] == b"ID3":
        head = window.at(position, 10)
        if len(head) == 10 and not any(byte & 0x80 for byte in head[6:]):
            size = 0
            for byte in head[6:]:
                size = size << 7 | byte
            return 10 + size + (10 if head[5] & 0x10 else 0)
    if header[:3] == b"TAG":
        return 128
    if header == b"APET":
        head = window.at(position, 24)
        if head[:8] == b"APETAGEX" and len(head) == 24:
            is_header = int.from_bytes(head[20:24], "little") >> 29 & 1
            return 32 + (int.from_bytes(head[12:16], "little") if is_header else 0)
    return 0


def _is_blank(window: _Window, end: int, lost: int) -> bool:
    """Return whether the file ends in a hole: a copy that was never finished has zeros there."""
    tail = window.at(end - lost, min(lost, _BLOCK)) if lost > LOST_BYTES else b""
    return tail.count(0) > 0.9 * len(tail) > 0


class _Window:
    """Bytes at any place of a file, read a block at a time."""

    def __init__(self, file: BinaryIO, end: int) -> None:
        self._file = file
        self._end = end
        self._start = 0
        self._block = b""

    def at(self, position: int, size: int) -> bytes:
        inside = position - self._start
        if inside < 0 or inside + size > len(self._block):
            self._file.seek(position, io.SEEK_SET)
            self._start = position
            self._block = self._file.read(max(0, min(_BLOCK, self._end - position)))
            inside = 0
        return self._block[inside : inside + size]

    def to_next_sync(self, position: int) -> int:
        """Return the next place after `position` where a frame or a tag may begin."""
        block = self.at(position + 1, _BLOCK)
        found = _MAY_BEGIN.search(block)
        # A mark may begin in this block and end in the next.
        return position + 1 + (found.start() if found else max(1, len(block) - _LONGEST_MARK))
