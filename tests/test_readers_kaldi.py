"""Kaldi data directories (kaldi-asr.org/doc/data_prep.html), with segments and without."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from soritune.corpus.prepare import prepare
from soritune.corpus.store import Corpus
from soritune.errors import UserError
from soritune.sources import count_source, describe_source, read_source
from soritune.sources.formats.kaldi import KaldiSource
from soritune.utterance import Excerpt, Rejected, Utterance

RATE_HZ = 16_000


def source(path: Path, **settings: Any) -> KaldiSource:
    settings = {"test_share": 0, "dev_share": 0, **settings}
    return KaldiSource(source="kaldi", path=path, **{"language": "ko", **settings})


def entries(path: Path, **settings: Any) -> list[Utterance | Rejected]:
    return list(read_source(source(path, **settings)))


def utterances(path: Path, **settings: Any) -> list[Utterance]:
    return [entry for entry in entries(path, **settings) if isinstance(entry, Utterance)]


def rejected(path: Path, **settings: Any) -> list[tuple[str, str]]:
    found = [entry for entry in entries(path, **settings) if isinstance(entry, Rejected)]
    return [(entry.id, entry.reason) for entry in found]


def directory(folder: Path, **files: str) -> Path:
    """A data directory; `wav` stands for wav.scp."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        path = folder / ("wav.scp" if name == "wav" else name)
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return folder


def test_without_segments_each_recording_is_an_utterance(tmp_path: Path) -> None:
    data = directory(
        tmp_path / "data",
        wav="kim-1 audio/kim-1.wav\nlee-1\t/data/lee 1.flac\n",
        text="kim-1 오늘은 날씨가 좋다\nlee-1\t내일은 비가 온다 \n",
        utt2spk="kim-1 kim\nlee-1 lee\n",
        spk2utt="kim kim-1\nlee lee-1\n",
        spk2gender="kim f\nlee m\n",
    )
    assert entries(data) == [
        Utterance("kim-1", data / "audio/kim-1.wav", "오늘은 날씨가 좋다", "ko", "train", "kim"),
        Utterance("lee-1", Path("/data/lee 1.flac"), "내일은 비가 온다", "ko", "train", "lee"),
    ]


def test_segments_are_parts_of_recordings(tmp_path: Path) -> None:
    data = directory(
        tmp_path,
        wav="call a.wav\n",
        segments="call-1 call 0.50 1.75\ncall-2 call 2 -1\ncall-3 call 1 2 1\n",
        text="call-1 하나\ncall-2 둘\ncall-3 셋\n",
    )
    wav = data / "a.wav"
    assert [utterance.audio for utterance in utterances(data)] == [
        Excerpt(wav, 0.5, 1.25),
        Excerpt(wav, 2.0, None),
        Excerpt(wav, 1.0, 1.0, 1),
    ]


