"""Recordings of every kind come out mono at 16 kHz, or with the reason why not."""

from __future__ import annotations

import io
import pickle
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from soritune.audio import SAMPLE_RATE_HZ, AudioError, Limits, load_mono_16k
from soritune.errors import UserError

Samples = npt.NDArray[np.float32]


def sine(rate_hz: int, duration_s: float = 1.0, hz: float = 440.0) -> Samples:
    time_s = np.arange(round(rate_hz * duration_s)) / rate_hz
    return (0.5 * np.sin(2 * np.pi * hz * time_s)).astype(np.float32)


def encode(samples: Samples, rate_hz: int, form: str = "WAV", subtype: str | None = None) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate_hz, format=form, subtype=subtype)
    return buffer.getvalue()


def loudest_hz(samples: Samples) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * SAMPLE_RATE_HZ / len(samples))


def reason_of(audio: Path | bytes) -> str:
    with pytest.raises(AudioError) as caught:
        load_mono_16k(audio)
    return caught.value.reason


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000])
def test_a_tone_keeps_its_pitch_and_length_whatever_the_rate(rate_hz: int) -> None:
    samples = load_mono_16k(encode(sine(rate_hz), rate_hz))
    assert samples.dtype == np.float32
    assert samples.shape == (16_000,)
    assert loudest_hz(samples) == pytest.approx(440, abs=1)
    middle = samples[2000:-2000]
    assert np.abs(middle).max() == pytest.approx(0.5, abs=0.005)


def test_downsampling_folds_nothing_back_into_the_band() -> None:
    samples = load_mono_16k(encode(sine(44_100, hz=12_000), 44_100), Limits(silence_peak=None))
    assert np.abs(samples[2000:-2000]).max() < 1e-3


@pytest.mark.parametrize(
    ("form", "subtype"),
    [
        ("WAV", "PCM_U8"),
        ("WAV", "PCM_16"),
        ("WAV", "PCM_24"),
        ("WAV", "PCM_32"),
        ("WAV", "FLOAT"),
        ("WAV", "ULAW"),
        ("AIFF", "PCM_16"),
        ("FLAC", "PCM_24"),
        ("OGG", "VORBIS"),
        ("OGG", "OPUS"),
        ("MP3", None),
    ],
)
def test_every_common_form_is_read(form: str, subtype: str | None) -> None:
    samples = load_mono_16k(encode(sine(16_000, 2.0), 16_000, form, subtype))
    assert len(samples) == pytest.approx(32_000, abs=1200)  # MP3 frames are padded
    assert loudest_hz(samples) == pytest.approx(440, abs=1)


def test_sixteen_bits_at_16_khz_come_through_unchanged() -> None:
    rng = np.random.default_rng(1)
    integers = rng.integers(-32768, 32767, size=5000, dtype=np.int16)
    buffer = io.BytesIO()
    soundfile.write(buffer, integers, 16_000, format="WAV", subtype="PCM_16")
    assert np.array_equal(load_mono_16k(buffer.getvalue()) * 32768, integers)


def test_stereo_becomes_the_mean_of_its_channels() -> None:
    left, right = sine(16_000, hz=300), sine(16_000, hz=700)
    samples = load_mono_16k(encode(np.stack([left, right], axis=1), 16_000, "WAV", "FLOAT"))
    assert np.allclose(samples, (left + right) / 2, atol=1e-6)


def test_float_beyond_full_scale_is_scaled_not_clipped() -> None:
    samples = load_mono_16k(encode(4 * sine(16_000), 16_000, "WAV", "FLOAT"))
    assert np.allclose(samples, 2 * sine(16_000), atol=1e-4)


def test_a_path_and_its_bytes_give_the_same(tmp_path: Path) -> None:
    content = encode(sine(22_050), 22_050)
    (tmp_path / "이름 있는 파일.wav").write_bytes(content)
    from_path = load_mono_16k(tmp_path / "이름 있는 파일.wav")
    assert np.array_equal(from_path, load_mono_16k(content))


