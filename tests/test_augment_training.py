"""Augmentation inside training: anew each epoch, the same in any worker, never in evaluation."""

from __future__ import annotations

from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest
import torch
from made_training import LORA, case_of, stopped_at
from safetensors.torch import load_file
from torch.utils.data import DataLoader, Subset

from soritune.augment.babble import Clip
from soritune.corpus.store import Corpus
from soritune.decoding.evaluate import decode_records
from soritune.experiment.plan import Plan
from soritune.models import load
from soritune.models.phi4mm.model import Phi4mm
from soritune.models.speech_model import Processor
from soritune.recipe import ModelConfig, Recipe, TrainPart
from soritune.tasks import Task
from soritune.training import background
from soritune.training.checkpoints import last_checkpoint
from soritune.training.data import StepDataset, first_item
from soritune.training.run import train_case

pytest.importorskip("audiomentations")

EVERYTHING = ["fast-slow", "babble", {"transform": "telephone", "p": 0.5}, "room", "specaugment"]


@pytest.fixture(scope="module")
def model(small_base: Path) -> Phi4mm:
    return load(small_base, device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def processor(model: Phi4mm) -> Processor:
    return model.processor


def dataset(
    corpus: Corpus, processor: Processor, augment: object = None, *, max_tokens: int = 150
) -> StepDataset:
    part = TrainPart.model_validate({"corpus": "talks", "augment": augment})
    return StepDataset(
        [part],
        {"talks": corpus},
        processor,
        batch_size=6,
        epochs=2,
        max_tokens=max_tokens,
        seed=4,
        mask_value=torch.full((80,), 3.25),
    )


def by_id(data: StepDataset, epoch: int) -> dict[str, torch.Tensor]:
    """Features of each clip as an epoch has them."""
    steps = range(epoch * data.steps_per_epoch, (epoch + 1) * data.steps_per_epoch)
    return {e.record.id: data._features_of(e) for step in steps for e in data.examples(step)}


def test_each_epoch_has_a_draw_of_its_own_and_has_it_again(
    small_corpus: Corpus, processor: Processor
) -> None:
    data = dataset(small_corpus, processor, EVERYTHING)
    first, second = by_id(data, 0), by_id(data, 1)
    again = by_id(dataset(small_corpus, processor, EVERYTHING), 0)
    back = by_id(data, 0)
    for name, features in first.items():
        assert torch.equal(features, again[name])
        assert torch.equal(features, back[name])
        assert not torch.equal(features, second[name])
    plain = by_id(dataset(small_corpus, processor), 0)
    assert set(plain) == set(first)
    assert not any(torch.equal(plain[name], first[name]) for name in plain)


def test_lengths_that_were_planned_are_those_that_come(
    small_corpus: Corpus, processor: Processor
) -> None:
    """The token budget holds for the clips as they are heard, not as they were stored."""
    data = dataset(small_corpus, processor, "fast-slow", max_tokens=120)
    other = 0
    for step in range(data.num_steps):
        for example in data.examples(step):
            features = data._features_of(example)
            item = processor.encode_features(features, example.request, example.answer)
            real = len(item.prompt_ids) + len(item.target_ids or [])
            # The last frame may fall to either side of a token's end.
            assert abs(real - example.num_tokens) <= 1
            plain = processor.num_tokens(example.record.duration_s, example.request, example.answer)
            other += example.num_tokens != plain
        for batch in data[step]:
            rows, longest = batch["input_ids"].shape
            assert rows == 1 or rows * longest <= 120 + rows
    assert other > data.num_steps


def test_specaugment_hides_features_behind_the_mean_and_keeps_the_cached_ones(
    small_corpus: Corpus, processor: Processor
) -> None:
    data = dataset(small_corpus, processor, "specaugment")
    plain = by_id(dataset(small_corpus, processor), 0)
    for epoch in (0, 1):
        for name, features in by_id(data, epoch).items():
            hidden = features != plain[name]
            assert (features[hidden] == 3.25).all()
    assert all(torch.equal(data._features["talks", name], plain[name]) for name in plain)


def test_the_mask_is_what_the_encoder_takes_off(model: Phi4mm) -> None:
    layer = model.module.audio_encoder.encoder_embedding
    normalised = (model.feature_fill - layer.global_mean) * layer.global_invstd
    assert model.feature_fill.shape == (80,)
    assert model.feature_fill.abs().sum() > 0
    assert not normalised.any()


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_of_the_loader_change_nothing(
    small_corpus: Corpus, processor: Processor, workers: int
) -> None:
    data = dataset(small_corpus, processor, EVERYTHING)
    expected = [data[index] for index in range(len(data))]
    loader = DataLoader(
        dataset(small_corpus, processor, EVERYTHING),
        batch_size=1,
        collate_fn=first_item,
        num_workers=workers,
    )
    for ours, theirs in zip(loader, expected, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            assert all(torch.equal(one[name], other[name]) for name in other)


def test_an_utterance_that_a_replay_takes_twice_is_heard_in_two_ways(
    small_corpus: Corpus, other_corpus: Corpus, processor: Processor
) -> None:
    parts = [
        TrainPart.model_validate({"corpus": "talks"}),
        TrainPart.model_validate({"corpus": "other", "replay": 0.6, "augment": "room"}),
    ]
    data = StepDataset(
        parts,
        {"talks": small_corpus, "other": other_corpus},
        processor,
        batch_size=8,
        epochs=1,
        max_tokens=500,
        seed=4,
    )
    examples = [e for step in range(data.num_steps) for e in data.examples(step)]
    replayed = [e for e in examples if e.corpus == "other"]
    assert len(replayed) == 24
    keys = {e.draw.key for e in replayed if e.draw is not None}
    assert len(keys) == 24
    assert all(e.draw is None for e in examples if e.corpus == "talks")


def test_training_stopped_and_resumed_ends_in_the_bits_of_an_uninterrupted_one(
    small_base: Path, small_corpus: Corpus, tmp_path: Path
) -> None:
    part = {"corpus": "talks", "augment": EVERYTHING}
    case = case_of("lora", epochs=2, train=[part], batch_size=16)

    def train(out: Path) -> dict[str, torch.Tensor]:
        train_case(
            case,
            name="case",
            model=ModelConfig(base=str(small_base), dtype="float32"),
            corpora={"talks": small_corpus},
            out=out,
            seed=7,
        )
        (file,) = (out / "model").rglob("*.safetensors")
        return load_file(file)

    assert LORA["dropout"]
    whole = train(tmp_path / "whole")
    out = tmp_path / "stopped"
    with stopped_at(4):
        train(out)
    assert last_checkpoint(out / "checkpoints") == out / "checkpoints" / "checkpoint-3"
    assert not (out / "model").exists()
    resumed = train(out)
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


# -- recipes, fingerprints, evaluation


def recipe(out: Path, augment: object = None, of_case: object = None) -> Recipe:
    part: dict[str, object] = {"corpus": "mine"}
    return Recipe.model_validate(
        {
            "name": "r",
            "language": "ko",
            "output": out,
            "model": {"base": "builtin:tiny"},
            "corpora": {"mine": {"source": "demo", "augment": augment}},
            "cases": {
                "a": {"mode": "lora", "train": [part | {"augment": of_case}]},
                "b": {"mode": "lora", "train": [part]},
            },
            "evaluate": {"m": {"corpus": "mine", "task": "asr"}},
        }
    )


def test_a_case_is_trained_as_its_corpus_says_or_as_it_says_itself(tmp_path: Path) -> None:
    def steps(recipe: Recipe, case: str) -> list[str] | None:
        augment = recipe.cases[case].train[0].augment
        return None if augment is None else [s.transform for s in augment.steps()]

    told = recipe(tmp_path, "fast-slow", ["room"])
    assert (steps(told, "a"), steps(told, "b")) == (["room"], ["fast-slow"])
    assert steps(recipe(tmp_path, "fast-slow", "none"), "a") == []
    assert steps(recipe(tmp_path), "b") is None
    stored = recipe(tmp_path, {"use": ["room"], "when": "preparation", "copies": 2})
    assert steps(stored, "b") is None
    again = Recipe.model_validate_json(told.model_dump_json(by_alias=True))
    assert again == told


def test_another_augmentation_is_another_training_but_the_same_speech_and_evaluation(
    tmp_path: Path,
) -> None:
    plans = [Plan.of(recipe(tmp_path, augment)) for augment in (None, "room", ["room", "babble"])]
    trained = [plan.train_stage("b").fingerprint for plan in plans]
    assert len(set(trained)) == 3
    assert len({plan.decode_stage("original", "m").fingerprint for plan in plans}) == 1


def test_evaluation_hears_the_clips_as_they_are(
    small_corpus: Corpus, model: Phi4mm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = []
    features = model.processor.features

    def listening(samples):  # type: ignore[no-untyped-def]
        heard.append(torch.as_tensor(samples))
        return features(samples)

    monkeypatch.setattr(model.processor, "features", listening)
    records = small_corpus.records("test")
    list(decode_records(model, small_corpus, records, task=Task.ASR, to=None, beams=1,
                        out=tmp_path / "h.jsonl", advance=lambda _: None))  # fmt: skip
    stored = [torch.as_tensor(small_corpus.samples(record)) for record in records]
    assert len(heard) == len(stored)
    for sound in heard:
        assert any(torch.equal(sound, each) for each in stored)


GROUPS = [{"transform": "OneOf", "transforms": ["telephone", "room"]}, *EVERYTHING, "seed"]


def test_a_dataset_that_was_pickled_for_a_worker_gives_the_same(
    small_corpus: Corpus, processor: Processor
) -> None:
    """Python 3.14 no longer forks by default: what a worker gets is pickled."""
    data = dataset(small_corpus, processor, GROUPS)
    sent = ForkingPickler.loads(ForkingPickler.dumps((data, first_item)))[0]
    for index in range(3):
        for one, other in zip(sent[index], data[index], strict=True):
            assert all(torch.equal(one[name], other[name]) for name in other)


@pytest.mark.slow
def test_workers_that_are_not_forked_change_nothing(
    small_corpus: Corpus, processor: Processor
) -> None:
    data = dataset(small_corpus, processor, GROUPS)
    loader = DataLoader(
        Subset(dataset(small_corpus, processor, GROUPS), range(3)),
        batch_size=1,
        collate_fn=first_item,
        num_workers=1,
        multiprocessing_context="spawn",
    )
    for ours, theirs in zip(loader, (data[index] for index in range(3)), strict=True):
        for one, other in zip(ours, theirs, strict=True):
            assert all(torch.equal(one[name], other[name]) for name in other)


def test_voices_in_the_background_cost_no_list_of_the_split_each(
    small_corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def watched(clip: Clip, others: list[object], random: object) -> int:
        asked.append(id(others))
        return 0

    monkeypatch.setattr(background, "choose", watched)
    voices = background.CorpusBackground(small_corpus, "train")
    for _ in range(5):
        assert voices.voice(Clip("train-1"), np.random.default_rng(0)) is not None
    assert len(asked) == 5
    assert len(set(asked)) == 1
