"""Recordings without a header, and Korean text files in either encoding."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soritune.audio import AudioError, load_mono_16k
from soritune.languages.ko.encoding import decode_korean
from soritune.sources.pcm import PcmFile
from soritune.utterance import RenderedAudio


def tone(path: Path, num_samples: int = 16_000, rate_hz: int = 16_000) -> Path:
    wave = 8000 * np.sin(2 * np.pi * 440 * np.arange(num_samples) / rate_hz)
    path.write_bytes(np.rint(wave).astype("<i2").tobytes())
    return path


def reason_of(audio: PcmFile) -> str:
    with pytest.raises(AudioError) as caught:
        load_mono_16k(audio)
    assert caught.value.where == str(audio.path)
    return caught.value.reason


def test_two_bytes_are_a_little_endian_sample(tmp_path: Path) -> None:
    path = tmp_path / "a.pcm"
    path.write_bytes(bytes([0x00, 0x40, 0x00, 0x80, 0xFF, 0xFF]))
    samples, rate_hz = PcmFile(path).render()
    assert samples.tolist() == [0.5, -1.0, -1 / 32768]
    assert (samples.dtype, rate_hz) == (np.float32, 16_000)


def test_it_goes_the_way_of_all_audio_and_to_other_processes(tmp_path: Path) -> None:
    audio = PcmFile(tone(tmp_path / "a.pcm", 8_000, 8_000), rate_hz=8_000)
    assert isinstance(audio, RenderedAudio)
    assert pickle.loads(pickle.dumps(audio)) == audio
    assert load_mono_16k(audio).shape == (16_000,)


def test_files_that_cannot_be_used_say_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tone(tmp_path / "a.pcm")
    assert reason_of(PcmFile(tmp_path / "gone.pcm")) == "missing"
    assert reason_of(PcmFile(tmp_path)) == "unreadable"
    path.write_bytes(path.read_bytes() + b"\1")
    assert reason_of(PcmFile(path)) == "truncated"
    assert len(load_mono_16k(PcmFile(path, extra_byte="drop"))) == 16_000
    monkeypatch.setattr("soritune.sources.pcm.MAX_BYTES", 1000)
    assert reason_of(PcmFile(path)) == "too-long"
    path.write_bytes(b"")
    assert reason_of(PcmFile(path)) == "empty"


def test_a_single_byte_is_no_sample_and_thirty_seconds_are_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.pcm"
    path.write_bytes(b"\1")
    with pytest.raises(AudioError, match="no samples"):
        load_mono_16k(PcmFile(path, extra_byte="drop"))
    with pytest.raises(AudioError, match="lasts 31"):
        load_mono_16k(PcmFile(tone(path, 31 * 16_000)))


def test_a_wav_that_is_called_pcm_is_read_as_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.pcm"
    soundfile.write(path, np.full(8_000, 0.25), 8_000, format="WAV")
    samples, rate_hz = PcmFile(path).render()
    assert (len(samples), rate_hz) == (8_000, 8_000)
    assert samples[0] == 0.25


@pytest.mark.parametrize(
    "text", ["아/ 몬 소리야, 그건 또. b/\n", "호호", "b/ 호 호", "café é", "쀍"]
)
def test_korean_is_read_from_either_encoding(text: str) -> None:
    assert decode_korean(text.encode("utf-8")) == text
    assert decode_korean(text.encode("utf-8-sig")) == text
    if "é" not in text:  # CP949 has no such letter
        assert decode_korean(text.encode("cp949")) == text


def test_syllables_that_are_also_valid_utf8_are_no_latin_letters() -> None:
    # The trap itself: these bytes decode without an error in the wrong encoding.
    assert "호호".encode("cp949").decode("utf-8") == "ȣȣ"
    assert decode_korean(b"\xc8\xa3\xc8\xa3") == "호호"


def test_what_is_neither_is_no_text() -> None:
    assert decode_korean("가나".encode() + b"\xff\xff") is None
    assert decode_korean(b"") == ""
