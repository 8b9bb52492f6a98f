"""Films and phone recordings by FFmpeg: the sound that is in them, or one line."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from soritune.audio import AudioError
from soritune.audio.stream import open_recording

av = pytest.importorskip("av")
RATE_HZ = 16_000
TONE = np.sin(2 * np.pi * 440 * np.arange(3 * RATE_HZ) / RATE_HZ).astype(np.float32) / 2


def film(
    path: Path, tracks: int = 1, picture: bool = False, default: int | None = None, **options: str
) -> Path:
    kind = av.stream.Disposition
    with av.open(str(path), "w", options=options) as container:
        video = container.add_stream("mpeg4", rate=10) if picture else None
        sounds = [container.add_stream("aac", rate=RATE_HZ, layout="mono") for _ in range(tracks)]
        for number, sound in enumerate(sounds):
            if default is not None:
                sound.disposition = kind.default if number == default else kind(0)
        if video is not None:
            video.width = video.height = 32
            for place in range(5):
                image = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), "rgb24")
                image.pts = place
                container.mux(video.encode(image))
            container.mux(video.encode())
        for sound in sounds:
            for start in range(0, len(TONE), 1024):
                frame = av.AudioFrame.from_ndarray(TONE[None, start : start + 1024], "fltp", "mono")
                frame.sample_rate, frame.pts = RATE_HZ, start
                container.mux(sound.encode(frame))
            container.mux(sound.encode())
    return path


def test_the_sound_of_an_m4a_is_heard(tmp_path: Path) -> None:
    path = film(tmp_path / "a.m4a")
    for source in (path, io.BytesIO(path.read_bytes())):
        with open_recording(source) as recording:
            samples = recording.read(30)
        assert isinstance(samples, np.ndarray)
        assert len(samples) / RATE_HZ == pytest.approx(3, abs=0.15)
        loudest = np.abs(np.fft.rfft(samples)).argmax() * RATE_HZ / len(samples)
        assert loudest == pytest.approx(440, abs=2)


@pytest.mark.parametrize("turned", [0, len(TONE) // 2])
def test_channels_of_a_film_that_cancel_each_other_are_not_averaged(
    tmp_path: Path, turned: int
) -> None:
    other = TONE.copy()
    other[turned:] *= -1
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("pcm_s16le", rate=RATE_HZ, layout="stereo")
        both = (np.stack([TONE, other], axis=1).reshape(1, -1) * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(both, "s16", "stereo")
        frame.sample_rate = RATE_HZ
        container.mux(sound.encode(frame))
        container.mux(sound.encode())
    with open_recording(path) as recording:
        samples = recording.read(30)
    assert np.abs(samples - TONE).max() < 1e-3


@pytest.mark.parametrize("name", ["a.m4a", "a.mp4", "a.mov", "a.flv", "a.tta"])
def test_films_behind_each_other_are_told(tmp_path: Path, name: str) -> None:
    """FFmpeg hears the first of them."""
    path = tmp_path / name
    if name == "a.tta":
        with av.open(str(path), "w") as container:
            sound = container.add_stream("tta", rate=RATE_HZ, layout="mono")
            frame = av.AudioFrame.from_ndarray((TONE * 9e3).astype(np.int16)[None], "s16", "mono")
            frame.sample_rate = RATE_HZ
            container.mux(sound.encode(frame))
            container.mux(sound.encode())
    else:
        film(path)
    with open_recording(path) as recording:
        recording.read(30)
    path.write_bytes(path.read_bytes() * 2)
    with pytest.raises(AudioError, match="another recording behind the first"):
        open_recording(path).__enter__()


@pytest.mark.parametrize("rate_hz", [RATE_HZ, 24_000])
def test_a_stream_that_changes_its_channels_or_rate_is_heard_to_the_end(
    tmp_path: Path, rate_hz: int
) -> None:
    path = tmp_path / "a.aac"
    content = b""
    for layout, rate in (("mono", RATE_HZ), ("stereo", rate_hz)):
        part = io.BytesIO()
        with av.open(part, "w", format="adts") as container:
            sound = container.add_stream("aac", rate=rate, layout=layout)
            tone = np.sin(2 * np.pi * 440 * np.arange(3 * rate) / rate).astype(np.float32) / 2
            for start in range(0, len(tone) - 1023, 1024):
                both = np.stack([tone[start : start + 1024]] * (1 if layout == "mono" else 2))
                frame = av.AudioFrame.from_ndarray(both, "fltp", layout)
                frame.sample_rate, frame.pts = rate, start
                container.mux(sound.encode(frame))
            container.mux(sound.encode())
        content += part.getvalue()
    path.write_bytes(content)
    with open_recording(path) as recording:
        samples = recording.read(30)
    assert isinstance(samples, np.ndarray)
    assert len(samples) / RATE_HZ == pytest.approx(6, abs=0.3)
    assert np.abs(samples[-20_000:-4_000]).max() > 0.3


@pytest.mark.parametrize(
    ("name", "default", "taken"), [("a.mp4", None, 1), ("a.mp4", 1, 2), ("a.mkv", 1, 2)]
)
def test_of_several_tracks_the_default_one_is_taken_and_said(
    tmp_path: Path, name: str, default: int | None, taken: int
) -> None:
    path = film(tmp_path / name, tracks=2, picture=True, default=default)
    with open_recording(path) as recording:
        assert f"has 2 audio tracks; number {taken}" in recording.note
        assert isinstance(recording.read(30), np.ndarray)


def test_a_list_of_files_opens_none_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever uploads one would hear what is on the server."""
    film(tmp_path / "a.m4a")
    monkeypatch.chdir(tmp_path)
    listed = b"ffconcat version 1.0\nfile 'a.m4a'\n"
    with pytest.raises(AudioError, match="can be read"), open_recording(listed):
        pass


