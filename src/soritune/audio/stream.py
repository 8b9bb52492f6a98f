"""Recordings of any length as blocks of 16 kHz mono, without holding more than a minute or two."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import soxr

from soritune.audio import SAMPLE_RATE_HZ, Limits, read_audio, refuse_devices, to_16k
from soritune.audio.decode import MAX_RATE_HZ, MIN_RATE_HZ, stream
from soritune.audio.errors import AudioError
from soritune.audio.levels import Samples, to_mono
from soritune.utterance import Excerpt

BLOCK_SAMPLES = 30 * SAMPLE_RATE_HZ

_ANY = Limits(max_duration_s=None, silence_peak=None)


@dataclass(frozen=True)
class Sound:
    """Samples that are in memory.

    Attributes:
        samples: (num_samples,) or (num_samples, channels), in [-1, 1]; integers are scaled.
        rate_hz: their sampling rate.
        name: what messages call them.
    """

    samples: npt.NDArray[Any]
    rate_hz: int
    name: str = ""


@dataclass(frozen=True)
class Recording:
    """An open recording.

    Attributes:
        blocks: mono float32 at `rate_hz`, to be read once.
        length_s: None where it is not known before the end.
        note: what the user should know, "" for nothing.
    """

    rate_hz: int
    length_s: float | None
    blocks: Iterator[Samples]
    where: str
    note: str = ""

    def read(self, whole_s: float) -> Samples | Iterator[Samples]:
        """Return all samples at 16 kHz where there are at most `whole_s` seconds, else blocks.

        What fits is resampled in one piece, exactly as `load_mono_16k` does. Raises AudioError.
        """
        first: list[Samples] = []
        count = 0
        for block in self.blocks:
            first.append(block)
            count += len(block)
            if count > whole_s * self.rate_hz:
                return self._resampled(first)
        samples = np.concatenate(first) if first else np.zeros(0, np.float32)
        return to_16k(samples, self.rate_hz, _ANY, self.where)

    def _resampled(self, first: list[Samples]) -> Iterator[Samples]:
        resampler = soxr.ResampleStream(self.rate_hz, SAMPLE_RATE_HZ, 1, quality="HQ")
        same = self.rate_hz == SAMPLE_RATE_HZ
        while first:
            block = first.pop(0)
            yield from self._pieces(block if same else resampler.resample_chunk(block))
        for block in self.blocks:
            yield from self._pieces(block if same else resampler.resample_chunk(block))
        if not same:
            yield from self._pieces(resampler.resample_chunk(np.zeros(0, np.float32), last=True))

    def _pieces(self, samples: Samples) -> Iterator[Samples]:
        if not np.isfinite(samples).all():
            detail = "holds samples that are not numbers (NaN or infinity)"
            raise AudioError("non-finite", detail, self.where)
        for start in range(0, len(samples), BLOCK_SAMPLES):
            yield np.ascontiguousarray(samples[start : start + BLOCK_SAMPLES], np.float32)


Source = str | Path | bytes | BinaryIO | Sound | Excerpt


def name_of(source: Source) -> str:
    """Return what messages and results call a source; "" where it has no name."""
    if isinstance(source, str | Path | Excerpt):
        return str(source)
    if isinstance(source, bytes):
        return ""
    name = getattr(source, "name", "")
    return name if isinstance(name, str) else ""  # an unnamed temporary file has a number


@contextmanager
def open_recording(source: Source) -> Iterator[Recording]:
    """Open a file, its bytes, a part, a file object that can seek, or samples, of any length.

    What libsndfile cannot read goes to FFmpeg where PyAV is installed. Raises AudioError.
    """
    where = name_of(source)
    if isinstance(source, Sound):
        yield Recording(source.rate_hz, *_in_memory(source), where)
        return
    if isinstance(source, Excerpt):
        samples, rate_hz = read_audio(source, None)
        yield Recording(rate_hz, len(samples) / rate_hz, iter([samples]), where)
        return
    if isinstance(source, str | Path):
        path = Path(source)
        try:
            refuse_devices(path, where)
            opened = path.open("rb")
        except FileNotFoundError as error:
            raise AudioError("missing", "there is no such file", where) from error
        except (OSError, ValueError) as error:  # ValueError: a null byte in the path
            raise AudioError("unreadable", f"cannot be opened ({error})", where) from error
        with opened, _opened(opened, where) as recording:
            yield recording
        return
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    if not file.seekable():
        detail = "cannot be read twice (a pipe or a stream). Give its bytes or a path"
        raise AudioError("unreadable", detail, where)
    with _opened(file, where) as recording:
        yield recording


@contextmanager
def _opened(file: BinaryIO, where: str) -> Iterator[Recording]:
    num_bytes = file.seek(0, os.SEEK_END)
    opening = stream(file, num_bytes, where)
    try:
        rate_hz, length_s, blocks = opening.__enter__()
    except AudioError as error:
        if error.reason != "unreadable":
            raise
    else:
        try:
            yield Recording(rate_hz, length_s, blocks, where)
        finally:
            opening.__exit__(None, None, None)
        return
    from soritune.audio.containers import open_container

    with open_container(file, where) as (rate_hz, length_s, blocks, note):
        yield Recording(rate_hz, length_s, blocks, where, note)


def _in_memory(sound: Sound) -> tuple[float, Iterator[Samples]]:
    samples = np.asarray(sound.samples)
    if samples.ndim not in (1, 2) or samples.dtype.kind not in "fiu":
        detail = (
            f"is an array of {samples.dtype} with shape {samples.shape}. Give numbers of shape "
            "(samples,) or (samples, channels)"
        )
        raise AudioError("unreadable", detail, sound.name)
    if samples.ndim == 2 and samples.shape[1] > samples.shape[0]:
        detail = f"has shape {samples.shape}. Give (samples, channels), one row a sample"
        raise AudioError("unreadable", detail, sound.name)
    if not MIN_RATE_HZ <= sound.rate_hz <= MAX_RATE_HZ:
        detail = f"has a sampling rate of {sound.rate_hz:,} Hz. Give the rate of the recording"
        raise AudioError("bad-rate", detail, sound.name)
    if samples.dtype.kind in "iu":
        info = np.iinfo(samples.dtype)
        half = (info.max - info.min + 1) / 2
        samples = (samples - (info.min + half)) / half
    mono = to_mono(samples.astype(np.float32, copy=False))
    return len(mono) / sound.rate_hz, iter([mono])
