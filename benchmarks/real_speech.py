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
from soritune.recipe.schema import ORIGINAL
from soritune.scoring.results import read_results
from soritune.scoring.score import RAW
from soritune.tasks import Request, Task

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
    # Other draws of the same noise: does a difference that was seen hold?
    "noise-again": {"transform": "AddColorNoise", "p": 1, "min_snr_db": 3, "max_snr_db": 8},
}
JOINED_S = 28.5  # of joined recordings; the window of Whisper has 30 s
SINGLE_EVERY = 16
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


JOINED = "joined"


def recipe(
    options: argparse.Namespace, conditions: Mapping[str, Path], joined: Path | None = None
) -> dict[str, Any]:
    """The experiment as a recipe; without conditions it is what their recordings come from."""
    corpora: dict[str, Any] = {
        "speech": {
            "source": "manifest",
            "path": str(options.speech.resolve()),
            "split_by": ["sentence"] if options.speaker else ["speaker", "sentence"],
            "test_share": 0.2 if options.speaker else 0.1,
            "dev_share": 0.05,
        },
        "english": {"source": "demo", "language": "en", "train": 0, "dev": 0, "test": 120},
    }
    corpora |= {
        name: {"source": "manifest", "path": str(path)} for name, path in conditions.items()
    }
    if joined is not None:
        corpora[JOINED] = {"source": "manifest", "path": str(joined)}
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
        "lora-1-augmented": {**lora, "train": augmented},
        "encoder-1-augmented": {
            **lora,
            "mode": "encoder",
            "train": augmented,
            "learning_rate": options.encoder_rate,
        },
        "lora-3-augmented": {**lora, "train": augmented, "epochs": 3},
        "full-joined": {
            **lora,
            "mode": "full",
            "train": [JOINED],
            "batch_size": 2,
            "learning_rate": options.full_rate,
            "warmup_steps": 5,
        },
        "encoder-joined": {
            **lora,
            "mode": "encoder",
            "train": [JOINED],
            "learning_rate": options.encoder_rate,
        },
        "lora-joined": {**lora, "mode": "lora+encoder-lora", "train": [JOINED]},
    }
    evaluations = {
        "read": {"corpus": "speech", "task": "asr", "limit": options.test},
        **{name: {"corpus": name, "task": "asr"} for name in conditions},
        "english": {"corpus": "english", "task": "asr", "limit": options.english},
    }
    return {
        "name": "real-speech",
        "seed": SEED,
        "output": str(options.out / "run"),
        "language": "ko",
        "model": {"base": str(options.base), "lora": {"r": 32, "alpha": 64, "dropout": 0.05}},
        "corpora": corpora,
        "cases": {
            name: cases[name]
            for name in options.cases
            if joined is not None or not name.endswith(JOINED)
        },
        "evaluate": evaluations,
    }


def write_speaker(options: argparse.Namespace) -> None:
    """Replace the list by one of the recordings of `options.speaker`."""
    folder = options.speech.resolve().parent
    lines = []
    for line in options.speech.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["speaker"] == options.speaker:
            row["audio"] = str(folder / row["audio"])
            lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    options.speech = options.out / "speaker.jsonl"
    options.speech.write_text("".join(lines), encoding="utf-8")


def write_conditions(corpus: Corpus, options: argparse.Namespace) -> dict[str, Path]:
    """Write changed copies of some of the test recordings; return a list for each condition."""
    folder = options.out / "conditions"
    records = corpus.records("test")
    read = subset([record.id for record in records], options.test)
    kept = set(subset(list(read), options.condition))
    lists = {}
    for name in options.conditions:
        step = CONDITIONS[name]
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


