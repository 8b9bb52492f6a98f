"""A part of a file is what stands there, and a file is the sum of its parts."""

from __future__ import annotations

import itertools
import pickle
import random
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from soritune.audio import AudioError, Limits, load_mono_16k, read_audio
from soritune.corpus.check import check_utterance
from soritune.utterance import Excerpt, Rejected, Utterance

Samples = npt.NDArray[np.float32]
EXACT = [
    ("WAV", "PCM_16"),
    ("WAV", "PCM_24"),
    ("WAV", "FLOAT"),
    ("WAV", "GSM610"),  # cannot seek at all
    ("WAV", "IMA_ADPCM"),
    ("AIFF", "PCM_16"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
]


def talk(rate_hz: int, duration_s: float, channels: int = 1) -> Samples:
    """No two places sound alike, so that a part of another place is found out."""
    rng = np.random.default_rng(0)
    shape = (round(rate_hz * duration_s), channels)
    noise = rng.standard_normal(shape).astype(np.float32)
    tone = np.sin(np.cumsum(rng.uniform(0.02, 0.4, shape), axis=0)).astype(np.float32)
    return 0.3 * tone + 0.01 * noise


def save(
    folder: Path, samples: Samples, rate_hz: int, form: str = "WAV", subtype: str | None = None
) -> Path:
    path = folder / f"talk.{form.lower()}"
    soundfile.write(path, samples, rate_hz, format=form, subtype=subtype)
    return path


def parts(path: Path, cuts_s: list[float], total_s: float | None = None) -> list[Excerpt]:
    """Between each two cuts, and what is left as the last."""
    ends: list[float | None] = [*cuts_s, total_s]
    starts = [0.0, *cuts_s]
    return [
        Excerpt(path, start, None if end is None else end - start)
        for start, end in zip(starts, ends, strict=True)
    ]


def some_cuts(number: int, last_s: float) -> list[float]:
    rng = random.Random(0)
    return sorted(rng.uniform(0.1, last_s) for _ in range(number))


def reason_of(part: Excerpt) -> str:
    with pytest.raises(AudioError) as caught:
        load_mono_16k(part)
    assert str(part.path) in str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize(("form", "subtype"), EXACT)
@pytest.mark.parametrize("rate_hz", [8_000, 48_000])
def test_the_parts_of_a_file_put_together_are_the_file(
    tmp_path: Path, form: str, subtype: str, rate_hz: int
) -> None:
    path = save(tmp_path, talk(rate_hz, 9.0), rate_hz, form, subtype)
    whole, _ = read_audio(path)
    cuts = some_cuts(7, 8.9)
    found = [read_audio(part) for part in parts(path, cuts)]
    assert {rate for _, rate in found} == {rate_hz}
    assert np.array_equal(np.concatenate([samples for samples, _ in found]), whole)


@pytest.mark.parametrize("mode", ["CONSTANT", "AVERAGE", "VARIABLE"])
@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_the_parts_of_an_mp3_are_the_mp3_but_for_rounding(
    tmp_path: Path, mode: str, rate_hz: int
) -> None:
    samples = talk(rate_hz, 12.0)
    samples[4 * rate_hz : 8 * rate_hz] *= 1e-3  # so that a variable rate varies
    path = tmp_path / "talk.mp3"
    with soundfile.SoundFile(
        path, "w", rate_hz, 1, format="MP3", bitrate_mode=mode, compression_level=0.5
    ) as file:
        file.write(samples)
    whole, _ = soundfile.read(path, dtype="float32")
    assert np.abs(read_audio(path)[0] - whole).max() < 1e-6
    cuts = some_cuts(9, 11.9)
    found = np.concatenate([read_audio(part)[0] for part in parts(path, cuts)])
    assert found.shape == whole.shape
    assert np.abs(found - whole).max() < 1e-6


def test_ends_fall_on_the_nearest_frame_and_halves_always_to_one_side(tmp_path: Path) -> None:
    rate_hz = 22_050  # 10 ms are 220.5 frames
    path = save(tmp_path, np.arange(rate_hz, dtype=np.float32)[:, None] / 2**15, rate_hz)

    def span(start_s: float, duration_s: float) -> tuple[int, int]:
        samples, _ = read_audio(Excerpt(path, start_s, duration_s))
        return round(float(samples[0]) * 2**15), round(float(samples[-1]) * 2**15) + 1

    assert span(0.1, 0.2) == (2205, 6615)
    assert span(100.4 / rate_hz, 50 / rate_hz) == (100, 150)
    assert span(100.6 / rate_hz, 50 / rate_hz) == (101, 151)
    hundredths = [span(n / 100, 0.01) for n in range(99)]
    assert all(end == start for (_, end), (start, _) in itertools.pairwise(hundredths))


def test_one_channel_or_the_mean_of_all(tmp_path: Path) -> None:
    path = save(tmp_path, talk(16_000, 2.0, channels=2), 16_000, subtype="FLOAT")
    both, _ = soundfile.read(path, dtype="float32", start=8000, stop=24_000)
    for channel in (0, 1):
        found, _ = read_audio(Excerpt(path, 0.5, 1.0, channel))
        assert np.array_equal(found, both[:, channel])
    found, _ = read_audio(Excerpt(path, 0.5, 1.0))
    assert np.allclose(found, both.mean(axis=1))
    assert reason_of(Excerpt(path, 0.5, 1.0, channel=2)) == "outside"
    assert reason_of(Excerpt(path, 0.5, 1.0, channel=-1)) == "outside"


def test_a_part_of_a_long_file_is_taken_and_too_long_a_part_is_not(tmp_path: Path) -> None:
    path = save(tmp_path, talk(8_000, 50.0), 8_000)
    assert len(load_mono_16k(Excerpt(path, 20.0, 30.0))) == 480_000
    assert reason_of(Excerpt(path, 10.0, 30.1)) == "too-long"
    assert reason_of(Excerpt(path, 10.0, None)) == "too-long"
    assert len(load_mono_16k(Excerpt(path, 0.0, None), Limits(max_duration_s=None))) == 800_000


@pytest.mark.parametrize(
    ("start_s", "duration_s"),
    [
        (3.0, 1.0),
        (2.0, None),
        (1.0, 1.6),
        (-0.5, 1.0),
        (0.5, -1.0),
        (0.5, 0.0),
        (float("nan"), 1.0),
        (0.0, float("inf")),
        (1e300, 1.0),
    ],
)
def test_what_lies_outside_the_file_is_refused(
    tmp_path: Path, start_s: float, duration_s: float | None
) -> None:
    path = save(tmp_path, talk(8_000, 2.0), 8_000)
    assert reason_of(Excerpt(path, start_s, duration_s)) == "outside"


def test_half_a_second_beyond_the_end_is_cut_as_kaldi_does(tmp_path: Path) -> None:
    path = save(tmp_path, talk(8_000, 2.0), 8_000)
    assert len(load_mono_16k(Excerpt(path, 1.0, 1.5))) == 16_000


def test_a_cut_file_gives_the_parts_that_are_there(tmp_path: Path) -> None:
    path = save(tmp_path, talk(8_000, 4.0), 8_000)
    whole, _ = read_audio(path)
    path.write_bytes(path.read_bytes()[: 44 + 2 * 8_000 * 2])
    assert np.array_equal(read_audio(Excerpt(path, 0.5, 1.0))[0], whole[4_000:12_000])
    assert reason_of(Excerpt(path, 3.0, 0.5)) == "truncated"
    assert reason_of(Excerpt(path, 0.0, None)) == "truncated"


def test_files_that_are_none_are_told_as_for_whole_files(tmp_path: Path) -> None:
    assert reason_of(Excerpt(tmp_path / "none.wav", 0.0, 1.0)) == "missing"
    (tmp_path / "empty.wav").write_bytes(b"")
    assert reason_of(Excerpt(tmp_path / "empty.wav", 0.0, 1.0)) == "empty"
    (tmp_path / "text.wav").write_bytes(b"no audio at all" * 99)
    assert reason_of(Excerpt(tmp_path / "text.wav", 0.0, 1.0)) == "unreadable"
    header = save(tmp_path, np.zeros((0, 1), np.float32), 8_000)
    assert reason_of(Excerpt(header, 0.0, 1.0)) == "empty"


def test_only_the_part_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path, talk(8_000, 60.0), 8_000, "FLAC")
    read = soundfile.SoundFile.read
    frames: list[int] = []

    def counted(self: soundfile.SoundFile, *args: object, **settings: object) -> Samples:
        block: Samples = read(self, *args, **settings)
        frames.append(len(block))
        return block

    monkeypatch.setattr(soundfile.SoundFile, "read", counted)
    read_audio(Excerpt(path, 50.0, 1.0))
    assert sum(frames) == 8_000


def test_the_quarantine_names_the_file_and_the_part(tmp_path: Path) -> None:
    part = Excerpt(tmp_path / "none.wav", 1.5, 2.25, channel=1)
    outcome = check_utterance(Utterance("a", part, "글", "ko", "train"), 0)
    assert isinstance(outcome, Rejected)
    assert outcome.where == f"{tmp_path}/none.wav, 1.500 s to 3.750 s, channel 1"
    assert pickle.loads(pickle.dumps(part)) == part


def test_an_mp3_in_a_file_and_its_bytes_give_the_same(tmp_path: Path) -> None:
    path = save(tmp_path, talk(48_000, 12.0), 48_000, "MP3")
    assert np.array_equal(load_mono_16k(path), load_mono_16k(path.read_bytes()))
