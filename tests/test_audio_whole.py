"""All of the sound is taken, or the recording is refused: nothing of it is lost without a word."""

from __future__ import annotations

import io
import itertools
import random
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from soritune.audio import AudioError, Limits, load_mono_16k, read_audio
from soritune.corpus.selection import claimed_duration_s
from soritune.utterance import Excerpt, Utterance

Samples = npt.NDArray[np.float32]
RATE_HZ = 16_000
ANY_LENGTH = Limits(max_duration_s=None)


def talk(duration_s: float, rate_hz: int = RATE_HZ) -> Samples:
    """Loud and quiet by turns, so that a variable bit rate varies."""
    rng = np.random.default_rng(0)
    time_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    loud = np.where((time_s % 2) < 1, 0.3, 0.002)
    tone = np.sin(np.cumsum(rng.uniform(0.02, 0.4, len(time_s))))
    return (loud * tone).astype(np.float32)


def encoded(samples: Samples, form: str, subtype: str | None = None, **settings: object) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, RATE_HZ, format=form, subtype=subtype, **settings)
    return buffer.getvalue()


def mp3(samples: Samples, mode: str = "VARIABLE") -> bytes:
    return encoded(samples, "MP3", bitrate_mode=mode, compression_level=0.5)


def frame_bytes(content: bytes) -> int:
    """The length of a frame of MPEG-2 at 16 kHz, Layer III (ISO/IEC 13818-3)."""
    kbps = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160][content[2] >> 4]
    return 72 * kbps * 1000 // RATE_HZ + (content[2] >> 1 & 1)


def untagged(content: bytes) -> bytes:
    """The sound frames alone, as recorders and streams write them."""
    assert b"Xing" in content[:64] or b"Info" in content[:64]
    return content[frame_bytes(content) :]


def id3(size: int) -> bytes:
    """A tag with a cover picture (ID3v2.3: sizes have seven bits a byte)."""
    digits = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\x00\x00" + digits + bytes(random.Random(0).randbytes(size))


def ape(size: int) -> bytes:
    def end(flags: int) -> bytes:
        return b"APETAGEX" + struct.pack("<IIII", 2000, size + 32, 1, flags << 29) + bytes(8)

    return end(0b101) + random.Random(1).randbytes(size) + end(0b100)


def duration_s(content: bytes | Path | Excerpt) -> float:
    return len(load_mono_16k(content, ANY_LENGTH)) / RATE_HZ


def fault(content: bytes | Path | Excerpt) -> AudioError:
    with pytest.raises(AudioError) as caught:
        load_mono_16k(content, ANY_LENGTH)
    return caught.value


@pytest.mark.parametrize("mode", ["CONSTANT", "AVERAGE", "VARIABLE"])
def test_an_mp3_without_a_tag_is_heard_to_its_end(mode: str) -> None:
    content = mp3(talk(10.5), mode)
    whole = load_mono_16k(content)
    found = load_mono_16k(untagged(content))
    # Without the tag nobody knows what the encoder added: at most three frames more.
    assert len(whole) <= len(found) <= len(whole) + 3 * 576
    delay = next(
        d for d in range(3 * 576) if np.allclose(found[d : d + 8000], whole[:8000], atol=2e-3)
    )
    assert np.abs(found[delay : delay + len(whole)] - whole).max() < 0.02


@pytest.mark.parametrize("end", [b"", b"TAG" + bytes(125), ape(3000), bytes(500)])
@pytest.mark.parametrize("start", [b"", id3(60_000), id3(60) + id3(60_000)])
@pytest.mark.parametrize("tagged", [True, False])
def test_tags_in_front_and_behind_are_no_sound(tagged: bool, start: bytes, end: bytes) -> None:
    content = mp3(talk(3.0))
    sound = content if tagged else untagged(content)
    assert duration_s(start + sound + end) == pytest.approx(3.0, abs=0.11)


def test_a_stream_that_begins_and_ends_in_a_frame() -> None:
    sound = untagged(mp3(talk(6.0)))
    second = frame_bytes(sound)
    assert duration_s(sound[second:-7]) == pytest.approx(6.0, abs=0.2)


def test_joined_mp3s_are_heard_to_the_end() -> None:
    first, second = mp3(talk(2.0)), mp3(talk(3.0))
    for parts in ([first, second], [untagged(first), id3(500), second], [first, first, second]):
        total_s = sum(3.0 if part is second else 2.0 for part in parts if part[:3] != b"ID3")
        assert duration_s(b"".join(parts)) == pytest.approx(total_s, abs=0.4)


def test_joined_mp3s_of_other_rates_are_refused() -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, talk(2.0, 24_000), 24_000, format="MP3")
    error = fault(mp3(talk(2.0)) + buffer.getvalue())
    assert error.reason == "damaged"
    assert "another layer, sample rate or number of channels" in error.detail


