"""A prepared corpus gives back what was put in, from any process."""

from __future__ import annotations

import io
import json
import multiprocessing
import pickle
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from made_source import prepare_made

from soritune.corpus.card import read_card
from soritune.corpus.store import Corpus, Record
from soritune.errors import UserError
from soritune.utterance import Utterance

NUM_UTTERANCES = 70
"""More than two row groups of 25, in three shards."""


def integers(index: int) -> npt.NDArray[np.int16]:
    rng = np.random.default_rng(index)
    return rng.integers(-9000, 9000, size=2000 + 10 * index, dtype=np.int16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("corpus")
    entries = []
    for index in range(NUM_UTTERANCES):
        buffer = io.BytesIO()
        soundfile.write(buffer, integers(index), 16_000, format="WAV")
        entries.append(
            Utterance(
                id=f"u{index}",
                audio=buffer.getvalue(),
                text=f"문장 {index}",
                language="ko",
                split="test" if index % 5 == 0 else "train",
                speaker=f"s{index % 3}",
                translation=f"sentence {index}" if index % 2 else None,
                translation_language="en" if index % 2 else None,
            )
        )
    prepare_made("c", entries, out, chunk_size=30)
    return out


def is_right(corpus: Corpus, record: Record) -> bool:
    samples = corpus.samples(record)
    expected = integers(int(record.id[1:]))
    return samples.dtype == np.float32 and np.array_equal(samples * 32768, expected)


def all_right(corpus: Corpus) -> bool:
    return all(is_right(corpus, record) for record in corpus.records())


def test_records_stand_in_the_order_of_the_source(folder: Path) -> None:
    corpus = Corpus.open(folder)
    assert len(corpus) == NUM_UTTERANCES
    assert [record.id for record in corpus.records()] == [f"u{i}" for i in range(NUM_UTTERANCES)]
    record = corpus.records()[31]
    assert (record.text, record.language, record.speaker) == ("문장 31", "ko", "s1")
    assert (record.translation, record.translation_language) == ("sentence 31", "en")
    assert record.duration_s == pytest.approx(2310 / 16_000)
    assert corpus.records()[2].translation is None


def test_a_split_holds_its_own_records_only(folder: Path) -> None:
    corpus = Corpus.open(folder)
    test = corpus.records("test")
    assert [record.id for record in test] == [f"u{i}" for i in range(0, NUM_UTTERANCES, 5)]
    assert len(corpus.records("train")) + len(test) == NUM_UTTERANCES
    assert corpus.records("dev") == []


def test_samples_are_those_of_the_recording_in_any_order(folder: Path) -> None:
    corpus = Corpus.open(folder)
    order = np.random.default_rng(0).permutation(NUM_UTTERANCES)
    assert all(is_right(corpus, corpus.records()[index]) for index in order)


@pytest.mark.parametrize("cache_bytes", [0, 200_000])
def test_the_cache_stays_within_its_bound_and_changes_nothing(
    folder: Path, cache_bytes: int
) -> None:
    corpus = Corpus.open(folder, cache_bytes=cache_bytes)
    largest_group = 25 * 2 * (2000 + 10 * NUM_UTTERANCES)
    for record in corpus.records():
        assert is_right(corpus, record)
        assert corpus.cached_bytes <= max(cache_bytes, largest_group)


def test_it_travels_to_other_processes_used_or_not(folder: Path) -> None:
    corpus = Corpus.open(folder)
    assert all_right(corpus)
    assert all_right(pickle.loads(pickle.dumps(corpus)))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(all_right, (corpus,))


def test_an_unprepared_folder_names_the_command(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(UserError, match="soritune prepare RECIPE"):
            Corpus.open(folder)


def test_an_interrupted_corpus_is_not_opened(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "00000.parquet").write_bytes(
        (folder / "shards" / "00000.parquet").read_bytes()
    )
    with pytest.raises(UserError, match="soritune prepare RECIPE"):
        Corpus.open(tmp_path)


def test_a_missing_shard_a_damaged_shard_and_a_strange_card_are_named(
    folder: Path, tmp_path: Path
) -> None:
    card = (folder / "corpus.json").read_text(encoding="utf-8")
    (tmp_path / "corpus.json").write_text(card, encoding="utf-8")
    with pytest.raises(UserError, match=r"00000\.parquet: missing"):
        Corpus.open(tmp_path)
    (tmp_path / "shards").mkdir()
    for index in range(3):
        (tmp_path / "shards" / f"0000{index}.parquet").write_bytes(b"no parquet")
    with pytest.raises(UserError, match=r"00000\.parquet: cannot be read"):
        Corpus.open(tmp_path).records()
    for strange in ('{"format_version": 1}', "", card.replace('version": 1', 'version": 99', 1)):
        (tmp_path / "corpus.json").write_text(strange, encoding="utf-8")
        with pytest.raises(UserError, match=r"corpus\.json"):
            Corpus.open(tmp_path)


def test_any_changed_character_of_a_card_is_one_line(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "corpus.json"
    card = (folder / "corpus.json").read_text(encoding="utf-8")
    meant = json.loads(card)
    for place in range(0, len(card), 7):
        changed = f"{card[:place]}{'8' if card[place] != '8' else '9'}{card[place + 1 :]}"
        path.write_text(changed, encoding="utf-8")
        with pytest.raises(UserError, match=r"corpus\.json: .*soritune prepare RECIPE"):
            read_card(tmp_path)
    path.write_text(json.dumps(meant), encoding="utf-8")  # written in another way, the same card
    assert read_card(tmp_path) == read_card(folder)
    del meant["checksum"]  # as earlier versions wrote it
    path.write_text(json.dumps(meant), encoding="utf-8")
    earlier = read_card(tmp_path)
    assert earlier is not None
    assert earlier.sealed() == read_card(folder)
