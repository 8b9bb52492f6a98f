"""A tiny random model of the real architecture, clips for it, and a corpus of them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
from made_source import prepare_made

import small
from soritune.corpus.store import Corpus
from soritune.models.phi4mm.prompts import instruction
from soritune.tasks import Answer, Request, Task
from soritune.utterance import Split, Utterance

ASR = Request(Task.ASR, "ko")
SENTENCES = (
    "오늘 날씨가 좋습니다.",
    "The weather is nice today!",
    instruction(ASR),
    "내일은 비가 온다고 해요.",
)
SIZE = small.SmallSize(
    vocabulary=320,
    hidden=32,
    layers=2,
    heads=4,
    key_value_heads=2,
    mlp=48,
    audio_hidden=24,
    audio_blocks=2,
    audio_heads=2,
    audio_mlp=32,
    conv_channels=4,
)


def said(text: str) -> Answer:
    """The answer to `ASR`."""
    return Answer(transcript=text)


def noise(num_samples: int, seed: int = 0) -> npt.NDArray[np.float32]:
    """Noise whose colour and loudness change with the seed."""
    random = np.random.default_rng(seed)
    samples = random.normal(0, 0.1, num_samples)
    tone = 0.3 * np.sin(np.arange(num_samples) * random.uniform(0.05, 0.5))
    return (samples * np.linspace(0.2, 1, num_samples) + tone).clip(-1, 1).astype(np.float32)


def save_small_base(folder: Path, seed: int = 0) -> Path:
    tokenizer = small.train_tokenizer(list(SENTENCES) * 3, SIZE.vocabulary)
    model = small.build(small.small_config(SIZE, tokenizer), seed)
    small.set_feature_statistics(model, (_features(index) for index in range(4)))
    small.save_base(model, tokenizer, folder)
    return folder


def _features(seed: int):  # type: ignore[no-untyped-def]
    from soritune.models.phi4mm.features import log_mel

    return log_mel(noise(16_000, seed))


def utterances(train: int, test: int, dev: int = 0, *, translated: bool) -> Iterator[Utterance]:
    splits: list[tuple[Split, int]] = [("train", train), ("test", test), ("dev", dev)]
    for split, count in splits:
        for index in range(count):
            buffer = io.BytesIO()
            samples = noise(3_000 + 997 * (7 * index % 11), index)
            soundfile.write(buffer, samples, 16_000, format="WAV")
            yield Utterance(
                id=f"{split}-{index}",
                audio=buffer.getvalue(),
                text=f"문장 {index} 입니다",
                language="ko",
                split=split,
                translation=f"this is sentence {index}" if translated else None,
                translation_language="en" if translated else None,
            )


def make_corpus(
    folder: Path, name: str, *, train: int, test: int = 0, dev: int = 0, translated: bool = True
) -> Corpus:
    prepare_made(name, utterances(train, test, dev, translated=translated), folder)
    return Corpus.open(folder)
