"""Copies that are stored at preparation: beside the original, in train only, the same again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from made_source import is_prepared
from small_model import noise

from soritune.augment.config import Augmentation
from soritune.corpus.prepare import prepare
from soritune.corpus.store import Corpus
from soritune.sources import describe_source
from soritune.sources.formats.manifest import ManifestSource

pytest.importorskip("audiomentations")

STORED = {"use": ["fast-slow"], "when": "preparation", "copies": 2}


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    lines = []
    for index, split in enumerate(["train"] * 5 + ["dev", "test"]):
        soundfile.write(tmp_path / f"{index}.wav", noise(16_000 + 400 * index, index), 16_000)
        lines.append({"audio": f"{index}.wav", "text": f"문장 {index}", "split": split,
                      "speaker": f"s{index % 2}", "id": f"u{index}"})  # fmt: skip
    lines.append({"audio": "gone.wav", "text": "없는 파일", "split": "train", "id": "gone"})
    path = tmp_path / "list.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return path


def source(path: Path, augment: object) -> ManifestSource:
    return ManifestSource.model_validate(
        {
            "source": "manifest",
            "language": "ko",
            "path": path,
            "shared_speakers": "keep",
            "augment": augment,
        }
    )


def test_each_training_clip_has_its_copies_behind_it_and_no_other_split_has(
    recordings: Path, tmp_path: Path
) -> None:
    card = prepare("mine", source(recordings, STORED), tmp_path / "out")
    corpus = Corpus.open(tmp_path / "out")
    wanted = [f"u{i}{end}" for i in range(5) for end in ("", "+aug1", "+aug2")]
    assert [r.id for r in corpus.records("train")] == wanted
    assert [r.id for r in corpus.records("dev") + corpus.records("test")] == ["u5", "u6"]
    assert (card.read, card.taken, card.quarantined) == (20, 17, 3)
    plain = prepare("mine", source(recordings, None), tmp_path / "plain")
    assert plain.taken == 7
    originals = Corpus.open(tmp_path / "plain")
    for record in originals.records():
        (same,) = (r for r in corpus.records() if r.id == record.id)
        assert corpus.flac(same) == originals.flac(record)


def test_a_copy_is_changed_says_the_same_and_lasts_as_long_as_its_speed_gives(
    recordings: Path, tmp_path: Path
) -> None:
    prepare("mine", source(recordings, STORED), tmp_path / "out")
    records = {r.id: r for r in Corpus.open(tmp_path / "out").records("train")}
    lengths = set()
    for name, record in records.items():
        original = records[name.partition("+")[0]]
        assert (record.text, record.speaker) == (original.text, original.speaker)
        if "+" in name:
            assert record.duration_s != original.duration_s
            assert 1 / 1.3 - 0.01 < record.duration_s / original.duration_s < 1 / 0.8 + 0.01
            lengths.add(round(record.duration_s / original.duration_s, 4))
    assert len(lengths) == 10


def test_workers_and_a_second_run_change_no_byte(recordings: Path, tmp_path: Path) -> None:
    augment = STORED | {"use": ["fast-slow", "babble", "telephone"]}
    cards = [
        prepare("mine", source(recordings, augment), tmp_path / name, workers=workers)
        for name, workers in (("one", 1), ("two", 2))
    ]
    assert [s.sha256 for s in cards[0].shards] == [s.sha256 for s in cards[1].shards]
    assert is_prepared("mine", source(recordings, augment), tmp_path / "one")
    assert not is_prepared("mine", source(recordings, STORED), tmp_path / "one")
    other = prepare("mine", source(recordings, augment | {"seed": 1}), tmp_path / "other")
    assert other.shards[0].sha256 != cards[0].shards[0].sha256


def test_babble_of_a_copy_is_another_training_clip(recordings: Path, tmp_path: Path) -> None:
    augment = {"use": [{"transform": "babble", "p": 1, "min_snr_db": 5, "max_snr_db": 5}],
               "when": "preparation"}  # fmt: skip
    prepare("mine", source(recordings, augment), tmp_path / "out")
    corpus = Corpus.open(tmp_path / "out")
    sounds = {r.id: corpus.samples(r).astype(np.float64) for r in corpus.records("train")}
    for name in ("u0", "u1", "u2", "u3", "u4"):
        copy = sounds[f"{name}+aug1"]
        # The copy may be scaled down as a whole: take the best fit of the original off.
        scale = np.dot(copy, sounds[name]) / np.dot(sounds[name], sounds[name])
        added = copy - scale * sounds[name]
        snr_db = 10 * np.log10(np.mean((scale * sounds[name]) ** 2) / np.mean(added**2))
        assert snr_db == pytest.approx(5.0, abs=0.6)


def test_what_is_done_while_training_makes_no_other_corpus(recordings: Path) -> None:
    plain = describe_source(source(recordings, None))
    assert describe_source(source(recordings, "room")) == plain
    assert describe_source(source(recordings, STORED)) != plain


def test_files_that_an_augmentation_names_count_in_what_is_stored(
    recordings: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "rooms"
    folder.mkdir()
    soundfile.write(folder / "a.wav", noise(1600, 1), 16_000)
    step = {"transform": "room", "impulse_responses": str(folder)}
    described = describe_source(source(recordings, STORED | {"use": [step]}))
    assert describe_source(source(recordings, STORED | {"use": [step]})) == described
    soundfile.write(folder / "b.wav", noise(1600, 2), 16_000)
    assert describe_source(source(recordings, STORED | {"use": [step]})) != described


def test_masks_of_features_cannot_be_stored() -> None:
    with pytest.raises(ValueError, match="cannot stand at preparation"):
        Augmentation.model_validate({"use": ["specaugment"], "when": "preparation"})
