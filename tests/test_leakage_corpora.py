"""A sentence that one corpus trains on and another is tested on is counted, or left out."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from made_source import prepare_made

from soritune.corpus.card import CorpusCard
from soritune.corpus.leakage import LeftOut, Overlap, find_left_out, find_overlaps
from soritune.utterance import Split, Utterance

TEXTS: dict[str, dict[Split, list[str]]] = {
    "a": {"train": ["하나", "둘", "셋"], "test": ["넷"]},
    "b": {"train": ["넷!", " 넷", "다섯", "..."], "test": ["둘.", "여섯", "?"]},
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, CorpusCard]]:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.sin(np.arange(4000) / 9), 16_000, format="WAV")
    found = {}
    for name, splits in TEXTS.items():
        out = tmp_path_factory.mktemp(name)
        entries = [
            Utterance(f"{split}-{i}", buffer.getvalue(), text, "ko", split)
            for split, texts in splits.items()
            for i, text in enumerate(texts)
        ]
        found[name] = (out, prepare_made(name, entries, out, chunk_size=2))
    return found


def test_shared_sentences_are_counted_across_corpora_whatever_their_punctuation(
    folders: dict[str, tuple[Path, CorpusCard]],
) -> None:
    tested = [("a", "test"), ("b", "test")]
    assert find_overlaps(folders, {("a", "train"): tested, ("b", "train"): tested}) == [
        Overlap(("a", "train"), ("b", "test"), 1, 3),
        Overlap(("b", "train"), ("a", "test"), 2, 4),
    ]


def test_the_line_names_both_sides_and_the_number() -> None:
    line = str(Overlap(("a", "train"), ("b", "test"), 1200, 3000))
    assert line.startswith("1,200 of 3,000 utterances of a train have a sentence that b test")


def test_what_is_held_against_nothing_shares_nothing(
    folders: dict[str, tuple[Path, CorpusCard]],
) -> None:
    assert find_overlaps(folders, {("a", "test"): []}) == []


def test_a_corpus_that_is_not_prepared_is_passed_over(
    folders: dict[str, tuple[Path, CorpusCard]],
) -> None:
    known = {"a": folders["a"]}
    wanted = {("a", "train"): [("b", "test")], ("b", "train"): [("a", "test")]}
    assert find_overlaps(known, wanted) == []
    assert find_left_out(known, ("a", "train"), [("b", "test")]) is None
    assert find_left_out(known, ("b", "train"), [("a", "test")]) is None


def test_what_is_left_out_is_named_by_id_with_who_has_its_sentence(
    folders: dict[str, tuple[Path, CorpusCard]],
) -> None:
    tested = [("a", "test"), ("a", "dev"), ("a", "train")]
    assert find_left_out(folders, ("b", "train"), tested) == LeftOut(
        ("b", "train"), (("a", "test"),), ("train-0", "train-1"), 4
    )
    assert find_left_out(folders, ("b", "test"), tested) == LeftOut(
        ("b", "test"), (("a", "train"),), ("test-0",), 3
    )


def test_a_sentence_without_a_letter_is_no_shared_sentence(
    folders: dict[str, tuple[Path, CorpusCard]],
) -> None:
    """ "..." and "?" have the same key, but nobody says them."""
    assert find_left_out(folders, ("b", "train"), [("b", "test")]) is None


def test_the_line_of_what_is_left_out_names_the_key_that_keeps_it() -> None:
    line = str(LeftOut(("a", "train"), (("b", "test"), ("b", "dev")), ("x",) * 1200, 3000))
    assert line == (
        "1,200 of 3,000 utterances of a train are left out, because b test, b dev have the same "
        "sentences (shared_sentences: keep takes them)"
    )
