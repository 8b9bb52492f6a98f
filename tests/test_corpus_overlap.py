"""A sentence that one corpus trains on and another is tested on is counted."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soritune.corpus.card import CorpusCard
from soritune.corpus.overlap import Overlap, find_overlaps
from soritune.corpus.prepare import prepare_utterances
from soritune.corpus.utterance import Split, Utterance

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
        found[name] = (out, prepare_utterances(name, entries, {}, out, chunk_size=2))
    return found


def test_shared_sentences_are_counted_across_corpora_whatever_their_punctuation(
    folders: dict[str, tuple[Path, CorpusCard]],
) -> None:
    both: list[tuple[str, str]] = [("a", "train"), ("b", "train")]
    tested = [("a", "test"), ("b", "test"), ("b", "test")]
    assert find_overlaps(folders, both, tested) == [
        Overlap(("a", "train"), ("b", "test"), 1, 3),
        Overlap(("b", "train"), ("a", "test"), 2, 4),
    ]


def test_the_line_names_both_sides_and_the_number() -> None:
    line = str(Overlap(("a", "train"), ("b", "test"), 1200, 3000))
    assert line.startswith("1,200 of 3,000 utterances of a train have a sentence that b test")


def test_training_on_what_is_tested_is_the_recipes_own_business(
    folders: dict[str, tuple[Path, CorpusCard]],
) -> None:
    assert find_overlaps(folders, [("a", "test")], [("a", "test")]) == []


def test_a_corpus_that_is_not_prepared_is_passed_over(
    folders: dict[str, tuple[Path, CorpusCard]],
) -> None:
    known = {"a": folders["a"]}
    assert find_overlaps(known, [("a", "train"), ("b", "train")], [("b", "test")]) == []
