"""The curve of a training: every figure once, whatever was interrupted, and no weight changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from made_training import case_of
from safetensors.torch import load_file

from soritune.corpus.store import Corpus
from soritune.errors import UserError
from soritune.experiment.dev import dev_scorer
from soritune.progress import PlainProgress
from soritune.recipe import ModelConfig
from soritune.training.curve import (
    CURVE_FILE,
    CurveLog,
    DevScore,
    read_curve,
    steps_between_points,
)
from soritune.training.run import train_case

DEV = {"every": 2, "utterances": 3}


def test_scores_on_dev_come_when_asked_for_and_change_no_weight(
    small_base: Path, small_corpus: Corpus, tmp_path: Path
) -> None:
    weights = {}
    for name, dev in (("plain", None), ("watched", DEV)):
        scores = iter([50.0, 25.0])

        def score(model: object, scores=scores) -> DevScore:  # type: ignore[no-untyped-def]
            torch.rand(7)  # what is drawn while scoring must not be missing afterwards
            return DevScore("cer", next(scores), 3)

        train_case(
            case_of(epochs=1, dev=dev),
            name="c",
            model=ModelConfig(base=str(small_base), dtype="float32"),
            corpora={"talks": small_corpus},
            out=tmp_path / name,
            seed=7,
            score_dev=score if dev else None,
        )
        (file,) = (tmp_path / name / "model").rglob("*.safetensors")
        weights[name] = load_file(file)
    assert all(torch.equal(weights["plain"][k], weights["watched"][k]) for k in weights["plain"])
    found = [(p.step, p.dev.value) for p in read_curve(tmp_path / "watched") if p.dev]
    assert found == [(2, 50.0), (4, 25.0)]
    losses = [point for point in read_curve(tmp_path / "watched") if point.loss is not None]
    assert tuple(losses) == read_curve(tmp_path / "plain")


def test_the_sample_of_dev_is_scored_by_decoding(small_base: Path, tmp_path: Path) -> None:
    from small_model import make_corpus

    from soritune.models import load

    corpus = make_corpus(tmp_path, "talks", train=2, dev=4)
    score_dev = dev_scorer("c", case_of(dev=DEV), {"talks": corpus})
    assert score_dev is not None
    score = score_dev(load(small_base, device="cpu", dtype="float32"))
    assert (score.metric, score.utterances) == ("cer", 3)
    assert score.value > 0  # an untrained model
    translated = case_of(dev=DEV, train=[{"corpus": "talks", "tasks": {"ast": 1}}])
    score_dev = dev_scorer("c", translated, {"talks": corpus})
    assert score_dev is not None
    assert score_dev(load(small_base, device="cpu", dtype="float32")).metric == "bleu"


def test_dev_scores_without_a_dev_split_say_which_key_makes_one(small_corpus: Corpus) -> None:
    with pytest.raises(UserError, match="Raise dev_share"):
        dev_scorer("c", case_of(dev=DEV), {"talks": small_corpus})
    assert dev_scorer("c", case_of(), {"talks": small_corpus}) is None


def test_the_line_of_progress_ends_with_the_last_figures(tmp_path: Path) -> None:
    lines: list[str] = []
    curve = CurveLog(tmp_path / CURVE_FILE)
    curve.begin([])
    progress = PlainProgress("train", 9, "steps", curve.remark, write=lines.append)
    progress.line()
    curve.append({"step": 2, "loss": 3.14159, "learning_rate": 1e-3})
    curve.append({"step": 2, "dev": {"metric": "cer", "value": 61.25, "utterances": 3}})
    curve.append({"step": 4, "loss": 2.5, "learning_rate": 1e-3})
    curve.append({"train_runtime": 3.0})
    progress.line()
    assert "loss" not in lines[0]
    assert lines[1].endswith("elapsed, loss 2.5, dev CER 61.2")
    assert len((tmp_path / CURVE_FILE).read_text().splitlines()) == 3


def test_a_damaged_line_costs_itself(tmp_path: Path) -> None:
    assert read_curve(tmp_path) == ()
    good = json.dumps({"step": 1, "loss": 2.0, "learning_rate": 0.1, "grad_norm": 1.0})
    (tmp_path / CURVE_FILE).write_bytes(good.encode() + b'\nnot json\n\xff\n{"loss": 1}\n[]\n')
    assert [point.loss for point in read_curve(tmp_path)] == [2.0]


def test_short_trainings_have_a_curve_as_well() -> None:
    assert [steps_between_points(steps) for steps in (1, 5, 100, 10_000)] == [1, 1, 2, 10]
