"""Every example once an epoch, like lengths together, the same again after a restart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import torch

from soritune.corpus.store import Corpus, Record
from soritune.models import load
from soritune.models.phi4mm.model import Phi4mm
from soritune.models.speech_model import Processor
from soritune.recipe import TrainPart
from soritune.training.batching import micro_batches, plan_steps
from soritune.training.data import MicroBatch, StepDataset
from soritune.training.examples import Example
from soritune.training.mixture import NOTHING_EXCLUDED, ExcludedIds


def examples(count: int) -> list[Example]:
    random = np.random.default_rng(0)
    return [
        Example("c", _record(index), "i", "t", int(length))
        for index, length in enumerate(random.integers(20, 500, size=count))
    ]


def _record(index: int) -> Record:
    return Record(f"u{index}", "t", "ko", None, None, None, "train", 1.0, 0, index)


def test_steps_cover_each_example_once_and_only_the_last_is_short() -> None:
    all_examples = examples(1_003)
    steps = plan_steps(all_examples, 16, np.random.default_rng(1))
    counts = Counter(example.record.id for step in steps for example in step)
    assert counts == {example.record.id: 1 for example in all_examples}
    assert sorted(len(step) for step in steps) == [11] + [16] * 62


def test_a_step_holds_like_lengths() -> None:
    steps = plan_steps(examples(800), 16, np.random.default_rng(1))
    spreads = [max(e.num_tokens for e in s) - min(e.num_tokens for e in s) for s in steps]
    # 50 steps share lengths from 20 to 500: about 10 each, where chance alone gives about 425.
    assert np.mean(spreads) < 15
    means = [np.mean([e.num_tokens for e in s]) for s in steps]
    assert means != sorted(means)  # not short ones first


def test_steps_are_fixed_by_the_generator_and_differ_between_epochs() -> None:
    first, again, other = (
        plan_steps(examples(200), 8, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize("budget", [1, 499, 700, 4_000, 10**9])
def test_micro_batches_keep_the_budget_and_lose_nothing(budget: int) -> None:
    step = examples(33)
    cut = list(micro_batches(step, budget, lambda example: example.num_tokens))
    assert sorted(e.record.id for b in cut for e in b) == sorted(e.record.id for e in step)
    for batch in cut:
        padded = len(batch) * max(e.num_tokens for e in batch)
        assert padded <= budget or len(batch) == 1


@pytest.fixture(scope="module")
def processor(small_base) -> Processor:  # type: ignore[no-untyped-def]
    return load(small_base, device="cpu", dtype="float32").processor


def dataset(
    corpus: Corpus,
    processor: Processor,
    *,
    world_size: int = 1,
    epochs: float = 2.0,
    excluded: ExcludedIds = NOTHING_EXCLUDED,
) -> StepDataset:
    part = TrainPart.model_validate({"corpus": "talks", "tasks": {"asr": 1, "ast": 1}})
    return StepDataset(
        [part],
        {"talks": corpus},
        processor,
        batch_size=6,
        epochs=epochs,
        max_tokens=150,
        seed=4,
        world_size=world_size,
        excluded=excluded,
    )


def test_what_is_left_out_is_in_no_step(small_corpus: Corpus, processor: Processor) -> None:
    ids = {"train-0", "train-7"}
    data = dataset(small_corpus, processor, excluded={("talks", "train"): ids})
    found = [e.record.id for index in range(len(data)) for e in data.examples(index)]
    assert sorted(found) == sorted(2 * [f"train-{i}" for i in range(40) if i not in (0, 7)])


@pytest.mark.parametrize(("epochs", "steps"), [(1.0, 7), (2.0, 14), (0.5, 4), (0.01, 1)])
def test_the_number_of_steps_follows_the_epochs(
    small_corpus: Corpus, processor: Processor, epochs: float, steps: int
) -> None:
    data = dataset(small_corpus, processor, epochs=epochs)
    assert (data.steps_per_epoch, data.num_steps, len(data)) == (7, steps, steps)
    assert data.examples_per_epoch == 40
    assert data.audio_s_per_epoch == pytest.approx(
        sum(r.duration_s for r in small_corpus.records("train"))
    )


def test_a_resumed_run_gets_what_an_uninterrupted_one_would_have_got(
    small_corpus: Corpus, processor: Processor
) -> None:
    straight = dataset(small_corpus, processor)
    expected = [straight[index] for index in range(len(straight))]
    resumed = dataset(small_corpus, processor)
    for index in (9, 13, 2, 0):  # into the second epoch at once, and back
        assert len(resumed[index]) == len(expected[index])
        for ours, theirs in zip(resumed[index], expected[index], strict=True):
            assert ours.keys() == theirs.keys()
            assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_an_epoch_trains_every_utterance_once(small_corpus: Corpus, processor: Processor) -> None:
    data = dataset(small_corpus, processor)
    for epoch in range(2):
        found = [e.record.id for i in range(7 * epoch, 7 * epoch + 7) for e in data.examples(i)]
        assert sorted(found) == sorted(r.id for r in small_corpus.records("train"))


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_share_each_step_without_overlap(
    small_corpus: Corpus, processor: Processor, world_size: int
) -> None:
    alone = dataset(small_corpus, processor)
    shared = dataset(small_corpus, processor, world_size=world_size)
    assert len(shared) == world_size * len(alone)
    for step in range(len(alone)):
        items = [shared.examples(step * world_size + rank) for rank in range(world_size)]
        assert all(items)
        found = sorted(e.record.id for item in items for e in item)
        assert found == sorted(e.record.id for e in alone.examples(step))
        lengths = [len(item) for item in items]
        assert max(lengths) - min(lengths) <= 1


def test_a_rank_that_a_short_last_step_has_nothing_for_weighs_nothing(
    small_corpus: Corpus, processor: Processor, load_small: Callable[[], Phi4mm]
) -> None:
    model, world = load_small(), 6  # the short step has 4 utterances
    data = dataset(small_corpus, processor, world_size=world)
    alone = dataset(small_corpus, processor)
    step = next(i for i in range(len(alone)) if len(alone.examples(i)) < world)

    def gradients(items: list[list[MicroBatch]]) -> dict[str, torch.Tensor]:
        model.module.zero_grad()
        targets = sum(model.num_targets(batch) for item in items for batch in item)
        for item in items:
            for batch in item:
                model.loss(batch, targets).backward()
        return {n: p.grad.clone() for n, p in model.module.named_parameters() if p.grad is not None}

    shared = [data[step * world + rank] for rank in range(world)]
    assert all(shared)  # each rank has a batch, or the others would wait for its gradient
    expected, found = gradients([alone[step]]), gradients(shared)
    assert expected.keys() == found.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-6, rtol=1e-4)
