"""Fine-tunes Whisper on recordings of people and evaluates it where it was trained and elsewhere.

The recordings are divided by speaker and by sentence. Each case is evaluated on the test recordings
as they are, on copies of some of them that are changed as `augment` changes them (noise, room,
telephone, fast, slow), on English sentences by a synthesizer (what was forgotten?), and on sounds
without speech (what is invented?). Prints a Markdown table for RESULTS.md.

    python benchmarks/real_speech.py SPEECH_LIST WHISPER_FOLDER [--out DIR] [--train 240]

SPEECH_LIST is a list as `source: manifest` takes it, with `speaker`; WHISPER_FOLDER is a Whisper in
the layout of transformers. Interrupted, the same command continues.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import yaml

from soritune.audio import SAMPLE_RATE_HZ, Samples
from soritune.augment.babble import Clip
from soritune.augment.chain import Augmenter
from soritune.augment.config import Augmentation
from soritune.corpus.store import Corpus
from soritune.corpus.subset import subset
from soritune.experiment.loading import load_experiment
from soritune.experiment.run import Experiment
from soritune.files import locked

SEED = 7
CONDITIONS: Mapping[str, Any] = {
    "noise": {"transform": "AddColorNoise", "p": 1, "min_snr_db": 3, "max_snr_db": 8},
    "room": {"transform": "room", "p": 1},
    "telephone": {"transform": "telephone", "p": 1},
    "fast": {
        "transform": "TimeStretch",
        "p": 1,
        "min_rate": 1.5,
        "max_rate": 1.6,
        "leave_length_unchanged": False,
    },
    "slow": {
        "transform": "TimeStretch",
        "p": 1,
        "min_rate": 0.6,
        "max_rate": 0.7,
        "leave_length_unchanged": False,
    },
}
TRAINING_AUGMENTATION = [
    {
        "transform": "OneOf",
        "p": 0.8,
        "transforms": [
            {"transform": "AddColorNoise", "p": 1, "min_snr_db": 3, "max_snr_db": 20},
            {"transform": "room", "p": 1},
            {"transform": "telephone", "p": 1},
            {
                "transform": "TimeStretch",
                "p": 1,
                "min_rate": 0.7,
                "max_rate": 1.5,
                "leave_length_unchanged": False,
            },
        ],
    }
]


def recipe(options: argparse.Namespace, conditions: Mapping[str, Path]) -> dict[str, Any]:
    """The experiment as a recipe; without conditions it is what their recordings come from."""
    corpora: dict[str, Any] = {
        "speech": {
            "source": "manifest",
            "path": str(options.speech.resolve()),
            "split_by": ["speaker", "sentence"],
            "test_share": 0.1,
            "dev_share": 0.05,
        },
        "english": {"source": "demo", "language": "en", "train": 0, "dev": 0, "test": 120},
    }
    corpora |= {
        name: {"source": "manifest", "path": str(path)} for name, path in conditions.items()
    }
    part = {"corpus": "speech", "max_utterances": options.train}
    lora = {
        "mode": "lora",
        "train": [part],
        "epochs": 1,
        "batch_size": 4,
        "learning_rate": options.lora_rate,
        "schedule": "cosine",
        "warmup_steps": 5,
        "weight_decay": 0.0,
    }
    augmented = [{**part, "augment": TRAINING_AUGMENTATION}]
    cases = {
        "lora-1": lora,
        "lora-1-augmented": {"like": "lora-1", "train": augmented},
        "encoder-1-augmented": {
            "like": "lora-1",
            "mode": "encoder",
            "train": augmented,
            "learning_rate": options.encoder_rate,
        },
        "lora-3-augmented": {"like": "lora-1", "train": augmented, "epochs": 3},
    }
    evaluations = {
        "read": {"corpus": "speech", "task": "asr", "limit": options.test},
        **{name: {"corpus": name, "task": "asr"} for name in conditions},
        "english": {"corpus": "english", "task": "asr", "limit": options.condition},
    }
    return {
        "name": "real-speech",
        "seed": SEED,
        "output": str(options.out / "run"),
        "language": "ko",
        "model": {"base": str(options.base), "lora": {"r": 32, "alpha": 64, "dropout": 0.05}},
        "corpora": corpora,
        "cases": {name: cases[name] for name in options.cases},
        "evaluate": evaluations,
    }


def write_conditions(corpus: Corpus, folder: Path, count: int, limit: int) -> dict[str, Path]:
    """Write changed copies of `count` of the test recordings; return a list for each condition."""
    records = corpus.records("test")
    read = subset([record.id for record in records], limit)
    kept = set(subset(list(read), count))
    lists = {}
    for name, step in CONDITIONS.items():
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        augmenter = Augmenter(Augmentation.model_validate(step))
        lines = []
        for record in records:
            if record.id not in kept:
                continue
            clip = Clip(record.id, record.speaker)
            changed = augmenter.samples(corpus.samples(record), clip, (SEED, name, record.id))
            path = place / f"{record.id}.flac"
            soundfile.write(path, changed.samples, SAMPLE_RATE_HZ)
            line = {"audio": path.name, "text": record.text, "split": "test", "id": record.id}
            lines.append(json.dumps(line, ensure_ascii=False) + "\n")
        lists[name] = place / "list.jsonl"
        lists[name].write_text("".join(lines), encoding="utf-8")
    return lists


def non_speech() -> Iterator[tuple[str, Samples]]:
    """Yield sounds of ten seconds without a word, 60 s in all."""
    random = np.random.default_rng(SEED)
    times = np.arange(10 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    white = random.standard_normal(len(times))
    yield "silence", np.zeros(len(times), np.float32)
    for name, samples in (
        ("quiet noise", 0.001 * white),
        ("loud noise", 0.1 * white),
        ("brown noise", 0.1 * np.cumsum(white) / np.abs(np.cumsum(white)).max()),
        ("hum", 0.05 * np.sin(2 * np.pi * 50 * times) + 0.02 * np.sin(2 * np.pi * 150 * times)),
        ("tone", 0.1 * np.sin(2 * np.pi * 440 * times)),
    ):
        yield name, samples.astype(np.float32)


def invented(model_folder: str, language: str) -> tuple[int, list[str]]:
    """Characters that a model writes for a minute without speech, and the texts."""
    from soritune.models import load
    from soritune.tasks import Request, Task

    model = load(model_folder, device="cpu")
    request = Request(Task.ASR, language)
    inputs = [model.processor.encode(samples, request) for _, samples in non_speech()]
    answers = model.generate(inputs, [model.processor.max_new_tokens(10.0)] * len(inputs))
    texts = [answer.text for answer in answers]
    return sum(len(text.replace(" ", "")) for text in texts), texts


def run(options: argparse.Namespace) -> None:
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "recipe.yaml"

    def experiment(conditions: Mapping[str, Path]) -> Experiment:
        content = recipe(options, conditions)
        path.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), "utf-8")
        return Experiment(load_experiment(path), print, source=path)

    with locked(options.out):
        first = experiment({})
        first.prepare(["speech"])
        speech = Corpus.open(first.plan.corpus_folder("speech"))
        lists = write_conditions(
            speech, options.out / "conditions", options.condition, options.test
        )
        report = experiment(lists).run()
        folders = {"original": str(options.base)}
        folders |= {name: str(first.plan.model_folder(name)) for name in options.cases}
        counts = {name: invented(folder, "ko") for name, folder in folders.items()}

    columns = ["read", *lists, "english"]
    cells = {
        (result.case, result.evaluation): f"{result.value:.1f} [{result.low:.1f}–{result.high:.1f}]"
        for result in report.results
        if result.metric == "cer"
    }
    print("\n| CER | " + " | ".join(columns) + " | characters a minute without speech |")
    print("|---|" + "---|" * (len(columns) + 1))
    for case in folders:
        values = [cells.get((case, column), "–") for column in columns]
        print(f"| {case} | " + " | ".join([*values, str(counts[case][0])]) + " |")
    for case, (_, texts) in counts.items():
        print(f"{case} without speech: {texts}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("speech", type=Path)
    parser.add_argument("base", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/real-speech"))
    parser.add_argument("--train", type=int, default=200, help="utterances")
    parser.add_argument("--test", type=int, default=40, help="utterances as they are")
    parser.add_argument("--condition", type=int, default=16, help="utterances of each condition")
    parser.add_argument("--lora-rate", type=float, default=5e-4)
    parser.add_argument("--encoder-rate", type=float, default=1e-5)
    parser.add_argument(
        "--cases",
        nargs="+",
        default=["lora-1", "lora-1-augmented", "encoder-1-augmented", "lora-3-augmented"],
    )
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
