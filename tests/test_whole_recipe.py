"""A whole small recipe with real training and decoding, run to its end and killed on its way."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from soritune.decoding import evaluate as evaluate_module
from soritune.experiment.loading import load_experiment
from soritune.experiment.run import Experiment
from soritune.files import locked
from soritune.report.content import Report

pytest.importorskip("espeakng_loader")

RECIPE = """
name: whole
seed: 7
output: {output}
language: ko
model: {{base: {base}, lora: {{r: 4, alpha: 8, dropout: 0.1}}, dtype: float32}}
corpora:
  korean:  {{source: demo, language: ko, train: 64, dev: 0, test: 12}}
  english: {{source: demo, language: en, train: 16, dev: 0, test: 8}}
cases:
  lora-1:
    mode: lora
    train:
      - {{corpus: korean, tasks: {{asr: 0.5, ast: 0.25, ast-cot: 0.25}}}}
      - {{corpus: english, replay: 0.1}}
    batch_size: 8
    learning_rate: 3e-3
  audio-2: {{like: lora-1, mode: lora+audio, epochs: 2, audio_learning_rate: 1.5e-3}}
evaluate:
  korean:  {{corpus: korean, task: asr}}
  ko2en:   {{corpus: korean, task: ast, from: ko, to: en, limit: 8}}
  english: {{corpus: english, task: asr}}
"""
RECORD_KEYS = [
    "case",
    "evaluation",
    "metric",
    "variant",
    "value",
    "low",
    "high",
    "macro",
    "utterances",
    "speakers",
    "clustered",
    "signature",
    "system",
]
BATCH_SIZE = 4  # several batches an evaluation, so that a kill can fall between them
MOST_TOKENS = 16  # of an answer: untrained models seldom end by themselves

# The run of a recipe in a process of its own, which dies without a word at a moment of it.
KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from soritune.corpus.folder import CorpusFolder
import soritune.experiment.preparation as preparation
import soritune.experiment.run as experiment
import soritune.decoding.evaluate as evaluate
from soritune.experiment.loading import load_experiment
from soritune.models import causal
from soritune.training import trainer

recipe, moment, threads, batch_size, most_tokens = sys.argv[1:]
torch.set_num_threads(int(threads))
evaluate.decode_records.__kwdefaults__["batch_size"] = int(batch_size)
causal.longest_answer = lambda duration_s: int(most_tokens)
preparation.default_workers = lambda: 0
trainer.MIN_SAVE_INTERVAL_S, trainer.SAVE_SHARE = 0.0, 1e9  # a checkpoint after every step

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def before(owner, name, when):
    function = getattr(owner, name)
    def dying(*args, **kwargs):
        if when(*args, **kwargs):
            die()
        return function(*args, **kwargs)
    setattr(owner, name, dying)

calls = 0
def third(*_, **__):
    global calls
    calls += 1
    return calls == 3

if moment == "prepare":  # the second corpus, its speech made, its card not written
    before(CorpusFolder, "finish", lambda self, *_: self.path.name == "english")
elif moment == "decode original":
    before(evaluate, "decode_batch", third)
elif moment == "train":
    before(trainer._Watcher, "on_step_end", lambda self, _, state, *a, **k: state.global_step == 5)
elif moment == "between":  # the first case is trained, not evaluated
    before(experiment.Experiment, "evaluate", lambda self, case, *_: case == "lora-1")
else:
    assert moment == "evaluate"
    before(evaluate, "decode_batch", third)
path = Path(recipe)
experiment.Experiment(load_experiment(path), lambda line: print(line, flush=True)).run()
"""


def write_recipe(folder: Path, base: Path) -> Path:
    folder.mkdir()
    path = folder / "recipe.yaml"
    path.write_text(RECIPE.format(output=folder / "out", base=base), encoding="utf-8")
    return path


def run(path: Path) -> tuple[Report, list[str]]:
    lines: list[str] = []
    recipe = load_experiment(path)
    with locked(recipe.output):
        return Experiment(recipe, lines.append, source=path).run(), lines


def kill(path: Path, moment: str) -> str:
    """Run the recipe until it dies at `moment`; what it said until then."""
    words = [path, moment, torch.get_num_threads(), BATCH_SIZE, MOST_TOKENS]
    command = [sys.executable, "-c", KILLED, *map(str, words)]
    done = subprocess.run(command, capture_output=True, timeout=300, check=False, text=True)
    assert done.returncode == -signal.SIGKILL, (moment, done.stdout, done.stderr[-3000:])
    return done.stdout


def results(path: Path) -> dict[str, Any]:
    """All figures but those of time."""
    found = json.loads((path.parent / "out" / "results.json").read_text(encoding="utf-8"))
    return {name: records for name, records in found.items() if name != "speed"}


