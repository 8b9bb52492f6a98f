"""Files to samples by libsndfile, and the proof that nothing of the sound is lost."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from soritune.audio.errors import AudioError
from soritune.audio.flac import flac_length, with_length
from soritune.audio.headers import (
    MP3_IN_WAV,
    UNFINISHED_BYTES,
    check_end,
    claims_more,
    data_chunk,
    finished,
    foreign_form,
    has_half_sample,
    sound_end,
)
from soritune.audio.joined import MAGIC_BYTES, holds_another, joined
from soritune.audio.levels import Levels, Samples
from soritune.audio.mp3 import (
    Frames,
    ends_in_frames,
    find_frames,
    frame_length,
    has_frames,
    tag_length,
)
from soritune.audio.ogg import check_ogg
from soritune.audio.views import Part, View
from soritune.utterance import Excerpt

MIN_RATE_HZ, MAX_RATE_HZ = 4_000, 768_000
"""Half a telephone's rate, and the highest that converters have: beyond, a header is wrong."""
READ_BLOCK = 1 << 18
"""Values of all channels that are read at a time: a header may claim a thousand channels."""
LOSSY_READ_BLOCK = 1 << 22  # 87 s at 48 kHz
UNKNOWN_FRAMES = 1 << 60
MIN_IN_FRAMES = 0.9
"""Of what follows the first frame: else a film or another container has its sound in MP3."""
MP3_LENGTH_TOLERANCE = 0.05
"""Of layers I and II the length is estimated from the bit rate."""
END_SLACK_S = 0.5
"""What a part may reach beyond the end of its file, where it is then cut: times in lists are
rounded. Kaldi's extract-segments has the same limit (--max-overshoot=0.5)."""
LONGEST_S = 1e9
"""Thirty years: more is not a time."""
RUN_IN_S = 1.0
"""Decoders of LOSSY forms are exact only some frames after a seek: an MP3 frame needs bits of
earlier ones, Opus 80 ms (RFC 7845, 4.6). That much is read before a part and dropped."""
LOSSY = ("MP3", "OGG")
_WITHOUT_LENGTH = ("IRCAM", "MAT5", "PAF", "PVF", "XI")
"""Headers of these name no length, or libsndfile does not compare it."""
_SAMPLE_DUMP = b"\xf0\x7e"
_UNJUDGED = (
    "is {}, of which a cut copy cannot be told from a whole one. "
    "Convert it: ffmpeg -i FILE FILE.flac"
)
FROM_INT16 = np.float32(1 / 32768)
FORMS = "wav, flac, mp3, ogg, opus, aiff and others that libsndfile reads"


def decode(
    file: BinaryIO,
    num_bytes: int,
    part: Excerpt | None,
    max_duration_s: float | None,
    where: str,
) -> tuple[Samples, int]:
    """Return mono samples (num_samples,) of a file or a part of one, and their rate in Hz.

    Raises AudioError: empty, unreadable, truncated, damaged, bad-rate, too-long, outside.
    """
    if num_bytes == 0:
        raise AudioError("empty", "is an empty file (0 bytes)", where)
    channel = None if part is None else part.channel
    levels = Levels()
    with _open(file, num_bytes, part, where) as sound:
        read = _read(sound, file, num_bytes, part, channel, max_duration_s, where, levels)
        samples = _joined(list(read))
    if (instead := levels.instead_of_mean()) is not None:
        with _open(file, num_bytes, part, where) as sound:
            read = _read(sound, file, num_bytes, part, instead, max_duration_s, where, levels)
            samples = _joined(list(read))
    return samples, sound.samplerate


