"""An experiment with stand-ins for training and decoding, which only count."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile

from soritune.decoding.hypotheses import Hypothesis, read_hypotheses
from soritune.experiment.loading import load_experiment
from soritune.experiment.run import Experiment
from soritune.training.summary import TrainingSummary

RECIPE = """
name: small
seed: 7
output: {output}
language: ko
model: {{base: {base}}}
corpora:
  mine: {{source: manifest, path: list.jsonl}}
cases:
  first: {{mode: lora, train: [mine]}}
  second: {{like: first, mode: lora+audio, epochs: 4}}
evaluate:
  korean: {{corpus: mine, task: asr}}
  ko2en: {{corpus: mine, task: ast, from: ko, to: en}}
"""
CONFIG = {"model_type": "phi4_multimodal"}
SENTENCES = [("안녕하세요", "hello"), ("감사합니다", "thank you"), ("네", "yes"), ("아니요", "no")]


class Model(str):
    """What is left of a model: what it learnt."""

    device = "cpu"


class StandIns:
    """Training and decoding that only count; `interrupt_after` utterances decoding is killed."""

    def __init__(self) -> None:
        self.trained: list[str] = []
        self.excluded: list[dict[tuple[str, str], frozenset[str]]] = []
        self.decoded: list[tuple[str, str]] = []
        self.found_checkpoints: list[str] = []
        self.interrupt_after: int | None = None
        self.interrupt_training = False
        self.signal_in_the_last_step: int | None = None

    def train_case(  # type: ignore[no-untyped-def]
        self,
        case,
        *,
        name: str,
        model,
        corpora,
        out: Path,
        seed: int,
        excluded,
        score_dev,
        stop,
    ):
        self.trained.append(name)
        self.excluded.append(excluded)
        checkpoints = out / "checkpoints" / "checkpoint-1"
        if (checkpoints / "trained.safetensors").exists():
            self.found_checkpoints.append((checkpoints / "trained.safetensors").read_text())
        checkpoints.mkdir(parents=True, exist_ok=True)
        (checkpoints / "trained.safetensors").write_text(f"{case.learning_rate}")
        if self.interrupt_training:
            raise KeyboardInterrupt
        if self.signal_in_the_last_step is not None:
            stop.handle(self.signal_in_the_last_step, None)
        (out / "model").mkdir(exist_ok=True)
        (out / "model" / "weights").write_text(f"{name} {case.learning_rate}")
        (out / "training.json").write_text("{}")
        return TrainingSummary(
            mode=case.mode,
            trained={"LoRA": 10},
            parameters=100,
            trained_tensors=4,
            moved_tensors=4,
            steps=1,
            utterances=1,
            audio_s=1.0,
            seconds=1.5,
            audio_s_per_s=1.0,
            peak_memory_bytes=1,
            final_loss=None,
            excluded={},
        )

    def load(self, source: Any, **_: Any) -> Model:
        weights = Path(source) / "weights"
        return Model(weights.read_text() if weights.exists() else "original")

    def decode_records(  # type: ignore[no-untyped-def]
        self, model, corpus, records, *, task, to, out, beams=1, advance=lambda _: None
    ):
        out.parent.mkdir(exist_ok=True)
        done = {each.id: each for each in read_hypotheses(out)}
        for record in records:
            if record.id in done:
                continue
            if self.interrupt_after is not None:
                if self.interrupt_after == 0:
                    raise KeyboardInterrupt
                self.interrupt_after -= 1
            self.decoded.append((model, record.id))
            reference = record.text if to is None else record.translation
            # The untrained base is always wrong, the cases never.
            output = "?" if model == "original" else reference
            done[record.id] = Hypothesis(
                record.id, reference, output, output, None, -0.1, record.duration_s
            )
            with out.open("a") as file:
                file.write(json.dumps(asdict(done[record.id])) + "\n")
            advance(1)
        return [done[record.id] for record in records]


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> StandIns:
    standing_in = StandIns()
    for name, members in {
        "soritune.training.run": {"train_case": standing_in.train_case},
        "soritune.decoding.evaluate": {
            "decode_records": standing_in.decode_records,
            "DEFAULT_BATCH_SIZE": 32,
        },
    }.items():
        module = ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr("soritune.models.load", standing_in.load)
    monkeypatch.setattr("soritune.models.open.check_opens", lambda *_: None)
    # There is no model to free, and collecting garbage takes most of the time.
    monkeypatch.setattr("soritune.models.memory.free_memory", lambda: None)
    monkeypatch.setattr("soritune.experiment.preparation.default_workers", lambda: 0)
    return standing_in


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a base, a few recordings, their list and a recipe."""
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text(json.dumps(CONFIG))
    write_recordings(tmp_path, seed=0)
    write_recipe(tmp_path)
    return tmp_path


def write_recordings(folder: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    lines = []
    for split in ("train", "test"):
        for number, (text, translation) in enumerate(SENTENCES):
            name = f"{split}-{number}.wav"
            samples = random.uniform(-0.5, 0.5, 8000).astype(np.float32)
            soundfile.write(folder / name, samples, 16_000)
            said = text if split == "test" else f"{text} {split}"  # no sentence in two splits
            entry = {"id": name, "audio": name, "text": said, "split": split}
            lines.append(json.dumps({**entry, "translation": translation}))
    (folder / "list.jsonl").write_text("\n".join(lines) + "\n")


def write_recipe(folder: Path, change: Callable[[str], str] = lambda text: text) -> None:
    text = RECIPE.format(output=folder / "out", base=folder / "base")
    changed = change(text)
    (folder / "recipe.yaml").write_text(changed)


def experiment(folder: Path) -> Experiment:
    path = folder / "recipe.yaml"
    return Experiment(load_experiment(path), lambda line: None, source=path)


def figures(folder: Path) -> list[dict[str, Any]]:
    text = (folder / "out" / "results.json").read_text()
    found: list[dict[str, Any]] = json.loads(text)["scores"]
    return found