@pytest.fixture(autouse=True, scope="module")
def settings():  # type: ignore[no-untyped-def]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("soritune.experiment.preparation.default_workers", lambda: 0)
        defaults = evaluate_module.decode_records.__kwdefaults__
        patch.setitem(defaults, "batch_size", BATCH_SIZE)
        patch.setattr("soritune.models.causal.longest_answer", lambda duration_s: MOST_TOKENS)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, small_base: Path) -> tuple[Path, Report]:
    """The recipe run once without interruption."""
    path = write_recipe(tmp_path_factory.mktemp("recipe") / "whole", small_base)
    return path, run(path)[0]


def test_every_case_has_every_figure_with_its_interval_and_signature(
    whole: tuple[Path, Report],
) -> None:
    records = results(whole[0])["scores"]
    found = [(r["case"], r["evaluation"], r["metric"]) for r in records]
    metrics = [("korean", "cer")] * 3 + [("korean", "wer")] * 2  # raw, seed and reading
    metrics += [("ko2en", "bleu"), ("ko2en", "chrf")]
    metrics += [("english", "cer"), ("english", "wer")]
    assert found == [
        (case, *each) for case in ("original", "lora-1", "audio-2") for each in metrics
    ]
    for record in records:
        assert list(record) == RECORD_KEYS
        assert math.isfinite(record["value"])
        assert record["low"] <= record["value"] <= record["high"]
        assert (
            record["utterances"] == {"korean": 12, "ko2en": 8, "english": 8}[record["evaluation"]]
        )
        assert record["signature"]


def test_table_has_a_row_a_case_and_a_column_an_evaluation(whole: tuple[Path, Report]) -> None:
    path, report = whole
    text = (path.parent / "out" / "report.md").read_text(encoding="utf-8")
    header = next(line for line in text.splitlines() if line.startswith("| model |"))
    columns = [cell.strip() for cell in header.strip("|").split("|")]
    assert columns == ["model", "CER", "CER seed", "CER reading", "WER", "ko2en", "English CER"]
    start = text.splitlines().index(header)
    rows = text.splitlines()[start + 2 : start + 5]
    names = [row.strip("|").split("|")[0].strip() for row in rows]
    assert names == [
        "original",
        "lora-1 (LoRA, 1 epoch)",
        "audio-2 (LoRA + audio encoder unfrozen, 2 epochs, audio 0.0015)",
    ]
    cells = [cell.strip() for row in rows for cell in row.strip("|").split("|")[1:]]
    # A number with its interval in every cell, "12.34 (10.11–15.80)" or alike: none is open.
    assert len(cells) == 3 * 6
    assert all(any(sign.isdigit() for sign in cell) for cell in cells)
    assert "synthetic" in text
    # What was trained, and that it moved, stands in the report of each trained case.
    for case in report.cases[1:]:
        assert case.trained_parameters > 0
        assert case.moved_tensors is not None
        assert case.moved_tensors > 0
    assert set(report.cases[1].trained) == {"LoRA"}
    assert set(report.cases[2].trained) == {"LoRA", "audio encoder", "projector"}


def test_second_run_skips_everything_and_says_the_same(
    whole: tuple[Path, Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, report = whole
    before = results(path)

    def loading(*_: object, **__: object) -> None:
        raise AssertionError("a run with nothing to do loads no model")

    monkeypatch.setattr("soritune.models.load", loading)
    started_s = time.process_time()
    again, lines = run(path)
    assert time.process_time() - started_s < 5
    assert results(path) == before
    assert again.results == report.results
    others = [line for line in lines if "done before" not in line]
    assert [line for line in others if "too few to say" not in line] == []


@pytest.mark.slow
def test_run_killed_at_five_moments_ends_in_the_same_results(
    whole: tuple[Path, Report], small_base: Path, tmp_path: Path
) -> None:
    path = write_recipe(tmp_path / "killed", small_base)
    out = tmp_path / "killed" / "out"
    decoded = out / "cases" / "{}" / "hypotheses" / "korean.jsonl"

    kill(path, "prepare")
    assert (out / "corpora/korean/corpus.json").is_file()
    assert not (out / "corpora/english/corpus.json").exists()

    kill(path, "decode original")
    # Two batches of three are written down, and are not decoded again.
    half = Path(str(decoded).format("original"))
    kept = half.read_bytes()
    assert kept.count(b"\n") == 2 * BATCH_SIZE

    kill(path, "train")
    assert half.read_bytes().startswith(kept)
    assert (out / "cases/lora-1/checkpoints/checkpoint-4").is_dir()

    said = kill(path, "between")
    assert "evaluate original, korean: done before" in said
    assert (out / "cases/lora-1/model/soritune.json").is_file()
    assert not (out / "cases/lora-1/hypotheses").exists()

    said = kill(path, "evaluate")
    assert "train lora-1 (LoRA, 1 epoch): done before" in said
    assert Path(str(decoded).format("lora-1")).read_bytes().count(b"\n") == 2 * BATCH_SIZE

    run(path)
    assert results(path) == results(whole[0])