@contextmanager
def stream(
    file: BinaryIO, num_bytes: int, where: str
) -> Iterator[tuple[int, float | None, Iterator[Samples]]]:
    """Open a file of any length: its rate in Hz, its length in seconds, and mono blocks.

    The length is None where the file does not name it. A file with several channels is read twice,
    to see whether they cancel each other. Raises AudioError as `decode`, while blocks are read as
    well.
    """
    if num_bytes == 0:
        raise AudioError("empty", "is an empty file (0 bytes)", where)
    levels = Levels()
    with _open(file, num_bytes, None, where) as sound:
        # Said before hours of it are heard, not after.
        if _is_cut(sound, file, num_bytes, None):
            raise AudioError("truncated", "breaks off before the end its header names", where)
        if sound.channels > 1:
            for _ in _read(sound, file, num_bytes, None, None, None, where, levels):
                pass
    with _open(file, num_bytes, None, where) as sound:
        length_s = sound.frames / sound.samplerate if sound.frames < UNKNOWN_FRAMES else None
        instead = levels.instead_of_mean()
        yield (
            sound.samplerate,
            length_s or None,
            _read(sound, file, num_bytes, None, instead, None, where, levels),
        )


def _joined(blocks: list[Samples]) -> Samples:
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def _open(file: BinaryIO, num_bytes: int, part: Excerpt | None, where: str) -> Any:
    """Return the file opened by libsndfile, in a form in which it hears all of it."""
    chunk = data_chunk(file, num_bytes)
    whole: list[Part] = [(0, num_bytes)]
    parts: list[Part] | None = None
    if chunk is not None and chunk.code == MP3_IN_WAV:
        frames = find_frames(file, chunk.start, chunk.end, where)
        parts = [(chunk.start, chunk.end)] if frames is None else frames.parts()
        return _sound(file, parts or [(chunk.start, chunk.end)], where)
    if chunk is not None:
        if not chunk.format:
            check_end(file, chunk.end, num_bytes, where)
        parts = finished(chunk, num_bytes)
    elif (flac := flac_length(file, num_bytes)) is not None:
        if flac.named == 0 and flac.real is None:
            raise AudioError("truncated", "breaks off or is damaged at its end", where)
        if 0 < flac.named < (flac.real or 0):
            raise AudioError(
                "damaged",
                f"names {flac.named:,} samples in its header, but has {flac.real:,}. Decode and "
                f"encode it again.",
                where,
            )
        parts = None if flac.named else with_length(file, num_bytes, flac.real or 0)
    elif (end := sound_end(file, num_bytes)) is not None:
        check_end(file, end, num_bytes, where)
    elif _begins_like_mp3(file):
        found = _walk(file, num_bytes, "MP3", part, where)
        if isinstance(found, AudioError):
            raise found
        if found is not None:
            return _mpeg(file, num_bytes, found, where)
    try:
        sound = _sound(file, parts or whole, where)
    except AudioError:
        found = _late_frames(file, num_bytes, part, where)
        if found is None:
            raise
        return _mpeg(file, num_bytes, found, where)
    if sound.format not in LOSSY:
        if part is None and chunk is None:
            _check_alone(file, num_bytes, where)
        return sound
    found = _walk(file, num_bytes, sound.format, part, where)
    if isinstance(found, AudioError):
        sound.close()
        raise found
    if found is None:
        return sound
    sound.close()
    return _mpeg(file, num_bytes, found, where)


def _check_alone(file: BinaryIO, num_bytes: int, where: str) -> None:
    """Raise AudioError where another recording follows the one at the beginning of a file."""
    start = tag_length(file, num_bytes) + MAGIC_BYTES
    if holds_another(file, start, num_bytes) or ends_in_frames(file, num_bytes):
        raise joined(None, where)


def _mpeg(file: BinaryIO, num_bytes: int, frames: Frames, where: str) -> Any:
    """Return MPEG audio opened by libsndfile, without what is between its frames."""
    # libsndfile gives up at two tags.
    sound = _sound(file, frames.parts() or [(frames.start, num_bytes)], where)
    if not frames.is_layer_3 and frames.guessed_wrong(sound.frames):
        sound.close()
        raise AudioError(
            "unreadable",
            "is MPEG layer I or II of changing bit rates, which is not read. Convert it: "
            "ffmpeg -i FILE FILE.flac",
            where,
        )
    return sound


