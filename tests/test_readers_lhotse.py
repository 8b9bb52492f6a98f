"""Manifests as Lhotse 1.33 writes them: the right words on the right samples."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from pydantic import ValidationError

from soritune.corpus.prepare import prepare
from soritune.corpus.store import Corpus
from soritune.errors import UserError
from soritune.sources import count_source, describe_source, read_source
from soritune.sources.formats.lhotse import LhotseSource
from soritune.utterance import Excerpt, Rejected, Utterance

RATE_HZ = 16_000

# The lines below are those that Lhotse 1.33.0 wrote for two recordings of 5 s: `Recording
# .from_file`, `CutSet.from_manifests`, `trim_to_supervisions`, `perturb_speed`, `pad`.
MONO = {
    "id": "rec1",
    "sources": [{"type": "file", "channels": [0], "source": "rec1.wav"}],
    "sampling_rate": 16000,
    "num_samples": 80000,
    "duration": 5.0,
    "channel_ids": [0],
}
STEREO = {
    "id": "st",
    "sources": [{"type": "file", "channels": [0, 1], "source": "st.wav"}],
    "sampling_rate": 16000,
    "num_samples": 80000,
    "duration": 5.0,
    "channel_ids": [0, 1],
}
U1 = {
    "id": "u1",
    "recording_id": "rec1",
    "start": 0.5,
    "duration": 1.25,
    "channel": 0,
    "text": "첫 문장",
    "language": "Korean",
    "speaker": "kim",
}
U2 = {
    "id": "u2",
    "recording_id": "rec1",
    "start": 2.0,
    "duration": 1.0,
    "channel": 0,
    "text": "둘째 문장",
    "language": "ko",
    "speaker": "lee",
    "gender": "F",
    "custom": {"a": 1},
}
U3 = {
    "id": "u3",
    "recording_id": "st",
    "start": 1.0,
    "duration": 1.0,
    "channel": 1,
    "text": "셋째",
    "speaker": "kim",
}
U4 = {**U3, "id": "u4", "start": 2.0, "channel": [0, 1], "text": "넷째"}
CUTS = [
    {
        "id": "rec1-0",
        "start": 0,
        "duration": 5.0,
        "channel": 0,
        "supervisions": [U1, U2],
        "recording": MONO,
        "type": "MonoCut",
    },
    {
        "id": "st-1",
        "start": 0,
        "duration": 5.0,
        "channel": [0, 1],
        "supervisions": [U3, U4],
        "recording": STEREO,
        "type": "MultiCut",
    },
]
TRIMMED = [
    {**CUTS[0], "id": "u1", "start": 0.5, "duration": 1.25, "supervisions": [{**U1, "start": 0.0}]},
    {**CUTS[0], "id": "u2", "start": 2.0, "duration": 1.0, "supervisions": [{**U2, "start": 0.0}]},
    {
        **CUTS[1],
        "id": "u3",
        "start": 1.0,
        "duration": 1.0,
        "channel": 1,
        "supervisions": [{**U3, "start": 0.0}],
        "type": "MonoCut",
    },
    {**CUTS[1], "id": "u4", "start": 2.0, "duration": 1.0, "supervisions": [{**U4, "start": 0.0}]},
]
PADDED = {
    "id": "000a032d-b288-4eb5-8528-855e0b22d3f7",
    "tracks": [
        {"cut": CUTS[0], "type": "MonoCut", "offset": 0.0, "is_snr_reference": True},
        {
            "cut": {
                "id": "489316a0",
                "duration": 3.0,
                "sampling_rate": 16000,
                "num_samples": 48000,
            },
            "type": "PaddingCut",
            "offset": 5.0,
        },
    ],
    "type": "MixedCut",
}


def write(path: Path, *records: object) -> Path:
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    content = text.encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def recordings(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """`rec1.wav` and `st.wav`, 5 s each, and their samples as they stand in the files."""
    rng = np.random.default_rng(0)
    mono = rng.integers(-9_000, 9_000, 5 * RATE_HZ, dtype=np.int16)
    stereo = rng.integers(-9_000, 9_000, (5 * RATE_HZ, 2), dtype=np.int16)
    soundfile.write(folder / "rec1.wav", mono, RATE_HZ)
    soundfile.write(folder / "st.wav", stereo, RATE_HZ)
    return mono / np.float32(32_768), stereo / np.float32(32_768)


def source(path: Path, **settings: Any) -> LhotseSource:
    settings = {"test_share": 0, "dev_share": 0, **settings}
    return LhotseSource(source="lhotse", path=path, **{"language": "ko", **settings})


def entries(path: Path, **settings: Any) -> list[Utterance | Rejected]:
    return list(read_source(source(path, **settings)))


def only(path: Path, record: object) -> Utterance | Rejected:
    (entry,) = entries(write(path / "cuts.jsonl", record))
    return entry


def expected(folder: Path) -> list[Utterance]:
    def said(of: str, text: str, speaker: str, audio: Excerpt) -> Utterance:
        return Utterance(of, audio, text, "ko", "train", speaker)

    mono, stereo = folder / "rec1.wav", folder / "st.wav"
    return [
        said("u1", "첫 문장", "kim", Excerpt(mono, 0.5, 1.25)),
        said("u2", "둘째 문장", "lee", Excerpt(mono, 2.0, 1.0)),
        said("u3", "셋째", "kim", Excerpt(stereo, 1.0, 1.0, 1)),
        said("u4", "넷째", "kim", Excerpt(stereo, 2.0, 1.0)),
    ]


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz"])
def test_cuts_trimmed_cuts_and_supervisions_give_the_same(tmp_path: Path, ending: str) -> None:
    write(tmp_path / f"cuts{ending}", *CUTS)
    write(tmp_path / f"trimmed{ending}", *TRIMMED)
    write(tmp_path / f"r{ending}", MONO, STEREO)
    write(tmp_path / f"s{ending}", U1, U2, U3, U4)
    assert entries(tmp_path) == expected(tmp_path)
    assert entries(tmp_path / f"trimmed{ending}") == expected(tmp_path)
    of_two = entries(tmp_path, recordings=f"r{ending}", supervisions=f"s{ending}")
    assert of_two == expected(tmp_path)


def test_files_of_the_usual_names_need_not_be_named(tmp_path: Path) -> None:
    write(tmp_path / "recordings.jsonl.gz", MONO, STEREO)
    write(tmp_path / "supervisions.jsonl.gz", U1, U2, U3, U4)
    assert entries(tmp_path) == expected(tmp_path)


def test_prepared_samples_are_the_slices_of_the_recordings(tmp_path: Path) -> None:
    mono, stereo = recordings(tmp_path)
    write(tmp_path / "cuts.jsonl.gz", *CUTS)
    prepare("mine", source(tmp_path), tmp_path / "out")
    corpus = Corpus.open(tmp_path / "out")
    found = {record.id: corpus.samples(record) for record in corpus.records("train")}
    assert sorted(found) == ["u1", "u2", "u3", "u4"]
    second = RATE_HZ
    assert np.array_equal(found["u1"], mono[second // 2 : second // 2 + 20_000])
    assert np.array_equal(found["u2"], mono[2 * second : 3 * second])
    assert np.array_equal(found["u3"], stereo[second : 2 * second, 1])
    mean = stereo[2 * second : 3 * second].mean(axis=1)
    assert np.abs(found["u4"] - mean).max() <= 1 / 32_768


def test_each_split_has_a_manifest_of_its_own(tmp_path: Path) -> None:
    write(tmp_path / "cuts_train.jsonl", CUTS[0])
    write(tmp_path / "cuts_test.jsonl", CUTS[1])
    found = entries(tmp_path, cuts={"train": "cuts_train.jsonl", "test": "cuts_test.jsonl"})
    assert [(e.id, e.split) for e in found if isinstance(e, Utterance)] == [
        ("u1", "train"),
        ("u2", "train"),
        ("u3", "test"),
        ("u4", "test"),
    ]


def test_one_manifest_is_divided_by_speaker(tmp_path: Path) -> None:
    cuts = [
        {**CUTS[0], "supervisions": [{**U1, "id": f"u{n}", "text": f"글 {n}", "speaker": f"s{n}"}]}
        for n in range(20)
    ]
    path = write(tmp_path / "cuts.jsonl", *cuts)
    found = [e for e in entries(path, test_share=0.2) if isinstance(e, Utterance)]
    assert len(found) == 20
    assert {split: sum(e.split == split for e in found) for split in ("train", "test")} == {
        "train": 16,
        "test": 4,
    }


def test_recordings_lie_in_a_folder_of_their_own(tmp_path: Path) -> None:
    write(tmp_path / "cuts.jsonl", CUTS[0])
    first, _ = entries(tmp_path, audio_folder="../audio")
    assert isinstance(first, Utterance)
    assert isinstance(first.audio, Excerpt)
    assert first.audio.path.resolve() == (tmp_path.parent / "audio" / "rec1.wav").resolve()


@pytest.mark.parametrize(
    ("cut", "reason", "id_"),
    [
        (PADDED, "transformed", PADDED["id"]),
        ({**CUTS[0], "supervisions": []}, "empty-text", "rec1-0"),
        ({**CUTS[0], "recording": None}, "missing", "rec1-0"),
        ({**CUTS[0], "start": "soon"}, "bad-line", "rec1-0"),
        ({**CUTS[0], "supervisions": [{**U1, "duration": None}]}, "bad-line", "u1"),
        ({**CUTS[0], "supervisions": [{**U1, "text": 3}]}, "bad-line", "u1"),
        ({**CUTS[0], "supervisions": [{**U1, "channel": 1}]}, "outside", "u1"),
        ({**CUTS[0], "supervisions": [{**U1, "channel": -1}]}, "bad-line", "u1"),
        ({**CUTS[0], "supervisions": ["u1"]}, "bad-line", ""),
        ({"id": "", "recording": MONO}, "bad-line", ""),
        (["no", "object"], "bad-line", ""),
    ],
)
def test_what_is_no_utterance_is_told_with_its_reason(
    tmp_path: Path, cut: object, reason: str, id_: str
) -> None:
    entry = only(tmp_path, cut)
    assert isinstance(entry, Rejected)
    assert (entry.reason, entry.id) == (reason, id_)
    assert entry.where == f"{tmp_path / 'cuts.jsonl'} line 1"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sources": [{"type": "command", "channels": [0], "source": "touch hit"}]}, "command"),
        ({"sources": [{"type": "url", "channels": [0], "source": "http://x/a.wav"}]}, "no-file"),
        ({"sources": [{"type": "memory", "channels": [0], "source": "AAAA"}]}, "no-file"),
        ({"transforms": [{"name": "Speed", "kwargs": {"factor": 0.9}}]}, "transformed"),
        ({"sources": []}, "bad-line"),
        ({"sources": "rec1.wav"}, "bad-line"),
    ],
)
def test_nothing_that_a_recording_names_is_run_or_fetched(
    tmp_path: Path, change: dict[str, Any], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    entry = only(tmp_path, {**CUTS[0], "recording": {**MONO, **change}})
    assert isinstance(entry, Rejected)
    assert entry.reason == reason
    assert not (tmp_path / "hit").exists()


def test_recordings_and_supervisions_without_each_other_are_told(tmp_path: Path) -> None:
    write(tmp_path / "recordings.jsonl", MONO, STEREO, MONO)
    write(tmp_path / "supervisions.jsonl", U1, {**U2, "recording_id": "rec9"})
    found = entries(tmp_path)
    assert [(e.id, e.reason) for e in found if isinstance(e, Rejected)] == [
        ("rec1", "duplicate-id"),
        ("u2", "missing"),
        ("st", "empty-text"),
    ]
    assert [e.id for e in found if isinstance(e, Utterance)] == ["u1"]
    assert count_source(source(tmp_path)) == len(found)


def test_splits_may_share_their_recordings(tmp_path: Path) -> None:
    write(tmp_path / "r.jsonl", MONO, STEREO, {**MONO, "id": "rec3"})
    write(tmp_path / "train.jsonl", U1, U2)
    write(tmp_path / "test.jsonl", U3, U4)
    found = entries(
        tmp_path,
        recordings={"train": "r.jsonl", "test": "r.jsonl"},
        supervisions={"train": "train.jsonl", "test": "test.jsonl"},
    )
    assert [(e.id, e.split) for e in found if isinstance(e, Utterance)] == [
        ("u1", "train"),
        ("u2", "train"),
        ("u3", "test"),
        ("u4", "test"),
    ]
    assert [(e.id, e.reason) for e in found if isinstance(e, Rejected)] == [("rec3", "empty-text")]


def resampled(rate_hz: int) -> dict[str, Any]:
    """As `CutSet.resample` writes it."""
    kwargs = {"source_sampling_rate": 48_000, "target_sampling_rate": rate_hz}
    return {
        **CUTS[0],
        "recording": {**MONO, "transforms": [{"name": "Resample", "kwargs": kwargs}]},
    }


def test_another_sample_rate_is_no_change_while_that_of_speech_is_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "cuts.jsonl", resampled(16_000))
    assert entries(path) == expected(tmp_path)[:2]
    entry = only(tmp_path, resampled(8_000))
    assert isinstance(entry, Rejected)
    assert entry.reason == "transformed"


def test_cuts_of_releases_before_0_8_are_mono_cuts(tmp_path: Path) -> None:
    path = write(tmp_path / "cuts.jsonl", {**CUTS[0], "type": "Cut"})
    assert entries(path) == expected(tmp_path)[:2]


def test_a_supervision_without_a_channel_has_that_of_its_cut(tmp_path: Path) -> None:
    bare = {key: value for key, value in U3.items() if key != "channel"}
    cut = {**TRIMMED[2], "supervisions": [{**bare, "start": 0.0}]}
    path = write(tmp_path / "cuts.jsonl", cut)
    assert entries(path) == [expected(tmp_path)[2]]


def test_windows_that_cut_a_supervision_do_not_give_it_twice(tmp_path: Path) -> None:
    # As `CutSet.cut_into_windows(2.2)` writes what spans two windows: from before the second.
    recordings(tmp_path)
    windows = [
        {**CUTS[0], "id": "rec1-0-0", "start": 0.0, "duration": 2.2},
        {
            **CUTS[0],
            "id": "rec1-0-1",
            "start": 2.2,
            "duration": 2.2,
            "supervisions": [{**U2, "start": -0.2}],
        },
    ]
    card = prepare("mine", source(write(tmp_path / "cuts.jsonl", *windows)), tmp_path / "out")
    assert (card.read, card.taken, card.reasons) == (3, 2, {"duplicate-id": 1})


def test_a_bad_line_costs_only_itself(tmp_path: Path) -> None:
    path = write(tmp_path / "cuts.jsonl", CUTS[0])
    path.write_bytes(b'{"id": \n' + path.read_bytes() + b"\xff\xfe\n")
    found = entries(path)
    assert [type(e).__name__ for e in found] == ["Rejected", "Utterance", "Utterance", "Rejected"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "holds neither cuts"),
        ({"cuts": "nowhere.jsonl"}, "no such list"),
        ({"cuts": {"train": "a.jsonl", "test": "a.jsonl"}}, "two splits have the same"),
    ],
)
def test_manifests_that_are_not_there_are_one_line(
    tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        entries(tmp_path, **settings)


def test_a_gzip_file_that_breaks_off_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "cuts.jsonl.gz", *CUTS)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match="breaks off"):
        entries(path)


@pytest.mark.parametrize(
    "settings",
    [
        {"recordings": "r.jsonl"},
        {"cuts": "c.jsonl", "recordings": "r.jsonl", "supervisions": "s.jsonl"},
        {"recordings": {"train": "r.jsonl"}, "supervisions": {"test": "s.jsonl"}},
    ],
)
def test_keys_that_do_not_go_together_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        source(Path("x"), **settings)


def test_a_mended_recording_is_noticed(tmp_path: Path) -> None:
    recordings(tmp_path)
    write(tmp_path / "cuts.jsonl", *CUTS)
    before = describe_source(source(tmp_path))
    assert describe_source(source(tmp_path)) == before
    soundfile.write(tmp_path / "rec1.wav", np.zeros(100, np.int16), RATE_HZ)
    assert describe_source(source(tmp_path)) != before


def test_a_command_for_one_channel_leaves_the_file_of_the_other(tmp_path: Path) -> None:
    sources = [
        {"type": "command", "channels": [0], "source": "touch hit"},
        {"type": "file", "channels": [1], "source": "rec1.wav"},
    ]
    found = {}
    for channel in (0, 1):
        said = [{**each, "channel": channel} for each in CUTS[0]["supervisions"][:1]]
        cut = {**CUTS[0], "recording": {**MONO, "sources": sources}, "supervisions": said}
        found[channel] = only(tmp_path, cut)
    assert isinstance(found[1], Utterance)
    assert isinstance(found[0], Rejected)
    assert found[0].reason == "command"
