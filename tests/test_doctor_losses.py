"""Likely label errors by the loss of a model, on the small base, which knows English."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from doctor_corpus import Clip, prepared
from typer.testing import CliRunner

from soritune.cli import app
from soritune.doctor.audit import audit, open_sources
from soritune.doctor.losses import batch_losses, mean_losses
from soritune.doctor.scan import scan
from soritune.models import load
from soritune.models.speech_model import SpeechModel
from soritune.progress import track
from soritune.sources.corpora.demo.source import DemoSource, read
from soritune.tasks import Answer, Request, Task

SWAPPED = ((3, 17), (8, 22), (12, 28))


def clips(swapped: tuple[tuple[int, int], ...] = ()) -> list[Clip]:
    """English test sentences in voices that the base never heard, some with exchanged words."""
    found = []
    for utterance in read(DemoSource(source="demo", language="en", train=0, dev=0, test=36)):
        samples, _ = utterance.audio.render()  # type: ignore[union-attr]
        speaker = utterance.speaker or ""
        found.append(Clip(utterance.id, utterance.text, "en", "test", speaker, samples))
    for one, other in swapped:
        found[one], found[other] = (
            replace(found[one], text=found[other].text),
            replace(found[other], text=found[one].text),
        )
    return found


@pytest.fixture(scope="module")
def model() -> SpeechModel:
    return load("builtin:tiny", device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def swapped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(tmp_path_factory.mktemp("swapped"), "swapped", clips(SWAPPED))


def test_swapped_transcripts_rank_on_top(swapped: Path, model: SpeechModel) -> None:
    result = audit(
        open_sources([swapped]), track=track, model=model, model_name="builtin:tiny"
    ).audit
    (finding,) = (finding for finding in result.findings if finding.check == "high-loss")
    expected = {f"en-test-{place:05d}" for pair in SWAPPED for place in pair}
    assert set(finding.ids[: len(expected)]) == expected
    assert finding.examples[0].id == finding.ids[0]
    assert finding.utterances <= len(expected) + 1
    assert result.model == "builtin:tiny"


def test_without_a_model_nothing_is_said_of_losses(swapped: Path) -> None:
    result = audit(open_sources([swapped]), track=track).audit
    assert result.model is None
    assert "high-loss" not in result.checks
    assert not [finding for finding in result.findings if finding.check == "high-loss"]


def test_the_loss_of_a_row_is_that_of_training_whatever_the_batch(
    swapped: Path, model: SpeechModel
) -> None:
    sources = open_sources([swapped])
    utterances = scan(sources, 1, lambda amount: None)[0].utterances[:7]
    together = mean_losses(utterances, sources, model)
    alone = mean_losses(utterances, sources, model, max_tokens=1)
    request = Request(Task.ASR, "en")
    for place, clip in enumerate(clips(SWAPPED)[:7]):
        encoded = model.processor.encode(clip.samples, request, Answer(clip.text))
        batch = model.processor.collate([encoded])
        with torch.inference_mode():
            expected = float(model.loss(batch, len(encoded.target_ids or [])))
        assert together[place] == pytest.approx(expected, abs=2e-3)  # 16 bits in the shard
        assert alone[place] == pytest.approx(together[place], abs=1e-4)


def test_rows_of_a_batch_keep_their_order(model: SpeechModel) -> None:
    request = Request(Task.ASR, "en")
    chosen = sorted(clips()[:6], key=lambda clip: -len(clip.samples))
    encoded = [model.processor.encode(clip.samples, request, Answer(clip.text)) for clip in chosen]
    losses = batch_losses(model, encoded)
    assert batch_losses(model, encoded[::-1]) == pytest.approx(losses[::-1], abs=1e-4)
    assert len(set(losses)) == len(losses)


def test_the_command_names_the_model_and_the_most_unlikely_first(
    swapped: Path, tmp_path: Path
) -> None:
    page, found = tmp_path / "page.html", tmp_path / "found.json"
    words = ["doctor", swapped, "--model", "builtin:tiny", "--workers", "1"]
    words += ["--html", page, "--json", found, "--exclude", "high-loss", "--lists", tmp_path]
    done = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.stderr
    ranked = (tmp_path / "swapped.txt").read_text(encoding="utf-8").splitlines()
    expected = {f"en-test-{place:05d}\thigh-loss" for pair in SWAPPED for place in pair}
    assert set(ranked[: len(expected)]) == expected
    shown = done.stdout.split("finds unlikely")[1].splitlines()
    (first,) = [line for line in shown if line.strip().startswith("- ")][:1]
    assert ranked[0].split("\t")[0] in first
    assert "losses by builtin:tiny" in page.read_text(encoding="utf-8")
