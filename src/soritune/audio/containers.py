"""What libsndfile cannot read (mp4, m4a, webm, wma, …), by FFmpeg through PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np

from soritune.audio.decode import FORMS, MAX_RATE_HZ, MIN_RATE_HZ
from soritune.audio.errors import AudioError
from soritune.audio.levels import Samples

BLOCK_S = 30.0


@contextmanager
def open_container(
    file: BinaryIO, where: str
) -> Iterator[tuple[int, float | None, Iterator[Samples], str]]:
    """Yield rate in Hz, length in seconds if it is known, mono blocks, and a note for the user.

    Of several audio tracks the one that the file marks as its default is taken, else the first.
    Raises AudioError, while blocks are read as well.
    """
    try:
        import av
    except ImportError:
        detail = (
            f"is not audio that can be read ({FORMS}). For mp4, m4a, webm and what else FFmpeg "
            'reads: pip install "soritune[media]"'
        )
        raise AudioError("unreadable", detail, where) from None
    file.seek(0)
    try:
        container: Any = av.open(file, metadata_errors="replace")
    except (av.FFmpegError, ValueError) as error:
        detail = f"is not audio or video that can be read ({_words(error)})"
        raise AudioError("unreadable", detail, where) from error
    with container:
        tracks = container.streams.audio
        if not tracks:
            raise AudioError("unreadable", "has no audio track", where)
        track = next((each for each in tracks if _is_default(each)), tracks[0])
        if track.codec_context is None:
            detail = "is encrypted or in a form that FFmpeg does not know"
            raise AudioError("unreadable", detail, where)
        rate_hz = int(track.codec_context.sample_rate or 0)
        if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
            detail = f"claims a sample rate of {rate_hz:,} Hz; it is encrypted or damaged"
            raise AudioError("bad-rate", detail, where)
        length_s = None if not container.duration else container.duration / av.time_base
        note = ""
        if len(tracks) > 1:
            spoken = track.metadata.get("language", "no language given")
            note = (
                f"{where}: has {len(tracks)} audio tracks; number {tracks.index(track) + 1} "
                f"({spoken}) is taken"
            )
        yield rate_hz, length_s, _blocks(container, track, rate_hz, where), note


def _is_default(track: Any) -> bool:
    disposition = getattr(track, "disposition", None)
    return "default" in str(getattr(disposition, "name", disposition)).lower()


def _blocks(container: Any, track: Any, rate_hz: int, where: str) -> Iterator[Samples]:
    import av

    resampler = av.AudioResampler(format="flt", layout="mono", rate=rate_hz)
    waiting: list[Samples] = []
    count = total = 0
    try:
        for frame in _frames(container, track, resampler):
            samples = frame.to_ndarray().reshape(-1).astype(np.float32, copy=False)
            waiting.append(samples)
            count += len(samples)
            if count >= BLOCK_S * rate_hz:
                yield np.concatenate(waiting)
                total += count
                waiting, count = [], 0
    except av.FFmpegError as error:
        detail = (
            f"breaks off, is damaged or encrypted after {(total + count) / rate_hz:.2f} s "
            f"({_words(error)})"
        )
        raise AudioError("truncated", detail, where) from error
    if not total + count:
        raise AudioError("empty", "holds no samples that can be decoded", where)
    if waiting:
        yield np.concatenate(waiting)


def _frames(container: Any, track: Any, resampler: Any) -> Iterator[Any]:
    for frame in container.decode(track):
        yield from resampler.resample(frame)
    yield from resampler.resample(None)


def _words(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error) or type(error).__name__
