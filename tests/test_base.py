"""The small base that ships: what it is said to be, measured on clips made here."""

from __future__ import annotations

from pathlib import Path

import jiwer
import pytest

import soritune
from soritune.models import load, resolve
from soritune.models.speech_model import SpeechModel
from soritune.sources.corpora.demo.source import DemoSource, read
from soritune.tasks import Request, Task
from soritune.utterance import RenderedAudio, Utterance

CLIPS = 16


@pytest.fixture(scope="module")
def model() -> SpeechModel:
    return load("builtin:tiny")


def _cer(model: SpeechModel, language: str) -> float:
    source = DemoSource.model_validate(
        {"source": "demo", "language": language, "train": 0, "dev": 0, "test": CLIPS, "seed": 5}
    )
    utterances: list[Utterance] = list(read(source))
    inputs, limits = [], []
    for utterance in utterances:
        assert isinstance(utterance.audio, RenderedAudio)
        samples, rate_hz = utterance.audio.render()
        inputs.append(model.processor.encode(samples, Request(Task.ASR, "en")))
        limits.append(model.processor.max_new_tokens(len(samples) / rate_hz))
    outputs = [answer.text for answer in model.generate(inputs, limits)]
    return float(jiwer.cer([utterance.text for utterance in utterances], outputs))


def test_it_hears_english_and_not_korean(model: SpeechModel) -> None:
    assert _cer(model, "en") <= 0.05
    assert _cer(model, "ko") >= 0.8


def test_it_is_small_and_says_how_it_was_made(model: SpeechModel) -> None:
    folder = resolve("builtin:tiny")
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 20e6
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "synthetic" in card
    parameters = sum(parameter.numel() for parameter in model.module.parameters())
    assert f"{parameters:,} parameters" in card
    shipped = Path(__file__).parent.parent / "tools/make_tiny_base/recipe.yaml"
    assert (folder / "recipe.yaml").read_bytes() == shipped.read_bytes()


def test_a_file_is_transcribed_from_python(tmp_path: Path) -> None:
    import soundfile

    source = DemoSource(source="demo", language="en", train=0, dev=0, test=1, seed=6)
    utterance = next(iter(read(source)))
    assert isinstance(utterance.audio, RenderedAudio)
    samples, rate_hz = utterance.audio.render()
    soundfile.write(tmp_path / "clip.wav", samples, rate_hz)
    (transcript,) = soritune.load("builtin:tiny").transcribe(tmp_path / "clip.wav")
    assert transcript.file == str(tmp_path / "clip.wav")
    assert jiwer.cer(utterance.text, transcript.text) <= 0.1
    assert transcript.duration_s == pytest.approx(len(samples) / rate_hz)