def write_joined(corpus: Corpus, folder: Path, options: argparse.Namespace) -> Path:
    """Write training recordings joined to almost 30 s, `options.passes` times; return their list.

    The encoder of Whisper hears 30 s, whatever a recording lasts: joined, an hour costs a fraction
    of what it costs as single sentences. Each recording is augmented by itself. One in
    `SINGLE_EVERY` stays alone, so that the model keeps ending after a short one.
    """
    place = folder / f"joined-{options.passes}"
    place.mkdir(parents=True, exist_ok=True)
    augmenter = Augmenter(Augmentation.model_validate(TRAINING_AUGMENTATION))
    records = corpus.records("train")
    kept = set(subset([record.id for record in records], options.train))
    records = [record for record in records if record.id in kept]
    lines = []

    def write(name: str, parts: list[tuple[Samples, str]]) -> None:
        soundfile.write(
            place / f"{name}.flac", np.concatenate([each for each, _ in parts]), SAMPLE_RATE_HZ
        )
        text = " ".join(text for _, text in parts)
        line = {"audio": f"{name}.flac", "text": text, "split": "train", "id": name}
        lines.append(json.dumps(line, ensure_ascii=False) + "\n")

    for turn in range(options.passes):
        random = np.random.default_rng((SEED, turn))
        window: list[tuple[Samples, str]] = []
        count = 0
        for number, index in enumerate(random.permutation(len(records))):
            record = records[index]
            clip = Clip(record.id, record.speaker)
            changed = augmenter.samples(corpus.samples(record), clip, (SEED, turn, record.id))
            samples = changed.samples
            if number % SINGLE_EVERY == 0:
                write(f"{turn}-alone-{number}", [(samples, record.text)])
                continue
            pause = np.zeros(int(random.uniform(0.1, 0.5) * SAMPLE_RATE_HZ), np.float32)
            length = sum(len(each) for each, _ in window) + len(samples) + len(pause)
            if window and length > JOINED_S * SAMPLE_RATE_HZ:
                write(f"{turn}-{count}", window)
                window, count = [], count + 1
            window.append((np.concatenate([samples, pause]), record.text))
        write(f"{turn}-{count}", window)
    path = place / "list.jsonl"
    path.write_text("".join(lines), encoding="utf-8")
    return path


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

    model = load(model_folder, device="cpu")
    request = Request(Task.ASR, language)
    inputs = [model.processor.encode(samples, request) for _, samples in non_speech()]
    answers = model.generate(inputs, [model.processor.max_new_tokens(10.0)] * len(inputs))
    texts = [answer.text for answer in answers]
    return sum(len(text.replace(" ", "")) for text in texts), texts


def run(options: argparse.Namespace) -> None:
    options.out.mkdir(parents=True, exist_ok=True)
    if options.speaker:
        write_speaker(options)
    path = options.out / "recipe.yaml"

    def experiment(conditions: Mapping[str, Path], joined: Path | None = None) -> Experiment:
        content = recipe(options, conditions, joined)
        path.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), "utf-8")
        return Experiment(load_experiment(path), print, source=path)

    with locked(options.out):
        first = experiment({})
        first.prepare(["speech"])
        speech = Corpus.open(first.plan.corpus_folder("speech"))
        lists = write_conditions(speech, options)
        joins = any(case.endswith(JOINED) for case in options.cases)
        joined = write_joined(speech, options.out, options) if joins else None
        experiment(lists, joined).run()
        folders = {ORIGINAL: str(options.base)}
        folders |= {name: str(first.plan.model_folder(name)) for name in options.cases}
        counts = {name: invented(folder, "ko") for name, folder in folders.items()}

        results = read_results(first.plan.results_path)

    columns = ["read", *lists, "english"]
    rates = {
        (each.case, each.evaluation): f"{each.value:.1f} [{each.low:.1f}–{each.high:.1f}]"
        for each in results.scores
        if (each.metric, each.variant) == ("cer", RAW)
    }
    changes = {
        (each.case_b, each.evaluation): f"{each.difference:+.1f} [{each.low:+.1f} to "
        f"{each.high:+.1f}] ({each.words})"
        for each in results.tests
        if (each.metric, each.variant, each.case_a) == ("cer", RAW, ORIGINAL)
    }
    print(f"\n| CER | {' | '.join(columns)} | characters a minute without speech |")
    print("|---|" + "---|" * (len(columns) + 1))
    for case, (count, _) in counts.items():
        print(f"| {case} | {' | '.join(rates[case, column] for column in columns)} | {count} |")
    print(f"\n| CER less the base's | {' | '.join(columns)} |")
    print("|---|" + "---|" * len(columns))
    for case in options.cases:
        print(f"| {case} | {' | '.join(changes[case, column] for column in columns)} |")
    for case, (_, texts) in counts.items():
        print(f"{case} without speech: {texts}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("speech", type=Path)
    parser.add_argument("base", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/real-speech"))
    parser.add_argument("--speaker", help="take the recordings of this speaker alone")
    parser.add_argument("--train", type=int, default=200, help="utterances")
    parser.add_argument("--test", type=int, default=40, help="utterances as they are")
    parser.add_argument("--condition", type=int, default=24, help="utterances of each condition")
    parser.add_argument(
        "--conditions",
        nargs="*",
        choices=list(CONDITIONS),
        default=[name for name in CONDITIONS if name != "noise-again"],
    )
    parser.add_argument("--english", type=int, default=16, help="English sentences")
    parser.add_argument("--lora-rate", type=float, default=5e-4)
    parser.add_argument("--encoder-rate", type=float, default=1e-5)
    parser.add_argument("--full-rate", type=float, default=3e-5)
    parser.add_argument("--passes", type=int, default=1, help="over the recordings, joined")
    parser.add_argument(
        "--cases",
        nargs="*",
        default=["lora-1", "lora-1-augmented", "encoder-1-augmented", "lora-3-augmented"],
    )
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