@pytest.mark.parametrize("tag", ["enca", "drms", "aavd"])
def test_a_protected_file_is_said_to_be(tmp_path: Path, tag: str) -> None:
    """Files by FFmpeg's own encryption, and by the names of Apple's and Audible's tracks."""
    path = film(
        tmp_path / "a.m4a",
        encryption_scheme="cenc-aes-ctr",
        encryption_key="0123456789abcdef" * 2,
        encryption_kid="fedcba9876543210" * 2,
    )
    path.write_bytes(path.read_bytes().replace(b"enca", tag.encode()))
    with pytest.raises(AudioError, match="encrypted"), open_recording(path) as recording:
        list(recording.read(30))


@pytest.mark.parametrize("kind", ["no sound", "cut", "not a film"])
def test_what_cannot_be_heard_costs_a_line(tmp_path: Path, kind: str) -> None:
    path = film(tmp_path / "a.mp4", tracks=0 if kind == "no sound" else 1, picture=True)
    if kind == "cut":
        path.write_bytes(path.read_bytes()[:-3_000])
    if kind == "not a film":
        path.write_bytes(b"words" * 400)
    with pytest.raises(AudioError) as caught, open_recording(path) as recording:
        list(recording.read(30))
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    if kind == "no sound":
        assert "no audio track" in str(caught.value)


def test_a_film_that_breaks_off_before_its_header_says_is_refused_before_it_is_heard(
    tmp_path: Path,
) -> None:
    content = film(tmp_path / "a.mkv", picture=True).read_bytes()
    for kept in (0.3, 0.7):
        with (
            pytest.raises(AudioError, match=r"breaks off after [\d.]+ of the 3\.1 s") as caught,
            open_recording(io.BytesIO(content[: int(kept * len(content))])),
        ):
            pass
        assert caught.value.reason == "truncated"


def test_a_hole_in_a_film_is_said(tmp_path: Path) -> None:
    content = film(tmp_path / "a.mkv", cluster_time_limit="300").read_bytes()
    with open_recording(io.BytesIO(content)) as recording:
        assert recording.note == ""
    start, end = (int(place * len(content)) for place in (0.4, 0.6))
    with open_recording(io.BytesIO(content[:start] + content[end:])) as recording:
        assert "has 1 gap(s)" in recording.note


def test_a_page_that_is_lost_from_an_ogg_that_only_ffmpeg_reads_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.oga"
    with av.open(str(path), "w", format="ogg") as container:
        sound = container.add_stream("flac", rate=RATE_HZ, layout="mono")
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, (3, 4096)).astype(np.float32)
        for number in range(12):
            frame = av.AudioFrame.from_ndarray(
                (noise[number % 3][None] * 32767).astype(np.int16), "s16", "mono"
            )
            frame.sample_rate, frame.pts = RATE_HZ, number * 4096
            container.mux(sound.encode(frame))
        container.mux(sound.encode())
    content = bytearray(path.read_bytes())
    with open_recording(io.BytesIO(bytes(content))) as recording:
        assert isinstance(recording.read(30), np.ndarray)
    content[len(content) // 2] ^= 1
    with pytest.raises(AudioError, match="hole or a changed byte"), open_recording(bytes(content)):
        pass
