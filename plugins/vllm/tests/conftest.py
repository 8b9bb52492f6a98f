"""What vLLM serves in the tests: exports of a small trained model, clips, and soritune's answers.

Run by `make test-vllm`, which names the Python of vLLM's environment in SORITUNE_VLLM_PYTHON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from running import Server, run, start

import soritune
from soritune.export.export import export
from soritune.models.phi4mm.prompts import instruction
from soritune.models.speech_model import SpeechModel
from soritune.sources.corpora.demo.source import DemoSource, read
from soritune.tasks import Request, Task

NUM_CLIPS = 24
RANK = 32
# Texts of nearly all clips change with it, and still end.
LORA_DEVIATION = 0.08
RECORDINGS_S = (28, 35, 76)
REQUESTS = (
    Request(Task.ASR),
    Request(Task.AST, target_language="ko"),
    Request(Task.AST_COT, target_language="ko"),
)
INSTRUCTIONS = [instruction(request) for request in REQUESTS]


@dataclass(frozen=True)
class Made:
    """Folders of models and clips."""

    folder: Path
    trained: Path

    def exported(self, name: str, source: str | Path, to: str, weight: float | None = None) -> Path:
        """An export, made once."""
        out = self.folder / name
        if not out.exists():
            export(str(source), to, out, lora_weight=weight)
        return out


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Spoken English that the small base understands."""
    folder = tmp_path_factory.mktemp("clips")
    files = []
    source = DemoSource(source="demo", language="en", train=0, dev=0, test=NUM_CLIPS)
    for utterance in read(source):
        samples, rate = utterance.audio.render()  # type: ignore[union-attr]
        files.append(folder / f"{utterance.id}.wav")
        soundfile.write(files[-1], samples, rate)
    return files


@pytest.fixture(scope="session")
def recordings(clips: list[Path], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The clips one after the other, 28, 35 and 76 s of them."""
    folder = tmp_path_factory.mktemp("recordings")
    joined = np.concatenate([soundfile.read(clip, dtype="float32")[0] for clip in clips])
    files = []
    for seconds in RECORDINGS_S:
        files.append(folder / f"{seconds}.wav")
        soundfile.write(files[-1], np.resize(joined, seconds * 16_000), 16_000)
    return files


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A model with a LoRA on the small base, as training leaves it."""
    folder = tmp_path_factory.mktemp("models")
    model = soritune.load("builtin:tiny", device="cpu").model
    model.add_lora(r=RANK, alpha=2 * RANK, dropout=0.0, seed=1)
    generator = torch.Generator().manual_seed(1)
    names = []
    with torch.no_grad():
        for name, parameter in model.module.named_parameters():
            if ".lora_B." in name:
                parameter.normal_(std=LORA_DEVIATION, generator=generator)
            if ".lora_" in name:
                names.append(name)
    model.save(folder / "trained", trained=names, about={"case": "test", "mode": "lora"})
    return Made(folder, folder / "trained")


@pytest.fixture(scope="session")
def longrope(made: Made) -> Path:
    """A folder in the original layout with longrope, whose factors are made up."""
    native = made.folder / "longrope-native"
    export(str(made.trained), "merged", native)
    config = json.loads((native / "config.json").read_text(encoding="utf-8"))
    factors = config["hidden_size"] // config["num_attention_heads"] * 3 // 8
    config["max_position_embeddings"] = 2 * config["original_max_position_embeddings"]
    config["rope_parameters"] |= {
        "rope_type": "longrope",
        "short_factor": [1 + 0.02 * place for place in range(factors)],
        "long_factor": [2.0 + place for place in range(factors)],
        "original_max_position_embeddings": config["original_max_position_embeddings"],
    }
    (native / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return made.exported("longrope", native, "original")


@pytest.fixture(scope="session")
def served(made: Made) -> Iterator[Server]:
    """A server with the adapter beside the base."""
    model = made.exported("original", made.trained, "original")
    adapter = ["--enable-lora", "--max-lora-rank", str(RANK)]
    adapter += ["--lora-modules", f"speech={model / 'speech-lora'}"]
    with start(model, "--max-model-len", "2048", *adapter) as server:
        yield server


def answers(
    model: SpeechModel | str | Path, files: Sequence[Path], request: Request = REQUESTS[0]
) -> list[str]:
    """What soritune writes, clip by clip, before it is split into transcript and translation."""
    if isinstance(model, str | Path):
        model = soritune.load(str(model), device="cpu").model
    texts = []
    for file in files:
        samples, _ = soundfile.read(file, dtype="float32")
        limit = model.processor.max_new_tokens(len(samples) / 16_000)
        (found,) = model.generate([model.processor.encode(samples, request)], [limit])
        texts.append(found.text)
    return [whole(text) for text in texts]


def whole(text: str) -> str:
    """A text without a character whose bytes are cut off: vLLM leaves it out at the end."""
    return text.rstrip("�").strip()


def offline(
    model: Path,
    files: Sequence[Path],
    out: Path,
    *,
    adapter: Path | None = None,
    max_model_len: int = 1024,
    instructions: Sequence[str] = INSTRUCTIONS,
) -> list[list[str]]:
    """What vLLM's `LLM` writes for each instruction; with an adapter, then without it."""
    words = [str(adapter or "-"), str(max_model_len), "16", json.dumps(list(instructions))]
    script = Path(__file__).with_name("offline.py")
    run(script, str(model), str(out), *words, *map(str, files), VLLM_ENABLE_V1_MULTIPROCESSING="0")
    texts = json.loads(out.read_text(encoding="utf-8"))["texts"]
    return [[whole(text) for text in part] for part in texts]
