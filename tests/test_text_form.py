"""`text:` of a corpus: how transcripts are written, and what that makes anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from made_source import is_prepared
from pydantic import TypeAdapter, ValidationError

import soritune.languages.ko.spacing
from soritune.corpus.prepare import prepare
from soritune.corpus.store import Corpus
from soritune.errors import UserError
from soritune.experiment.scoring import form_signature
from soritune.languages.form import RULES, TextForm
from soritune.languages.ko.spacing import correct_spacing
from soritune.sources import SourceConfig, describe_source

SPACED = [
    ("아버지가방에들어가신다", "아버지가 방에 들어가신다"),
    ("오늘은날씨가좋아서산책을했다", "오늘은 날씨가 좋아서 산책을 했다"),
    ("할수있다", "할 수 있다"),
    ("먹어본적이없다", "먹어 본 적이 없다"),
    ("사과 세개 주세요", "사과 세 개 주세요"),
]


def source(folder: Path, **options: Any) -> Any:
    lines = [
        {"audio": "a.wav", "text": "3시 30분에, 5명!", "translation": "at 3:30", "split": "train"},
        {"audio": "b.wav", "text": "It is 3:30, ok?", "language": "en", "split": "test"},
        {"audio": "c.wav", "text": "…", "split": "train"},
    ]
    for number, line in enumerate(lines):
        samples = 0.1 * np.random.default_rng(number).standard_normal(16_000)
        soundfile.write(folder / str(line["audio"]), samples.astype(np.float32), 16_000)
    path = folder / "list.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    config = {"source": "manifest", "path": str(path), "language": "ko", **options}
    return TypeAdapter(SourceConfig).validate_python(config)


def texts(out: Path) -> dict[str, str]:
    corpus = Corpus.open(out)
    return {r.id: r.text for split in ("train", "test") for r in corpus.records(split)}


def test_korean_is_written_as_the_recipe_says_and_other_languages_stay(tmp_path: Path) -> None:
    spoken = source(tmp_path, text={"numerals": "words", "punctuation": "drop"})
    card = prepare("c", spoken, tmp_path / "out")
    assert texts(tmp_path / "out") == {
        "a.wav": "세 시 삼십 분에 다섯 명",
        "b.wav": "It is 3:30, ok?",
    }
    (record,) = Corpus.open(tmp_path / "out").records("train")
    assert record.translation == "at 3:30"
    # What holds nothing but marks has no transcript any more; nothing disappears silently.
    assert card.reasons == {"empty-text": 1}


def test_another_form_makes_the_corpus_anew_and_none_leaves_it(tmp_path: Path) -> None:
    plain, spoken = source(tmp_path), source(tmp_path, text={"numerals": "words"})
    out = tmp_path / "out"
    assert "text" not in describe_source(plain)
    assert prepare("c", plain, out).fingerprint != prepare("c", spoken, out).fingerprint
    assert is_prepared("c", spoken, out)
    assert not is_prepared("c", plain, out)
    assert texts(out)["a.wav"] == "세 시 삼십 분에, 다섯 명!"


def test_workers_write_the_same_as_one_process(tmp_path: Path) -> None:
    spoken = source(tmp_path, text={"numerals": "words"})
    alone = prepare("c", spoken, tmp_path / "one")
    assert prepare("c", spoken, tmp_path / "two", workers=2).shards == alone.shards


def test_a_form_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="numerals"):
        source(tmp_path, text={"numerals": "roman"})
    with pytest.raises(ValidationError, match="case"):
        source(tmp_path, text={"case": "lower"})


def test_without_kiwi_the_remedy_is_told_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> str:
        raise soritune.languages.ko.spacing.PackageNotFoundError(name)

    monkeypatch.setattr(soritune.languages.ko.spacing, "version", missing)
    with pytest.raises(UserError, match=r"pip install soritune\[korean\]"):
        prepare("c", source(tmp_path, text={"spacing": "correct"}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_kiwi_parts_words_and_changes_no_letter() -> None:
    pytest.importorskip("kiwipiepy")
    for given, right in SPACED:
        assert correct_spacing(given) == right
        assert correct_spacing(right) == right
    # By itself Kiwi writes 이 천 이 십 육 년.
    assert correct_spacing("이천이십육 년 십이월") == "이천이십육 년 십이월"
    described = TextForm(spacing="correct").described()
    assert described["spacing_by"].startswith("kiwipiepy 0.")


def test_a_signature_names_the_form_of_the_references() -> None:
    changed = {"source": "manifest", "text": TextForm(punctuation="drop").described()}
    assert form_signature(changed) == f"|text:punctuation.drop,rules.{RULES}"
    assert form_signature({"source": "manifest", "text": TextForm().described()}) == ""
    assert form_signature({"source": "manifest"}) == ""
    # A card of an earlier version has fewer options.
    assert form_signature({"text": {"numerals": "words"}}) == "|text:numerals.words,rules.1"
