"""The audio of a corpus: mono 16-bit FLAC at 16 kHz, encoded here or kept as it came."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np

from soritune.audio import SAMPLE_RATE_HZ, Limits, Samples

FULL_SCALE = np.float32(32768)
HEAD = 42
"""Bytes up to the end of STREAMINFO, which comes first (RFC 9639, 8.2): mark, block header, 34."""
MARK = b"fLaC"
ONLY_BLOCK = bytes([0x80, 0, 0, 34])
"""Header of a last metadata block that is a STREAMINFO."""
MOST_BYTES_A_SAMPLE, SPARE_BYTES = 2.1, 4096
"""Frames that hold samples as they are need two bytes a sample and some for their headers."""
MOST_METADATA = 2**20
"""Where pictures take more, the file is decoded and encoded like any other."""


class _Info(NamedTuple):
    """STREAMINFO of a mono 16-bit stream at 16 kHz."""

    num_samples: int
    md5: bytes


def encode_flac(samples: Samples) -> bytes:
    """Return float32 samples in [-1, 1] as 16-bit FLAC; 16-bit sources lose nothing."""
    import soundfile

    scaled = samples * FULL_SCALE
    np.rint(scaled, out=scaled)
    np.clip(scaled, -32768, 32767, out=scaled)
    buffer = io.BytesIO()
    soundfile.write(buffer, scaled.astype(np.int16), SAMPLE_RATE_HZ, format="FLAC")
    return buffer.getvalue()


def bare_flac(audio: object, limits: Limits) -> bytes | None:
    """Return a recording that is already mono 16-bit FLAC at 16 kHz, without tags and pictures.

    None for anything else, and for recordings longer than `limits` allow. Nothing is decoded:
    `load_mono_16k` and `is_exact` check the content.
    """
    if isinstance(audio, bytes):
        info = _info(audio[:HEAD])
        return _bare(audio, info) if info is not None and _fits(info, limits) else None
    if not isinstance(audio, Path):
        return None
    try:
        if not audio.is_file():
            return None
        with audio.open("rb") as file:
            head = file.read(HEAD)
            info = _info(head)
            if info is None or not _fits(info, limits):
                return None
            # One byte more than is allowed, so that a longer file is noticed.
            return _bare(head + file.read(MOST_METADATA + _most_bytes(info) + 1), info)
    except OSError:
        return None  # decoding will say what is wrong


def is_exact(content: bytes, samples: Samples) -> bool:
    """Return whether `samples` are those of `content` (a `bare_flac`), by its checksum."""
    info = _info(content[:HEAD])
    if info is None or len(samples) != info.num_samples:
        return False
    integers = (samples * FULL_SCALE).astype("<i2")
    return hashlib.md5(integers.data, usedforsecurity=False).digest() == info.md5


def _info(head: bytes) -> _Info | None:
    if len(head) < HEAD or head[:4] != MARK or head[4] & 0x7F or head[5:8] != ONLY_BLOCK[1:]:
        return None
    fields = int.from_bytes(head[18:26], "big")  # 20 + 3 + 5 + 36 bits
    form = (fields >> 44, (fields >> 41 & 7) + 1, (fields >> 36 & 31) + 1)
    num_samples = fields & (1 << 36) - 1
    if form != (SAMPLE_RATE_HZ, 1, 16) or not num_samples or not any(head[26:HEAD]):
        return None
    return _Info(num_samples, head[26:HEAD])


def _fits(info: _Info, limits: Limits) -> bool:
    most_s = limits.max_duration_s
    return most_s is None or info.num_samples <= most_s * SAMPLE_RATE_HZ


def _most_bytes(info: _Info) -> int:
    return int(MOST_BYTES_A_SAMPLE * info.num_samples) + SPARE_BYTES


def _bare(content: bytes, info: _Info) -> bytes | None:
    """STREAMINFO and the frames alone; None where that is not all that follows the metadata."""
    start = 4
    last = False
    while not last:
        if start + 4 > len(content):
            return None
        last = bool(content[start] & 0x80)
        start += 4 + int.from_bytes(content[start + 1 : start + 4], "big")
    sync = content[start : start + 2] in (b"\xff\xf8", b"\xff\xf9")
    if not sync or start > MOST_METADATA or len(content) - start > _most_bytes(info):
        return None
    if content[-128:-125] == b"TAG":  # ID3 at the end
        return None
    return MARK + ONLY_BLOCK + content[8:HEAD] + content[start:]