def test_prepared_segments_hold_the_samples_between_their_times(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(-9_000, 9_000, (4 * RATE_HZ, 2), dtype=np.int16)
    soundfile.write(tmp_path / "a.wav", samples, RATE_HZ)
    directory(
        tmp_path,
        wav="call a.wav\n",
        segments="c-1 call 0.5 1.75 0\nc-2 call 2 -1 1\nc-3 call 3 9\nc-4 call 4.5 5\n",
        text="c-1 하나\nc-2 둘\nc-3 셋\nc-4 넷\n",
    )
    card = prepare("calls", source(tmp_path), tmp_path / "out")
    corpus = Corpus.open(tmp_path / "out")
    found = {record.id: corpus.samples(record) for record in corpus.records("train")}
    scaled = samples / np.float32(32_768)
    assert np.array_equal(found["c-1"], scaled[RATE_HZ // 2 : RATE_HZ // 2 + 20_000, 0])
    assert np.array_equal(found["c-2"], scaled[2 * RATE_HZ :, 1])
    # The others end over 0.5 s beyond the end of the recording, or begin there.
    assert sorted(found) == ["c-1", "c-2"]
    assert (card.read, card.taken, card.reasons) == (4, 2, {"outside": 2})


def test_commands_are_never_run(tmp_path: Path) -> None:
    hit = tmp_path / "hit"
    data = directory(
        tmp_path / "data",
        wav=f"a touch {hit} |\nb cat b.wav |\nc c.ark:42\nd -\ne\nf | touch {hit}\n",
        text="a 가\nb 나\nc 다\nd 라\ne 마\nf 바\n",
    )
    assert rejected(data) == [
        ("a", "command"),
        ("b", "command"),
        ("c", "bad-line"),
        ("d", "bad-line"),
        ("e", "bad-line"),
        ("f", "command"),
    ]
    assert not hit.exists()


@pytest.mark.parametrize(
    ("segment", "reason"),
    [
        ("u call 1 1", "bad-line"),  # of no length
        ("u call 2 1", "bad-line"),
        ("u call -1 1", "bad-line"),
        ("u call one two", "bad-line"),
        ("u call nan 2", "bad-line"),
        ("u call 1", "bad-line"),
        ("u call 0 1 left", "bad-line"),
        ("u nothing 0 1", "missing"),
    ],
)
def test_a_segment_that_is_none_is_told(tmp_path: Path, segment: str, reason: str) -> None:
    good = "call-1 call 0 1\n"
    data = directory(
        tmp_path, wav="call a.wav\n", segments=f"{good}{segment}\n", text="u 글\ncall-1 글\n"
    )
    assert rejected(data) == [("u", reason)]


def test_what_lacks_its_other_half_is_told(tmp_path: Path) -> None:
    data = directory(
        tmp_path,
        wav="a a.wav\nb b.wav\nb c.wav\n",
        text="a 가\nc 다\n",
        utt2spk="a kim\na lee\nc\n",
    )
    assert rejected(data) == [
        ("b", "duplicate-id"),
        ("a", "duplicate-id"),
        ("c", "bad-line"),
        ("c", "missing"),
        ("b", "empty-text"),
    ]
    segmented = directory(
        tmp_path / "other",
        wav="a a.wav\nb b.wav\n",
        segments="a-1 a 0 1\na-2 a 1 2\n",
        text="a-1 가\na-3 다\n",
    )
    assert rejected(segmented) == [
        ("a-3", "missing"),
        ("a-2", "empty-text"),
        ("b", "empty-text"),
    ]
    assert count_source(source(segmented)) == 4


def test_an_empty_or_broken_transcript_costs_its_line_only(tmp_path: Path) -> None:
    data = directory(tmp_path, wav="a a.wav\nb b.wav\nc c.wav\n", text="a\nb \udcff\udcfe\nc 다\n")
    assert rejected(data) == [("a", "empty-text"), ("b", "bad-text")]
    assert [utterance.id for utterance in utterances(data)] == ["c"]


def test_byte_order_mark_windows_line_ends_and_blank_lines(tmp_path: Path) -> None:
    data = directory(tmp_path, wav="\ufeffa a.wav\r\n\r\n", text="\ufeffa 가 나\r\n")
    (entry,) = utterances(data)
    assert (entry.id, entry.text, entry.audio) == ("a", "가 나", data / "a.wav")


def test_each_split_has_a_directory_of_its_own(tmp_path: Path) -> None:
    directory(tmp_path / "train", wav="a audio/a.wav\n", text="a 가\n")
    directory(tmp_path / "test_clean", wav="b audio/b.wav\n", text="b 나\n")
    splits = {"train": "train", "test": "test_clean"}
    found = utterances(tmp_path, splits=splits, audio_folder=".")
    assert [(each.id, each.split, each.audio) for each in found] == [
        ("a", "train", tmp_path / "audio/a.wav"),
        ("b", "test", tmp_path / "audio/b.wav"),
    ]
    with pytest.raises(UserError, match="must not be trained on"):
        entries(tmp_path, splits={"train": "train", "test": "train"})
    with pytest.raises(UserError, match="fix splits"):
        entries(tmp_path, splits={"train": "nowhere"})


def test_an_undivided_directory_is_divided_by_speaker(tmp_path: Path) -> None:
    ids = [f"s{speaker}-{n}" for speaker in range(10) for n in range(3)]
    data = directory(
        tmp_path,
        wav="".join(f"{id_} {id_}.wav\n" for id_ in ids),
        text="".join(f"{id_} 문장 {id_}\n" for id_ in ids),
        utt2spk="".join(f"{id_} {id_.partition('-')[0]}\n" for id_ in ids),
    )
    found = utterances(data, test_share=0.2)
    voices = {
        split: {each.speaker for each in found if each.split == split}
        for split in ("train", "test")
    }
    assert {split: len(names) for split, names in voices.items()} == {"train": 8, "test": 2}
    assert not voices["train"] & voices["test"]


@pytest.mark.parametrize("missing", ["wav.scp", "text"])
def test_a_folder_without_its_files_is_one_line(tmp_path: Path, missing: str) -> None:
    data = directory(tmp_path, wav="a a.wav\n", text="a 가\n")
    (data / missing).unlink()
    with pytest.raises(UserError, match=f"holds no {missing}"):
        entries(data)


def test_a_changed_text_or_recording_is_noticed(tmp_path: Path) -> None:
    data = directory(tmp_path, wav="a a.wav\n", text="a 가\n")
    before = describe_source(source(data))
    assert describe_source(source(data)) == before
    soundfile.write(data / "a.wav", np.zeros(100, np.int16), RATE_HZ)
    with_audio = describe_source(source(data))
    directory(data, text="a 나\n")
    assert len({str(before), str(with_audio), str(describe_source(source(data)))}) == 3


def test_taken_and_quarantined_are_what_was_read(tmp_path: Path) -> None:
    samples = np.random.default_rng(1).integers(-9_000, 9_000, 10 * RATE_HZ, dtype=np.int16)
    soundfile.write(tmp_path / "a.wav", samples, RATE_HZ)
    parts = [("u1", 0, 1), ("u2", 1, 2), ("u3", 9.8, 10.4), ("u4", 9.8, 10.6), ("u5", 2, 3)]
    segments = "".join(f"{id_} a {start} {end}\n" for id_, start, end in parts)
    directory(
        tmp_path,
        wav="a a.wav\ngone gone.wav\n",
        segments=f"{segments}u1 a 1 2\nu6 gone 0 1\nu7 a 3 3\n\udcff\udcfe a 3 4\n",
        text="u1 하나\nu2 둘\nu2 두울\nu3 셋\nu4 넷\nu5\nu6 여섯\nu7 일곱\n\udcff\udcfe 여덟\n",
    )
    card = prepare("odd", source(tmp_path), tmp_path / "out")
    corpus = Corpus.open(tmp_path / "out")
    lengths = {record.id: len(corpus.samples(record)) for record in corpus.records("train")}
    # u3 reaches 0.4 s beyond the end and is cut there; u4 more than 0.5 s, so it is refused.
    assert lengths == {"u1": RATE_HZ, "u2": RATE_HZ, "u3": RATE_HZ // 5}
    assert (card.read, card.taken) == (10, 3)
    assert card.reasons == {
        "bad-line": 1,
        "bad-text": 1,
        "duplicate-id": 2,
        "empty-text": 1,
        "missing": 1,
        "outside": 1,
    }


def test_no_sentence_is_in_two_splits(tmp_path: Path) -> None:
    ids = [f"{number:02d}" for number in range(40)]
    data = directory(
        tmp_path,
        wav="".join(f"{id_} {id_}.wav\n" for id_ in ids),
        text="".join(f"{id_} 문장 {int(id_) // 2}\n" for id_ in ids),
    )
    found = utterances(data, split_by=["sentence"], test_share=0.3)
    said = {split: {e.text for e in found if e.split == split} for split in ("train", "test")}
    assert len(found) == 40
    assert said["test"]
    assert not said["train"] & said["test"]


@pytest.mark.parametrize("name", ["segments", "utt2spk"])
def test_a_pipe_is_not_taken_for_a_table_that_is_not_there(tmp_path: Path, name: str) -> None:
    folder = directory(tmp_path, **{"wav.scp": "a a.wav\n", "text": "a 글\n"})
    os.mkfifo(folder / name)
    with pytest.raises(UserError, match=f"{name}: .*is a pipe or a device"):
        entries(folder)
