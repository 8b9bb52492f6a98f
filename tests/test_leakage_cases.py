"""A case trains on no sentence that another corpus of its recipe holds out, unless asked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soritune.corpus.leakage import held_out_splits, overlaps_of
from soritune.experiment.check import check
from soritune.experiment.plan import Plan
from soritune.experiment.preparation import prepare_corpora
from soritune.experiment.run import corpora_of
from soritune.recipe import Recipe
from soritune.report.content import Report, exclusion_sentences
from soritune.report.markdown import markdown
from soritune.report.records import CaseSummary

TEXTS = {
    "a": {"train": ["하나", "둘", "셋", "넷"], "test": ["다섯"]},
    "b": {"train": ["여섯"], "dev": ["둘."], "test": [" 넷!"]},
    "c": {"train": ["일곱"], "test": ["여덟"]},
}


def write_list(folder: Path, name: str) -> Path:
    soundfile.write(folder / "clip.wav", np.sin(np.arange(8_000) / 9), 16_000)
    rows = [
        {"id": f"{split}-{number}", "audio": "clip.wav", "text": text, "split": split}
        for split, texts in TEXTS[name].items()
        for number, text in enumerate(texts)
    ]
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def recipe(
    folder: Path, tested: tuple[str, ...] = ("a", "b"), train: object = ("a",), **case: object
) -> Recipe:
    base = folder / "base"
    base.mkdir(exist_ok=True)
    return Recipe.model_validate(
        {
            "name": "shared",
            "language": "ko",
            "output": str(folder / "out"),
            "model": {"base": str(base)},
            "corpora": {
                name: {"source": "manifest", "path": str(write_list(folder, name))}
                for name in TEXTS
            },
            "cases": {"first": {"mode": "lora", "train": train, **case}},
            "evaluate": {name: {"corpus": name, "task": "asr"} for name in tested},
        }
    )


def prepared(recipe: Recipe, names: tuple[str, ...] = tuple(TEXTS)) -> Plan:
    plan = Plan.of(recipe)
    prepare_corpora(plan, names, lambda line: None, workers=1)
    return plan


def stage(recipe: Recipe) -> str:
    return Plan.of(recipe).train_stage("first").fingerprint


def test_sentences_of_dev_and_test_of_other_corpora_are_left_out(tmp_path: Path) -> None:
    (excluded,) = prepared(recipe(tmp_path)).excluded("first")
    assert excluded.trained == ("a", "train")
    assert excluded.ids == ("train-1", "train-3")
    assert excluded.tested == (("b", "dev"), ("b", "test"))


def test_keep_leaves_nothing_out_and_warns_of_what_is_tested(tmp_path: Path) -> None:
    kept = recipe(tmp_path, shared_sentences="keep")
    plan = prepared(kept)
    assert plan.excluded("first") == ()
    (warning,) = overlaps_of(kept, ["first"], plan.folders(TEXTS))
    assert str(warning).startswith("1 of 4 utterances of a train have a sentence that b test")
    dropped = recipe(tmp_path)
    assert overlaps_of(dropped, ["first"], plan.folders(TEXTS)) == []


def test_a_corpus_that_no_evaluation_takes_holds_nothing_out(tmp_path: Path) -> None:
    assert prepared(recipe(tmp_path, tested=("a", "c"))).excluded("first") == ()


def test_what_a_case_trains_on_is_held_out_only_where_it_is_evaluated(tmp_path: Path) -> None:
    parts = ["a", {"corpus": "b", "split": "dev"}, {"corpus": "b", "split": "test"}]
    found = recipe(tmp_path, train=parts)
    assert held_out_splits(found, found.cases["first"], ("a", "train")) == [("b", "test")]
    assert held_out_splits(found, found.cases["first"], ("b", "test")) == [
        ("a", "dev"),
        ("a", "test"),
    ]


def test_a_training_stays_done_whatever_is_said_where_nothing_is_shared(tmp_path: Path) -> None:
    """So results from before this setting, and from before an evaluation was added, stay."""
    alone = recipe(tmp_path, tested=("a",))
    prepared(alone)
    before = stage(alone)
    assert stage(recipe(tmp_path, tested=("a", "c"))) == before
    assert stage(recipe(tmp_path, tested=("a", "c"), shared_sentences="keep")) == before
    assert stage(recipe(tmp_path, tested=("a", "b"), shared_sentences="keep")) == before
    assert stage(recipe(tmp_path, tested=("a", "b"))) != before


def test_a_recipe_survives_json(tmp_path: Path) -> None:
    kept = recipe(tmp_path, shared_sentences="keep")
    assert Recipe.model_validate_json(kept.model_dump_json(by_alias=True)) == kept


def test_training_asks_for_the_corpora_that_hold_out(tmp_path: Path) -> None:
    found = recipe(tmp_path, tested=("b", "c"), train=["a"])
    assert corpora_of(found, ["first"], []) == ["a", "b", "c"]
    kept = recipe(tmp_path, tested=("b", "c"), train=["a"], shared_sentences="keep")
    assert corpora_of(kept, ["first"], []) == ["a"]


def test_check_counts_them_once_they_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soritune.models.open.check_opens", lambda *_: None)
    found = recipe(tmp_path)
    (before,) = check(found).cases
    assert before.utterances_per_epoch is None or not before.exact
    prepared(found, ("a",))
    (half,) = check(found).cases
    assert (half.utterances_per_epoch, half.exact) == (4, False)
    prepared(found)
    after = check(found)
    assert (after.cases[0].utterances_per_epoch, after.cases[0].exact) == (2, True)
    (note,) = after.notes
    assert note.startswith("2 of 4 utterances of a train are left out, because b dev, b test")
    assert not [line for line in after.warnings if "left out" in line]


def test_other_content_of_the_tested_corpus_is_looked_at_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = recipe(tmp_path)
    plan = prepared(found)
    assert len(plan.excluded("first")[0].ids) == 2
    monkeypatch.setitem(TEXTS, "b", {"train": ["여섯"], "test": ["하나", "둘", "셋"]})
    write_list(tmp_path, "b")
    prepare_corpora(plan, ["b"], lambda line: None, workers=1)
    assert plan.excluded("first")[0].ids == ("train-0", "train-1", "train-2")


def test_the_report_says_which_case_lacks_how_many() -> None:
    cases = (
        CaseSummary("original", "original"),
        CaseSummary("first", "first (LoRA)", excluded={"a train": 1200, "b train": 1}),
        CaseSummary("second", "second (LoRA)"),
    )
    report = Report("r", (), cases, ())
    sentence = (
        "“first” was not trained on 1,200 utterances of a train, 1 utterances of b train: dev or "
        "test of another corpus has their sentences."
    )
    assert exclusion_sentences(report) == [sentence]
    assert sentence in markdown(report)
