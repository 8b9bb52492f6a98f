"""Recordings without a header: samples alone, as KsponSpeech and AI-Hub give them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from soritune.audio import SAMPLE_RATE_HZ, AudioError, Samples, read_audio, refuse_devices
from soritune.files import open_regular
from soritune.sources.limits import LIFTED_BY, lifted

MAX_BYTES = 64 * 2**20
"""Half an hour at 16 kHz: who reads one by mistake shall not fill the memory."""
FULL_SCALE = np.float32(32768)


@dataclass(frozen=True)
class PcmFile:
    """A file of signed 16-bit little-endian samples, mono, at `rate_hz`.

    Half a sample at the end means that the file breaks off, and is refused; where a corpus is
    known to have a byte too many, `extra_byte` drop leaves it away.
    """

    path: Path
    rate_hz: int = SAMPLE_RATE_HZ
    extra_byte: Literal["refuse", "drop"] = "refuse"

    def render(self) -> tuple[Samples, int]:
        """Return samples (num_samples,), float32 in [-1, 1), and their rate in Hz.

        A file that is a WAV whatever its name says is read as one. Raises AudioError: missing,
        empty, unreadable, truncated, too-long.
        """
        where = str(self.path)
        try:
            refuse_devices(self.path, where)
            with open_regular(self.path) as file:
                content = file.read(lifted(MAX_BYTES) + 1)
        except FileNotFoundError as error:
            raise AudioError("missing", "there is no such file", where) from error
        except (OSError, ValueError) as error:  # ValueError: a null byte in the path
            raise AudioError("unreadable", f"cannot be opened ({error})", where) from error
        if not content:
            raise AudioError("empty", "is an empty file (0 bytes)", where)
        if len(content) > lifted(MAX_BYTES):
            size = lifted(MAX_BYTES) // 2**20
            detail = f"has more than {size} MiB, not an utterance; {LIFTED_BY}"
            raise AudioError("too-long", detail, where)
        if content[:4] == b"RIFF" and content[8:12] == b"WAVE":
            return read_audio(self.path)
        if len(content) % 2 and self.extra_byte == "refuse":
            detail = f"breaks off within a sample ({len(content)} bytes, 2 a sample)"
            raise AudioError("truncated", detail, where)
        samples = np.frombuffer(content, dtype="<i2", count=len(content) // 2)
        return samples.astype(np.float32) / FULL_SCALE, self.rate_hz
