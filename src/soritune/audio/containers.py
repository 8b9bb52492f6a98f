"""What libsndfile cannot read (mp4, m4a, webm, wma, …), by FFmpeg through PyAV."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from soritune.audio.decode import END_SLACK_S, FORMS, MAX_RATE_HZ, MIN_RATE_HZ
from soritune.audio.errors import AudioError
from soritune.audio.joined import check_container
from soritune.audio.levels import Levels, Samples
from soritune.audio.ogg import MAGIC as OGG_MAGIC
from soritune.audio.ogg import check_ogg

BLOCK_S = 30.0
GAP_S = 0.25
"""Between packets: less is rounding of times."""
ONLY_THIS_FILE = {"protocol_whitelist": "pipe"}
"""A list of files, a playlist or a session that is uploaded opens nothing else."""
PROTECTED = ("drms", "aavd")
"""Tags of tracks of Apple and Audible, which FFmpeg takes for AAC."""
NAMES_LENGTH = ("mov", "matroska", "avi", "flv", "asf", "caf", "wv", "tta")
"""Formats of FFmpeg whose header says how long they are; of others it estimates that."""


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
    num_bytes = file.seek(0, io.SEEK_END)
    file.seek(0)
    if file.read(4) == OGG_MAGIC:  # what libsndfile does not decode, such as FLAC in Ogg
        check_ogg(file, num_bytes, where)
    else:
        check_container(file, num_bytes, where)
    passed = _passed(file, where)
    with _open(file, where) as container:
        tracks = container.streams.audio
        if not tracks:
            raise AudioError("unreadable", "has no audio track", where)
        track = next((each for each in tracks if _is_default(each)), tracks[0])
        if track.codec_context is None or track.codec_context.codec_tag in PROTECTED:
            detail = "is encrypted (DRM) or in a form that FFmpeg does not know"
            raise AudioError("unreadable", detail, where)
        rate_hz = int(track.codec_context.sample_rate or 0)
        if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
            detail = f"claims a sample rate of {rate_hz:,} Hz; it is encrypted or damaged"
            raise AudioError("bad-rate", detail, where)
        length_s = None if not container.duration else container.duration / av.time_base
        notes = [passed[track.index].note(where)] if track.index in passed else []
        if len(tracks) > 1:
            spoken = track.metadata.get("language", "no language given")
            notes.append(
                f"{where}: has {len(tracks)} audio tracks; number {tracks.index(track) + 1} "
                f"({spoken}) is taken"
            )
        note = "\n".join(filter(None, notes))
        channel = _instead_of_mean(file, track, rate_hz, where)
        yield rate_hz, length_s, _blocks(container, track, rate_hz, where, channel), note


def _open(file: BinaryIO, where: str) -> Any:
    import av

    file.seek(0)
    try:
        return av.open(file, metadata_errors="replace", options=dict(ONLY_THIS_FILE))
    except (av.FFmpegError, ValueError) as error:
        detail = f"is not audio or video that can be read, or is encrypted ({_words(error)})"
        raise AudioError("unreadable", detail, where) from error


@dataclass
class _Passed:
    """What the packets of a track cover.

    Attributes:
        end_s: of the last one.
        gaps: their number; `gap_s` is how long they are, `first_s` where the first begins.
    """

    end_s: float
    gaps: int = 0
    gap_s: float = 0.0
    first_s: float = 0.0

    def add(self, start_s: float, end_s: float) -> None:
        if start_s > self.end_s + GAP_S:
            self.first_s = self.first_s if self.gaps else self.end_s
            self.gaps, self.gap_s = self.gaps + 1, self.gap_s + start_s - self.end_s
        self.end_s = max(self.end_s, end_s)

    def note(self, where: str) -> str:
        if not self.gaps:
            return ""
        return (
            f"{where}: has {self.gaps} gap(s), {self.gap_s:.1f} s in all, the first at "
            f"{self.first_s:.1f} s (lost, or not recorded): times after it are too early"
        )


def _passed(file: BinaryIO, where: str) -> dict[int, _Passed]:
    """Return what the packets of each track cover, by its number, without decoding them.

    FFmpeg reads on behind a hole and ends where a file ends, without a word. It is said before
    hours are heard, not after.

    Raises AudioError: truncated, where all tracks end before the length that the header names.
    """
    import av

    found: dict[int, _Passed] = {}
    with _open(file, where) as container:
        try:
            for packet in container.demux():
                if packet.pts is None or packet.time_base is None:
                    continue
                start_s = float(packet.pts * packet.time_base)
                end_s = start_s + float((packet.duration or 0) * packet.time_base)
                found.setdefault(packet.stream.index, _Passed(start_s)).add(start_s, end_s)
        except av.FFmpegError:
            return found  # what is wrong is said when it is decoded
        promised_s = (container.duration or 0) / av.time_base
        last_s = max((each.end_s for each in found.values()), default=0.0)
        if container.format.name.split(",")[0] in NAMES_LENGTH and (
            found and last_s < promised_s - END_SLACK_S
        ):
            detail = (
                f"breaks off after {last_s:.1f} of the {promised_s:.1f} s its header names. Where "
                "nothing is missing: ffmpeg -i FILE -c copy NEW"
            )
            raise AudioError("truncated", detail, where)
    return found


def _is_default(track: Any) -> bool:
    disposition = getattr(track, "disposition", None)
    return "default" in str(getattr(disposition, "name", disposition)).lower()


def _instead_of_mean(file: BinaryIO, track: Any, rate_hz: int, where: str) -> int | None:
    """Return the channel to take where the channels of a track cancel each other, else None."""
    import av

    if track.codec_context.channels < 2:
        return None
    levels = Levels()
    place = file.tell()  # where the track's own container reads on
    with _open(file, where) as container:
        several, mono = (
            av.AudioResampler(format="flt", layout=layout, rate=rate_hz)
            for layout in (track.codec_context.layout, "mono")
        )
        # What is wrong is said when it is decoded for its sound.
        with contextlib.suppress(av.FFmpegError, ValueError):
            for frame in container.decode(container.streams[track.index]):
                for each, mean in zip(several.resample(frame), mono.resample(frame), strict=True):
                    levels.add(_samples(each), _samples(mean)[:, 0])
    file.seek(place)
    return levels.instead_of_mean()


def _blocks(
    container: Any, track: Any, rate_hz: int, where: str, channel: int | None
) -> Iterator[Samples]:
    import av

    waiting: list[Samples] = []
    count = total = 0
    try:
        for frame in _frames(container, track, rate_hz, "mono" if channel is None else None):
            samples = _samples(frame)
            samples = samples[:, min(channel or 0, samples.shape[1] - 1)]
            waiting.append(samples)
            count += len(samples)
            if count >= BLOCK_S * rate_hz:
                yield np.concatenate(waiting)
                total += count
                waiting, count = [], 0
    except av.FFmpegError as error:
        heard_s = (total + count) / rate_hz
        at = f"breaks off or is damaged after {heard_s:.2f} s" if heard_s else "is encrypted (DRM)"
        detail = f"{at}{'' if heard_s else ' or damaged'} ({_words(error)})"
        raise AudioError("truncated", detail, where) from error
    if not total + count:
        raise AudioError("empty", "holds no samples that can be decoded", where)
    if waiting:
        yield np.concatenate(waiting)


def _frames(container: Any, track: Any, rate_hz: int, layout: str | None) -> Iterator[Any]:
    """Yield frames of float samples in a layout (None: their own).

    Broadcasts change between mono, stereo and more, and files that were joined as well.
    """
    import av

    resampler, form = None, None
    for frame in container.decode(track):
        found = (frame.format.name, frame.layout.name, frame.sample_rate)
        if resampler is None or found != form:
            if resampler is not None:
                yield from resampler.resample(None)
            resampler = av.AudioResampler("flt", layout or frame.layout, rate_hz)
            form = found
        yield from resampler.resample(frame)
    if resampler is not None:
        yield from resampler.resample(None)


def _samples(frame: Any) -> Samples:
    """Return samples of a frame, (num_samples, channels)."""
    samples: Samples = frame.to_ndarray().reshape(-1, frame.layout.nb_channels)
    return samples.astype(np.float32, copy=False)


def _words(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error) or type(error).__name__