def test_a_hole_in_an_mp3_is_found() -> None:
    content = untagged(mp3(talk(10.0), "CONSTANT"))
    middle = len(content) // 2
    assert fault(content[:middle] + bytes(20_000) + content[middle + 20_000 :]).reason == "damaged"
    assert fault(content[:middle] + bytes(len(content) - middle)).reason == "truncated"


@pytest.mark.parametrize(
    "lead",
    [b"\r\n", b"\xef\xbb\xbf", b"ICY 200 OK\r\n\r\n", bytes(5000), ape(40_000), b"end of a frame"],
)
def test_what_stands_in_front_of_the_first_frame_is_no_sound(lead: bytes) -> None:
    sound = untagged(mp3(talk(3.0)))
    assert duration_s(lead + sound) == pytest.approx(duration_s(sound), abs=0.04)
    assert fault(lead + random.Random(2).randbytes(9_000)).reason == "unreadable"


def layer_2(count: int, kbps: int, layer: int = 2) -> bytes:
    """Silent frames at 48 kHz, mono: no subband has any bits (ISO/IEC 11172-3, 2.4.1)."""
    table = {2: (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192), 1: tuple(range(0, 321, 32))}[layer]
    head = bytes([0xFF, {2: 0xFD, 1: 0xFF}[layer], table.index(kbps) << 4 | 1 << 2, 0xC0])
    size = {2: 3 * kbps, 1: 12 * kbps // 48 * 4}[layer]
    return count * head.ljust(size, b"\0")


@pytest.mark.parametrize(("layer", "samples"), [(1, 384), (2, 1152)])
def test_layers_1_and_2_are_counted_as_well(layer: int, samples: int) -> None:
    sound = layer_2(100, 64, layer)
    for content in (
        sound,
        id3(60_000) + sound,
        sound + ape(9_000),
        ape(900) + sound,
        sound[1:] + sound,
    ):
        found, rate_hz = read_audio(content)
        assert rate_hz == 48_000
        frames = 199 if len(content) == 2 * len(sound) - 1 else 100
        assert len(found) == frames * samples
    for joined in (layer_2(60, 160, layer) + sound, sound + layer_2(60, 160, layer)):
        error = fault(joined)
        assert "changing bit rates, which is not read. Convert it" in error.detail
    assert fault(sound[:9_000] + bytes(9_000) + sound).reason == "damaged"
    assert "another layer" in fault(sound + layer_2(100, 64, 3 - layer)).detail


@pytest.mark.parametrize("behind", ["WAV", "FLAC", "OGG", "AIFF", "AU", "W64", "CAF", "MP3"])
@pytest.mark.parametrize("first", ["WAV", "RF64", "FLAC", "MP3", "AIFF", "AU", "W64", "CAF"])
def test_another_recording_behind_the_first_is_told(first: str, behind: str) -> None:
    content, other = (
        untagged(mp3(talk(length_s))) if form == "MP3" else encoded(talk(length_s), form)
        for form, length_s in ((first, 1.0), (behind, 2.0))
    )
    assert duration_s(content) == pytest.approx(1.0, abs=0.15)
    if first == behind == "MP3":
        assert duration_s(content + other) == pytest.approx(3.0, abs=0.3)
    else:
        assert fault(content + other).reason in ("damaged", "unreadable")


def test_an_mp3_inside_a_wav() -> None:
    sound = mp3(talk(3.0), "CONSTANT")
    fmt = struct.pack("<HHIIHHHHIHHH", 0x55, 1, RATE_HZ, 8000, 1, 0, 12, 1, 2, 288, 1, 1393)
    chunks = b"fmt " + struct.pack("<I", len(fmt)) + fmt + b"fact" + struct.pack("<II", 4, 48_000)
    chunks += b"data" + struct.pack("<I", len(sound)) + sound
    content = b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks
    assert duration_s(content) == pytest.approx(3.0, abs=0.11)
    assert np.allclose(load_mono_16k(content), load_mono_16k(sound))


def test_parts_of_an_mp3_without_a_tag_lie_where_they_are(tmp_path: Path) -> None:
    path = tmp_path / "talk.mp3"
    path.write_bytes(id3(30_000) + untagged(mp3(talk(12.0))))
    whole, _ = read_audio(path)
    cuts_s = [0.0, 1.1, 4.7, 8.3, 11.6]
    for start_s, end_s in itertools.pairwise(cuts_s):
        part, _ = read_audio(Excerpt(path, start_s, end_s - start_s))
        expected = whole[round(start_s * RATE_HZ) : round(end_s * RATE_HZ)]
        assert len(part) == len(expected)
        assert np.abs(part - expected).max() < 1e-4


def test_a_flac_of_unknown_length(tmp_path: Path) -> None:
    samples = talk(5.0)
    content = bytearray(encoded(samples, "FLAC"))
    content[21] &= 0xF0  # RFC 9639, 8.2: 36 bits of samples, then the checksum; 0: not known
    content[22:42] = bytes(20)
    found = load_mono_16k(bytes(content))
    assert np.abs(found - samples).max() < 1e-4
    assert fault(bytes(content[:-100])).reason == "truncated"
    path = tmp_path / "a.flac"
    path.write_bytes(content)
    assert np.array_equal(load_mono_16k(Excerpt(path, 3.0, 1.5)), found[48_000:72_000])


def test_a_flac_longer_than_its_header_says_is_refused() -> None:
    content = bytearray(encoded(talk(4.6), "FLAC"))
    content[21:26] = (int.from_bytes(content[21:22]) >> 4 << 36 | round(1.7 * RATE_HZ)).to_bytes(5)
    error = fault(bytes(content))
    assert error.reason == "damaged"
    assert "27,200 samples in its header, but has 73,600" in error.detail


def test_a_wav_with_more_sound_than_its_header_says_is_refused() -> None:
    content = encoded(talk(2.0), "WAV", "PCM_16")

    def short(form: str, subtype: str, mark: bytes, place: int, size: str, value: int) -> bytes:
        whole = encoded(talk(2.0), form, subtype)
        start = whole.index(mark) + place
        return whole[:start] + struct.pack(size, value) + whole[start + struct.calcsize(size) :]

    for longer in (
        short("WAV", "PCM_16", b"data", 4, "<I", 16_000),
        short("WAV", "ULAW", b"data", 4, "<I", 8_000),  # bytes that may be letters
        short("RF64", "PCM_16", b"ds64", 16, "<Q", 16_000),
        content + content,
    ):
        error = fault(longer)
        assert error.reason == "damaged"
        assert "bytes more than its header names" in error.detail
    for behind in (bytes(9_000), b"TAG" + bytes(125) + ape(9_000), b"LIST" + struct.pack("<I", 2)):
        assert duration_s(content + behind) == 2.0


def test_tags_behind_a_flac_are_no_sound() -> None:
    content = encoded(talk(2.0), "FLAC")
    for tag in (b"TAG" + bytes(125), ape(500)):
        assert duration_s(content + tag) == 2.0


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_several_ogg_streams_after_each_other_are_refused(subtype: str) -> None:
    one = encoded(talk(2.0), "OGG", subtype)
    other = bytearray(encoded(talk(3.0), "OGG", subtype))
    error = fault(one + bytes(other))
    assert error.reason == "damaged"
    assert "several Ogg streams" in error.detail


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_one_flipped_bit_or_a_hole_in_an_ogg_is_found(subtype: str) -> None:
    content = encoded(talk(12.0), "OGG", subtype)
    assert duration_s(content) == 12.0
    rng = random.Random(0)
    for _ in range(40):
        damaged = bytearray(content)
        damaged[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        assert fault(bytes(damaged)).reason in ("damaged", "truncated", "unreadable")
    pages = [i for i in range(len(content)) if content[i : i + 4] == b"OggS"]
    assert len(pages) > 4
    assert fault(content[: pages[3]] + content[pages[4] :]).reason == "damaged"


@pytest.mark.parametrize("sizes", [(36, 0), (0, 0)])
@pytest.mark.parametrize("form", ["WAV", "WAVEX"])
def test_a_wav_whose_header_was_never_finished(form: str, sizes: tuple[int, int]) -> None:
    samples = talk(3.0)
    content = bytearray(encoded(samples, form, "FLOAT"))
    start = content.index(b"data")
    content[4:8], content[start + 4 : start + 8] = (struct.pack("<I", size) for size in sizes)
    assert np.array_equal(load_mono_16k(bytes(content)), samples)


def pages(content: bytes) -> list[bytes]:
    found, start = [], 0
    while start < len(content):
        head = 27 + content[start + 26]
        size = head + sum(content[start + 27 : start + head])
        found.append(content[start : start + size])
        start += size
    return found


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_an_ogg_cut_between_two_pages_is_found(subtype: str) -> None:
    whole = pages(encoded(talk(6), "OGG", subtype))
    assert fault(b"".join(whole[:-1])).reason == "truncated"
    assert "no last page" in fault(b"".join(whole[:-2])).detail


@pytest.mark.parametrize("form", ["AU", "WAV"])
def test_a_stream_of_unknown_length_that_ends_in_a_sample_was_cut(form: str) -> None:
    content = bytearray(encoded(talk(2), form, "PCM_16"))
    places = {"AU": (8,), "WAV": (4, 40)}[form]
    for place in places:
        content[place : place + 4] = b"\xff" * 4
    assert duration_s(bytes(content)) == 2.0
    assert fault(bytes(content[:-101])).reason == "truncated"
    assert duration_s(bytes(content[:-3200])) == 1.9  # which nothing can tell


@pytest.mark.parametrize("form", ["IRCAM", "MAT5", "PAF", "PVF", "XI", "SDS"])
def test_forms_in_which_no_cut_can_be_told_are_refused(
    form: str, capfd: pytest.CaptureFixture[str]
) -> None:
    content = encoded(talk(1), form, "DPCM_16" if form == "XI" else "PCM_16")
    capfd.readouterr()
    assert "cut copy cannot be told from a whole one. Convert it" in fault(content).detail
    assert capfd.readouterr().out == ""


def test_a_header_that_leads_in_front_of_the_file_prints_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    content = bytearray(encoded(talk(1), "AIFF"))
    content[38] = 0x8E  # the size of the sound, as a signed number
    capfd.readouterr()
    assert fault(bytes(content)).reason == "unreadable"
    assert claimed_duration_s(Utterance("a", bytes(content), "a", "ko", "test")) == 0.0
    assert capfd.readouterr() == ("", "")


def test_a_wav_without_sound_and_with_other_chunks_is_empty() -> None:
    content = encoded(np.zeros(0, np.float32), "WAV") + b"LIST" + struct.pack("<I", 8) + b"INFOabcd"
    assert fault(content).reason == "empty"


@pytest.mark.parametrize("form", ["AIFF", "AU", "CAF"])
def test_other_headers_that_name_no_sound_are_not_called_empty(form: str) -> None:
    empty, full = encoded(np.zeros(0, np.float32), form), encoded(talk(3.0), form)
    assert fault(empty + full[len(empty) :]).reason in ("truncated", "unreadable")


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
@pytest.mark.parametrize(
    "form",
    [
        "WAV",
        "WAVEX",
        "RF64",
        "W64",
        "AIFF",
        "AU",
        "CAF",
        "NIST",
        "SVX",
        "VOC",
        "AVR",
        "MPC2K",
        "MAT4",
        "HTK",
    ],
)
def test_a_cut_file_of_any_form_with_a_length_is_found(form: str, kept: float) -> None:
    content = encoded(talk(3.0), form, "PCM_16")
    assert duration_s(content) == pytest.approx(3.0, abs=0.01)
    assert fault(content[: int(len(content) * kept)]).reason in ("truncated", "unreadable")


@pytest.mark.parametrize(
    ("factor", "is_mean"), [(-1.0, False), (-0.97, False), (0.0, True), (1.0, True)]
)
def test_channels_that_cancel_each_other_are_not_averaged(factor: float, is_mean: bool) -> None:
    samples = talk(2.0)
    content = encoded(np.stack([samples, factor * samples], axis=1), "WAV", "FLOAT")
    expected = (1 + factor) / 2 * samples if is_mean else samples
    assert np.allclose(load_mono_16k(content), expected, atol=1e-6)


@pytest.mark.parametrize("turned", [slice(0, 24_000), slice(44_000, None), slice(20_000, 40_000)])
def test_channels_that_cancel_each_other_in_a_part_are_not_averaged(turned: slice) -> None:
    samples = talk(4.0) * np.where(np.arange(64_000) < 32_000, 1.0, 0.1).astype(np.float32)
    samples += 0.01 * np.sin(np.arange(64_000) * 0.1, dtype=np.float32)
    other = samples.copy()
    other[turned] *= -1
    content = encoded(np.stack([samples, other], axis=1), "WAV", "FLOAT")
    # Of either channel: a wave and its mirror image sound alike.
    assert np.allclose(np.abs(load_mono_16k(content)), np.abs(samples), atol=1e-6)


def test_one_speaker_in_each_channel_is_averaged_though_a_part_cancels() -> None:
    """Either channel alone would lose a speaker."""
    left, right = np.zeros((2, 160_000), np.float32)
    left[:70_000], right[70_000:140_000] = talk(10)[:70_000], talk(10)[:70_000]
    left[140_000:], right[140_000:] = talk(10)[:20_000], -talk(10)[:20_000]
    content = encoded(np.stack([left, right], axis=1), "WAV", "FLOAT")
    assert np.allclose(load_mono_16k(content), (left + right) / 2, atol=1e-6)


def test_channels_with_noise_of_their_own_are_averaged() -> None:
    rng = np.random.default_rng(1)
    channels = 0.1 * rng.standard_normal((RATE_HZ, 4)).astype(np.float32)
    content = encoded(channels, "WAV", "FLOAT")
    assert np.allclose(load_mono_16k(content), channels.mean(axis=1), atol=1e-6)