def _late_frames(file: BinaryIO, num_bytes: int, part: Excerpt | None, where: str) -> Frames | None:
    """Return the frames of an MP3 that begins with something else, None where it is none."""
    file.seek(0)
    head = file.read(MAGIC_BYTES)
    if head[:4] == b"RIFF" or foreign_form(head) or not has_frames(file, 0, num_bytes):
        return None
    found = _walk(file, num_bytes, "MP3", part, where)
    if found is None or isinstance(found, AudioError):
        return None
    in_frames = sum(end - start for start, end in found.spans)
    return found if in_frames > MIN_IN_FRAMES * (num_bytes - found.start) else None


def _sound(file: BinaryIO, parts: list[Part], where: str) -> Any:
    import soundfile

    file.seek(0)
    if file.read(2) == _SAMPLE_DUMP:  # libsndfile prints each of its blocks
        raise AudioError("unreadable", _UNJUDGED.format("a MIDI sample dump"), where)
    file.seek(0)
    try:
        sound = soundfile.SoundFile(cast(BinaryIO, View(file, parts)))
    except soundfile.SoundFileError as error:
        detail = f"is not audio that can be read ({FORMS})"
        file.seek(0)
        form = foreign_form(file.read(16))
        if form:
            detail = f"is {form}, which is not read. Convert it: ffmpeg -i FILE FILE.flac"
        raise AudioError("unreadable", detail, where) from error
    if sound.format in _WITHOUT_LENGTH:
        sound.close()
        raise AudioError("unreadable", _UNJUDGED.format(sound.format), where)
    return sound


def _begins_like_mp3(file: BinaryIO) -> bool:
    file.seek(0)
    head = file.read(4)
    return head[:3] == b"ID3" or frame_length(head) > 0


def _walk(
    file: BinaryIO, num_bytes: int, form: str, part: Excerpt | None, where: str
) -> Frames | AudioError | None:
    """Return the frames of an MP3, or what is wrong with it or with the pages of an Ogg.

    Parts before the place where a file breaks off can be used, and one walk serves all of them.
    """
    if part is None:
        return _found(file, num_bytes, form, where)
    found = _found_in(part.path, form, num_bytes, part.path.stat().st_mtime_ns)
    if not isinstance(found, AudioError):
        return found
    return None if found.reason == "truncated" else AudioError(found.reason, found.detail, where)


def _found(file: BinaryIO, num_bytes: int, form: str, where: str) -> Frames | AudioError | None:
    try:
        if form == "MP3":
            return find_frames(file, 0, num_bytes, where)
        check_ogg(file, num_bytes, where)
    except AudioError as error:
        return error
    return None


@lru_cache(maxsize=16)
def _found_in(path: Path, form: str, num_bytes: int, mtime_ns: int) -> Frames | AudioError | None:
    with path.open("rb") as file:
        return _found(file, num_bytes, form, str(path))


def _is_cut(sound: Any, file: BinaryIO, num_bytes: int, part: Excerpt | None) -> bool:
    if sound.format == "OGG":  # a whole file was walked before
        return part is not None and isinstance(_found(file, num_bytes, "OGG", ""), AudioError)
    return claims_more(sound, file) or has_half_sample(sound, file, num_bytes)


