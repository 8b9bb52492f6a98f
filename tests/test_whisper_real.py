"""Whisper with real weights on real recordings, against transformers' own `generate`.

WHISPER_BASE names the folder of a Whisper, KOREAN_SPEECH one with manifest.jsonl (audio, text) and
its recordings of 16 kHz.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import soundfile
import torch
from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration

from soritune.models import load
from soritune.models.whisper.model import Whisper
from soritune.tasks import Answer, Request, Task

BASE, SPEECH = os.environ.get("WHISPER_BASE"), os.environ.get("KOREAN_SPEECH")
pytestmark = pytest.mark.skipif(not (BASE and SPEECH), reason="no WHISPER_BASE or KOREAN_SPEECH")
NUM_CLIPS = 24
MAX_S = 12.0


@pytest.fixture(scope="module")
def model() -> Whisper:
    return load(str(BASE), device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def reference() -> WhisperForConditionalGeneration:
    return WhisperForConditionalGeneration.from_pretrained(str(BASE)).eval()


@pytest.fixture(scope="module")
def recordings() -> list[tuple[str, torch.Tensor]]:
    """Recordings from all speakers, each with its text."""
    folder = Path(str(SPEECH))
    lines = (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["duration"] < MAX_S]
    chosen = rows[:: len(rows) // NUM_CLIPS][:NUM_CLIPS]
    return [
        (row["text"], soundfile.read(folder / row["audio"], dtype="float32")[0]) for row in chosen
    ]


@pytest.mark.parametrize("task", ["transcribe", "translate"])
def test_greedy_text_is_that_of_transformers(
    model: Whisper, reference: WhisperForConditionalGeneration, recordings, task: str
) -> None:
    request = Request(Task.ASR, "ko") if task == "transcribe" else Request(Task.AST, "ko", "en")
    if task == "translate":
        recordings = recordings[::6]
    extractor = WhisperFeatureExtractor.from_pretrained(str(BASE))
    inputs = [model.processor.encode(samples, request) for _, samples in recordings]
    found = []
    for start in range(0, len(inputs), 8):
        batch = inputs[start : start + 8]
        limits = [model.processor.max_new_tokens(MAX_S)] * len(batch)
        found += [output.text for output in model.generate(batch, limits)]
    expected = []
    for _, samples in recordings:
        features = extractor(samples, sampling_rate=16_000, return_tensors="pt").input_features
        ids = reference.generate(features, language="ko", task=task)
        text = model.processor.tokenizer.decode(ids[0], skip_special_tokens=True)
        expected.append(text.strip())
    assert found == expected


def test_korean_is_detected(model: Whisper, recordings) -> None:
    inputs = [model.processor.encode(samples, Request(Task.ASR)) for _, samples in recordings[::4]]
    named = [
        model.processor.encode(samples, Request(Task.ASR, "ko")) for _, samples in recordings[::4]
    ]
    limits = [100] * len(inputs)
    assert model.generate(inputs, limits) == model.generate(named, limits)


def test_a_space_before_the_target_is_what_the_model_expects(model: Whisper, recordings) -> None:
    request = Request(Task.ASR, "ko")
    losses = []
    for text, samples in recordings[::4]:
        item = model.processor.encode(samples, request, Answer(text))
        plain = model.processor.tokenizer.encode(text, add_special_tokens=False)
        bare = type(item)(item.features, item.prompt_ids, [*plain, model.processor.ids.end])
        losses.append(model.row_losses(model.processor.collate([item, bare])))
    mean = torch.stack(losses).mean(dim=0)
    assert mean[0] < 0.7 * mean[1]