def test_missing_file(tmp_path: Path) -> None:
    assert reason_of(tmp_path / "none.wav") == "missing"


def test_a_folder_is_no_recording(tmp_path: Path) -> None:
    assert reason_of(tmp_path) == "unreadable"


def test_a_null_byte_in_a_path_is_an_error_not_a_crash(tmp_path: Path) -> None:
    assert reason_of(tmp_path / "a\0b.wav") == "unreadable"


def test_empty_file_and_file_without_samples() -> None:
    assert reason_of(b"") == "empty"
    assert reason_of(encode(np.zeros(0, np.float32), 16_000)) == "empty"


@pytest.mark.parametrize("content", [b"no audio at all " * 100, b"\0" * 4096, b"RIFF", b"fLaC"])
def test_what_is_no_audio_is_unreadable(content: bytes) -> None:
    assert reason_of(content) == "unreadable"


def test_headerless_raw_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(sine(16_000).tobytes())
    assert reason_of(tmp_path / "a.raw") == "unreadable"


@pytest.mark.parametrize("form", ["WAV", "AIFF", "W64", "FLAC", "OGG", "MP3"])
@pytest.mark.parametrize("kept", [0.9, 0.5])
def test_a_cut_file_is_found_out(form: str, kept: float) -> None:
    rng = np.random.default_rng(2)
    noise = (0.1 * rng.standard_normal(48_000)).astype(np.float32)
    content = encode(noise, 16_000, form)
    assert reason_of(content[: int(len(content) * kept)]) == "truncated"


@pytest.mark.parametrize("placeholder", [0xFFFFFFFF, 0x7FFFFFFF])
def test_a_wav_written_to_a_pipe_is_not_taken_for_cut(placeholder: int) -> None:
    content = bytearray(encode(sine(16_000), 16_000))
    start = content.index(b"data")
    content[4:8] = struct.pack("<I", placeholder)
    content[start + 4 : start + 8] = struct.pack("<I", placeholder)
    assert len(load_mono_16k(bytes(content))) == 16_000


def test_shorter_than_one_window_is_too_short() -> None:
    tone = sine(16_000)
    assert len(load_mono_16k(encode(tone[:400], 16_000))) == 400
    assert reason_of(encode(tone[:399], 16_000)) == "too-short"


def test_longer_than_thirty_seconds_is_too_long_unless_allowed() -> None:
    exact, longer = sine(8_000, 30.0), sine(8_000, 30.1)
    assert len(load_mono_16k(encode(exact, 8_000))) == 480_000
    assert reason_of(encode(longer, 8_000)) == "too-long"
    assert len(load_mono_16k(encode(longer, 8_000), Limits(max_duration_s=None))) == 481_600


@pytest.mark.parametrize("level", [0.0, 0.0005])
def test_silence_and_a_bare_offset_are_silent(level: float) -> None:
    hiss = level * np.random.default_rng(3).uniform(-1, 1, 16_000)
    assert reason_of(encode((hiss + 0.2).astype(np.float32), 16_000)) == "silent"


def test_quiet_speech_is_not_silent() -> None:
    assert len(load_mono_16k(encode(sine(16_000) * 0.01, 16_000))) == 16_000


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_no_numbers(value: float) -> None:
    samples = sine(16_000)
    samples[777] = value
    assert reason_of(encode(samples, 16_000, "WAV", "FLOAT")) == "non-finite"


@dataclass(frozen=True)
class Tone:
    rate_hz: int

    def render(self) -> tuple[Samples, int]:
        return sine(self.rate_hz), self.rate_hz


def test_rendered_audio_is_treated_like_a_file() -> None:
    assert np.allclose(
        load_mono_16k(Tone(22_050)), load_mono_16k(encode(sine(22_050), 22_050)), atol=1e-4
    )


def test_the_error_is_one_line_for_people_and_survives_a_process(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load_mono_16k(tmp_path / "none.wav")
    assert str(caught.value) == f"{tmp_path / 'none.wav'}: there is no such file"
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.reason) == (str(caught.value), "missing")