def _read(
    sound: Any,
    file: BinaryIO,
    num_bytes: int,
    part: Excerpt | None,
    channel: int | None,
    max_duration_s: float | None,
    where: str,
    levels: Levels,
) -> Iterator[Samples]:
    """Yield mono blocks; `levels` learns whether the channels cancel each other."""
    import soundfile

    rate_hz, claimed = sound.samplerate, sound.frames
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise AudioError(
            "bad-rate",
            f"claims a sample rate of {rate_hz:,} Hz; speech has {MIN_RATE_HZ:,} to "
            f"{MAX_RATE_HZ:,}",
            where,
        )
    known = claimed < UNKNOWN_FRAMES
    first, last = (0, None) if part is None else _frames(part, rate_hz, where)
    if channel is not None and not 0 <= channel < sound.channels:
        detail = f"asks for channel {channel} (from 0) of {sound.channels}"
        raise AudioError("outside", detail, where)
    slack = round(END_SLACK_S * rate_hz)
    if known:
        if claimed and part is not None and not first < claimed >= (last or 0) - slack:
            if _is_cut(sound, file, num_bytes, part):
                raise AudioError("truncated", "breaks off before this part", where)
            detail = f"lies outside the file, which lasts {claimed / rate_hz:.3f} s"
            raise AudioError("outside", detail, where)
        last = claimed if last is None else min(last, claimed)
    if max_duration_s is not None and last is not None:
        check_length(last - first, rate_hz, max_duration_s, where)
    num_frames = 0
    try:
        for block in _blocks(sound, first, last):
            if channel is not None or sound.channels == 1:
                mono = block[:, channel or 0]
            else:
                mono = block.mean(axis=1, dtype=np.float32)
                levels.add(block, mono)
            num_frames += len(block)
            if max_duration_s is not None:
                check_length(num_frames, rate_hz, max_duration_s, where)
            yield mono
    except soundfile.SoundFileError as error:
        detail = f"breaks off or is damaged after {num_frames / rate_hz:.2f} s"
        raise AudioError("truncated", detail, where) from error
    missing = last - first - num_frames if known and last is not None else 0
    tolerated = slack if part is not None else claimed * MP3_LENGTH_TOLERANCE
    if sound.format != "MP3":
        tolerated = 0
    if missing > tolerated or (last in (None, claimed) and _is_cut(sound, file, num_bytes, part)):
        raise AudioError("truncated", "breaks off before the end its header names", where)
    if not num_frames:
        if num_bytes > UNFINISHED_BYTES and part is None:
            detail = (
                f"its header was never finished: it names no samples, but the file has "
                f"{num_bytes:,} bytes. Write it again."
            )
            raise AudioError("truncated", detail, where)
        raise AudioError("empty", "holds no samples", where)


def _frames(part: Excerpt, rate_hz: int, where: str) -> tuple[int, int | None]:
    """Return the first frame of a part and the one after its last (None: to the end)."""
    ends_s = [part.start_s] if part.duration_s is None else [part.start_s, part.duration_s]
    if not all(0 <= end_s <= LONGEST_S for end_s in ends_s) or part.duration_s == 0:
        raise AudioError(
            "outside", "is not a span of time (negative, zero, too large or not a number)", where
        )
    # Sums of decimal fractions are off by some 1e-16: half a frame must go one way always.
    first, *last = (
        math.floor(round(end_s * rate_hz, 6) + 0.5) for end_s in itertools.accumulate(ends_s)
    )
    return first, last[0] if last else None


def _blocks(sound: Any, first: int, last: int | None) -> Iterator[Samples]:
    """Yield frames from `first` to before `last` (None: the end), each (num_frames, channels)."""
    lossy = sound.format in LOSSY
    # The same numbers, but numpy is faster at them than libsndfile.
    dtype = "int16" if sound.subtype == "PCM_16" else "float32"
    position = 0
    if first and sound.seekable():
        run_in = round(RUN_IN_S * sound.samplerate) if lossy else 0
        position = sound.seek(max(0, first - run_in))
    size = max(1, READ_BLOCK // sound.channels)
    if lossy and last is not None:  # soundfile seeks after each reading: as few as can be
        size = min(last - position, LOSSY_READ_BLOCK)
    while last is None or position < last:
        block = sound.read(
            size if last is None else min(size, last - position), dtype=dtype, always_2d=True
        )
        if not len(block):
            return
        kept = block[max(0, first - position) :]
        position += len(block)
        if len(kept):
            yield kept * FROM_INT16 if dtype == "int16" else kept


def check_length(num_frames: int, rate_hz: int, max_duration_s: float, where: str) -> None:
    """Raises AudioError: too-long."""
    if num_frames > max_duration_s * rate_hz:
        raise AudioError(
            "too-long",
            f"lasts {num_frames / rate_hz:.1f} s; at most {max_duration_s:g} s are taken. Cut it "
            "at its pauses (the source subtitles cuts recordings that have some)",
            where,
        )
