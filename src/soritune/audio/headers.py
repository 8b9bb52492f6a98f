"""What headers say of the length of a recording, and what there is."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

from soritune.audio.errors import AudioError
from soritune.audio.joined import begins_recording
from soritune.audio.views import Part

STREAMED_SIZE = 0x7FFF_0000
"""Sizes from here up in a RIFF header are placeholders of programs that wrote to a pipe."""
UNFINISHED_BYTES = 4096
"""So much behind a header that names no sound is sound."""
MP3_IN_WAV = 0x55
_UNKNOWN = 0xFFFF_FFFF
_CAF_CHUNK = ">4sq"
_TEXT_BYTES = 256
"""So many printable ones in a row are no samples: those of 8 bits often are printable."""
_TAGS = re.compile(rb"\0?(?:TAG|ID3|APETAGEX|LYRICS)")
_EVEN_WIDTHS = {"PCM_16": 2, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}
_RIFF = {b"RIFF": "<", b"RF64": "<", b"BW64": "<", b"RIFX": ">"}


@dataclass(frozen=True)
class DataChunk:
    """The sound of a RIFF file: its code for the kind of sound, and its span in the file.

    `size_at` is the place of its size, `format` that of a number there for `struct`.
    """

    code: int
    start: int
    end: int
    size_at: int
    format: str


def data_chunk(file: BinaryIO, num_bytes: int) -> DataChunk | None:
    """Return where the sound of a RIFF, RIFX or RF64 file is; None where the file is none.

    A size of 0 with something behind that is not a further chunk was never filled in: then the
    sound reaches to the end of the file.
    """
    file.seek(0)
    head = file.read(12)
    order = _RIFF.get(head[:4])
    if order is None or head[8:] != b"WAVE":
        return None
    position, code, long_size = 12, 0, 0
    while position + 8 <= num_bytes:
        file.seek(position)
        name, size = struct.unpack(f"{order}4sI", file.read(8))
        start = position + 8
        if name == b"ds64":  # EBU Tech 3306: the sizes that 32 bits do not hold
            long_size = struct.unpack("<QQ", file.read(16).ljust(16, b"\0"))[1]
        if name == b"fmt ":
            code = int.from_bytes(file.read(2), "little" if order == "<" else "big")
        if name == b"data":
            if size == 0 and not _only_chunks(file, start, num_bytes, f"{order}4sI"):
                return DataChunk(code, start, num_bytes, position + 4, f"{order}I")
            size = long_size or size
            return DataChunk(code, start, min(start + size, num_bytes), position + 4, "")
        position = start + size + size % 2
    return None


def finished(chunk: DataChunk, num_bytes: int) -> list[Part] | None:
    """Return a RIFF file with the size of its sound; None where it stands there already."""
    if not chunk.format:
        return None
    size = struct.pack(chunk.format, min(chunk.end - chunk.start, STREAMED_SIZE))
    return [(0, chunk.size_at), size, (chunk.start, num_bytes)]


def claims_more(sound: Any, file: BinaryIO) -> bool:
    """Return whether the header of an open file names more sound than there is.

    libsndfile shortens cut files without an error, but says so in its log.
    """
    log = sound.extra_info
    pairs = re.findall(
        r"^\s*(?:data|SSND|BODY|riff|Riff size|Data Size)\s*:\s*(\d+) \(should be (\d+)\)",
        log,
        re.MULTILINE,
    )
    pairs += re.findall(r"^Data length (\d+) should be (\d+)", log, re.MULTILINE)
    if any(int(real) + 2 < int(claimed) < STREAMED_SIZE for claimed, real in pairs):
        return True
    if re.search(r"File seems to be truncated|Seems to be a truncated file", log):
        return True
    frames = re.search(r"^\s*Frames\s*:\s*(\d+)", log, re.MULTILINE)
    if frames and int(frames[1]) not in (0, sound.frames) and int(frames[1]) < STREAMED_SIZE:
        return True
    return _sphere_frames(file) > int(sound.frames)


def sound_end(file: BinaryIO, num_bytes: int) -> int | None:
    """Return where the sound of an AU or CAF file ends by its header; None where it does not say
    (a length of nothing was never filled in).

    AU: https://pubs.opengroup.org/external/auformat.html; CAF: Apple Core Audio Format 1.0.
    """
    file.seek(0)
    head = file.read(12)
    if head[:4] == b".snd":
        start, size = struct.unpack(">II", head[4:].ljust(8, b"\xff"))
        return None if size in (0, _UNKNOWN) else start + size
    position = 8 if head[:4] == b"caff" else num_bytes
    while position + 12 <= num_bytes:
        file.seek(position)
        name, size = struct.unpack(_CAF_CHUNK, file.read(12))
        if size < 0:
            return None
        position += 12 + size
        if name == b"data":  # begins with a number of edits, of 4 bytes
            return int(position) if size > 4 else None
    return None


def _has_more(file: BinaryIO, end: int, num_bytes: int) -> bool:
    """Return whether sound follows behind the size that a RIFF, AU or CAF header names.

    Further chunks, tags and padding are no sound; another file behind it has some.
    """
    if end > num_bytes - UNFINISHED_BYTES:
        return False
    file.seek(end)
    head = file.read(UNFINISHED_BYTES)
    if begins_recording(head):
        return True
    is_text = re.match(rb"[\s -~]{%d}" % _TEXT_BYTES, head) is not None
    tagged = is_text or _TAGS.match(head) is not None
    chunks = any(_only_chunks(file, end, num_bytes, form) for form in ("<4sI", _CAF_CHUNK))
    return any(head) and not tagged and not chunks


def check_end(file: BinaryIO, end: int, num_bytes: int, where: str) -> None:
    """Raise AudioError where sound follows behind the end that a header names."""
    if _has_more(file, end, num_bytes):
        raise AudioError(
            "damaged",
            f"has {num_bytes - end:,} bytes more than its header names. Decode and encode it "
            "again.",
            where,
        )


def has_half_sample(sound: Any, file: BinaryIO, num_bytes: int) -> bool:
    """Return whether a stream of unknown length (AU, RIFF) ends within a sample, so was cut.

    Only of widths with which no padding byte follows.
    """
    file.seek(0)
    head = file.read(12)
    if head[:4] == b".snd" and head[8:] == b"\xff\xff\xff\xff":
        start = int.from_bytes(head[4:8], "big")
    elif (chunk := data_chunk(file, num_bytes)) is not None and chunk.end == num_bytes:
        start = chunk.start
    else:
        return False
    width = int(sound.channels) * _EVEN_WIDTHS.get(sound.subtype, 1)
    return (num_bytes - start) % width != 0


def _sphere_frames(file: BinaryIO) -> int:
    """Return the number of frames that the header of a NIST SPHERE file names, else 0."""
    file.seek(0)
    head = file.read(1024)
    count = re.search(rb"^sample_count -i (\d{1,12})\s", head, re.MULTILINE)
    return int(count[1]) if head.startswith(b"NIST_1A") and count else 0


def _only_chunks(file: BinaryIO, position: int, num_bytes: int, form: str) -> bool:
    """Return whether nothing but chunks is left from `position` on."""
    while position + struct.calcsize(form) <= num_bytes:
        file.seek(position)
        name, size = struct.unpack(form, file.read(struct.calcsize(form)))
        if size < 0 or not re.fullmatch(rb"[ -~]{4}", name):
            return False
        position += struct.calcsize(form) + size + size % 2
    return num_bytes - 1 <= position <= num_bytes + 1


def foreign_form(head: bytes) -> str:
    """Return what a file is that libsndfile does not read, by its first bytes; "" where unknown."""
    if head[4:8] == b"ftyp":  # ISO/IEC 14496-12
        return "MPEG-4 (m4a, mp4, 3gp)"
    marks = {b"\x1a\x45\xdf\xa3": "WebM or Matroska", b"\x30\x26\xb2\x75": "Windows Media (wma)"}
    marks |= {b"caff": "CAF that breaks off, or with a codec that libsndfile lacks"}
    marks |= {b"#!AM": "AMR", b"\xff\xf1": "AAC", b"\xff\xf9": "AAC"}
    return next((form for mark, form in marks.items() if head.startswith(mark)), "")
