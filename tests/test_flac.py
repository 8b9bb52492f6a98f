"""FLAC that is 16 kHz, mono and 16 bits already is kept frame by frame, once it is checked."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest
import soundfile
from made_source import prepare_made

from soritune.audio import DEFAULT_LIMITS, Limits, load_mono_16k
from soritune.corpus.check import check_utterance
from soritune.corpus.flac import bare_flac, encode_flac, is_exact
from soritune.corpus.shard import ShardWriter, Taken
from soritune.sources.sound import SoundForm
from soritune.utterance import Utterance

STREAMINFO = 42  # "fLaC", a block header and 34 bytes (RFC 9639, 8.2)
MD5 = slice(26, STREAMINFO)


def integers(num: int = 20_000, seed: int = 0) -> npt.NDArray[np.int16]:
    return np.random.default_rng(seed).integers(-9000, 9000, num, dtype=np.int16)


def flac(samples: npt.NDArray[np.int16], rate_hz: int = 16_000, subtype: str = "PCM_16") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate_hz, format="FLAC", subtype=subtype, compression_level=0.0)
    return buffer.getvalue()


def tagged(content: bytes, kind: int = 6, size: int = 5000) -> bytes:
    """With one more block of metadata (2: of a program, 4: tags, 6: a picture)."""
    head = bytearray(content[:STREAMINFO])
    last = head[4] & 0x80
    head[4] &= 0x7F
    block = (b"who spoke" * size)[:size]
    return bytes(head) + bytes([kind | last]) + size.to_bytes(3, "big") + block + content[42:]


def prepared(tmp_path: Path, audio: Path | bytes) -> bytes:
    entry = Utterance("a", audio, "글", "ko", "train")
    prepare_made("c", [entry], tmp_path / "out")
    (stored,) = pq.read_table(tmp_path / "out/shards/00000.parquet")["audio"].to_pylist()
    return bytes(stored)


@pytest.mark.parametrize("as_path", [True, False])
def test_its_frames_are_stored_as_they_came_and_decode_to_the_same_integers(
    tmp_path: Path, as_path: bool
) -> None:
    content = flac(integers())
    path = tmp_path / "a.flac"
    path.write_bytes(tagged(content))
    stored = prepared(tmp_path, path if as_path else path.read_bytes())
    assert len(stored) < len(content)
    assert content.endswith(stored[STREAMINFO:])
    assert stored != encode_flac(load_mono_16k(content))  # that has another compression level
    decoded, rate_hz = soundfile.read(io.BytesIO(stored), dtype="int16")
    assert rate_hz == 16_000
    assert np.array_equal(decoded, integers())


@pytest.mark.parametrize("kind", [4, 6])
def test_tags_and_pictures_do_not_come_along(tmp_path: Path, kind: int) -> None:
    assert b"who spoke" not in prepared(tmp_path, tagged(flac(integers()), kind))


def test_metadata_of_any_size_cost_neither_the_clip_nor_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    path.write_bytes(tagged(flac(integers()), kind=2, size=2**21))
    stored = prepared(tmp_path, path)
    assert b"who spoke" not in stored
    assert np.array_equal(soundfile.read(io.BytesIO(stored), dtype="int16")[0], integers())


def without_checksum(content: bytes) -> bytes:
    return content[: MD5.start] + bytes(16) + content[MD5.stop :]


def of_unknown_length(content: bytes) -> bytes:
    return content[:21] + bytes([content[21] & 0xF0]) + bytes(4) + content[26:]


OTHERS = {
    "8 kHz": flac(integers(), 8_000),
    "24 bits": flac(integers(), subtype="PCM_24"),
    "stereo": flac(np.stack([integers(), integers(seed=1)], axis=1)),
    "no checksum": without_checksum(flac(integers())),
    "no length": of_unknown_length(flac(integers())),
    "ID3 at its end": flac(integers()) + b"TAG" + b"who spoke".ljust(125, b"\0"),
    "much behind its end": flac(integers()) + b"who spoke" * 9000,
    "WAV": b"RIFF" + bytes(60),
    "metadata alone": flac(integers())[:60],
}


@pytest.mark.parametrize("name", OTHERS)
def test_any_other_form_is_encoded(name: str) -> None:
    assert bare_flac(OTHERS[name], DEFAULT_LIMITS) is None


def test_where_its_own_checksum_does_not_fit_it_is_encoded(tmp_path: Path) -> None:
    content = flac(integers())
    wrong = content[: MD5.start] + bytes(range(16)) + content[MD5.stop :]
    stored = prepared(tmp_path, wrong)
    assert stored == encode_flac(load_mono_16k(content))
    assert stored[MD5] == hashlib.md5(integers().tobytes()).digest()


@pytest.mark.parametrize("form", [SoundForm(trim_silence_s=0.1), SoundForm(remove_offset=True)])
def test_a_clip_that_the_recipe_changes_is_not_kept_as_it_came(form: SoundForm) -> None:
    silence = np.zeros(16_000, np.int16)
    content = flac(np.concatenate([silence, integers() + np.int16(300), silence]))
    utterance = Utterance("a", content, "글", "ko", "train")
    taken = check_utterance(utterance, 0, sound=form)
    assert isinstance(taken, Taken)
    expected = np.rint(form.apply(load_mono_16k(content)) * 32768)
    assert np.array_equal(soundfile.read(io.BytesIO(taken.flac), dtype="int16")[0], expected)
    assert taken.num_samples == len(expected)


def test_one_sample_changed_is_not_exact() -> None:
    content = flac(integers())
    samples = load_mono_16k(content)
    assert is_exact(content, samples)
    samples[-1] += 1 / 32768
    assert not is_exact(content, samples)
    assert not is_exact(content, samples[:-1])


@pytest.mark.parametrize("place", [100, -300, -1])
def test_one_bit_changed_in_its_frames_leaves_it_out(tmp_path: Path, place: int) -> None:
    content = bytearray(flac(integers()))
    content[place] ^= 4
    good = Utterance("b", flac(integers()), "글", "ko", "train")
    bad = Utterance("a", bytes(content), "글", "ko", "train")
    card = prepare_made("c", [bad, good], tmp_path)
    assert card.reasons == {"truncated": 1}


def test_one_that_is_too_long_is_told_without_being_read(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    path.write_bytes(flac(integers(31 * 16_000)))
    assert bare_flac(path, DEFAULT_LIMITS) is None
    assert bare_flac(path, Limits(max_duration_s=None)) is not None


@pytest.mark.parametrize("name", ["none.flac", "nul\0.flac", "n" * 300])
def test_what_cannot_be_opened_is_left_to_the_reading_that_says_why(
    tmp_path: Path, name: str
) -> None:
    assert bare_flac(tmp_path / name, DEFAULT_LIMITS) is None


def test_a_shard_is_written_in_groups_and_knows_its_size_and_checksum() -> None:
    file = io.BytesIO()
    shard = ShardWriter(file)
    for index in range(60):
        utterance = Utterance(f"{index}", b"", "글", "ko", "train")
        shard.add(Taken(utterance, 16_000, bytes([index])))
    shard.close()
    content = file.getvalue()
    assert (shard.num_rows, shard.num_bytes) == (60, len(content))
    assert shard.sha256 == hashlib.sha256(content).hexdigest()
    table = pq.ParquetFile(io.BytesIO(content))
    assert [table.metadata.row_group(i).num_rows for i in range(3)] == [25, 25, 10]
    assert table.read()["audio"].to_pylist() == [bytes([index]) for index in range(60)]


def test_a_shard_of_nothing_is_empty() -> None:
    file = io.BytesIO()
    shard = ShardWriter(file)
    shard.close()
    assert (shard.num_rows, file.getvalue()) == (0, b"")
