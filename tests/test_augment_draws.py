"""Draws of augmentation depend on nothing but their key."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from test_augment_sound import Talkers, voice

from soritune.augment.babble import Clip
from soritune.augment.chain import Augmenter
from soritune.augment.config import Augmentation
from soritune.augment.effects import global_draws

MIXED = ["seed", "fast-slow", "telephone", "room", "babble"]


def digest_of_draws() -> str:
    augmenter = Augmenter(Augmentation.model_validate(MIXED))
    digest = hashlib.sha256()
    for epoch in range(8):
        key = (7, "corpus", "m1", epoch)
        result = augmenter.samples(voice(1.0), Clip("m1", "mina", Talkers()), key)
        digest.update(result.samples.tobytes())
    return digest.hexdigest()


def test_draws_are_the_same_in_any_process() -> None:
    pytest.importorskip("audiomentations")
    code = "from test_augment_draws import digest_of_draws; print(digest_of_draws())"
    other = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
        env={**os.environ, "PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "1"},
    )
    assert other.stdout == digest_of_draws() + "\n"


def test_global_generators_are_left_as_they_were_even_after_an_error() -> None:
    random.seed(11)
    np.random.seed(11)
    expected = (random.random(), float(np.random.rand()))
    random.seed(11)
    np.random.seed(11)

    def breaking() -> None:
        with global_draws("a key"):
            random.random()
            np.random.rand(3)
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        breaking()
    assert (random.random(), float(np.random.rand())) == expected


def test_an_augmentation_draws_nothing_from_the_global_generators() -> None:
    pytest.importorskip("audiomentations")
    augmenter = Augmenter(Augmentation.model_validate(MIXED))
    clip = Clip("m1", "mina", Talkers())
    key = (7, "corpus", "m1", 3)
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    states = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state())
    first = augmenter.samples(voice(1.0), clip, key)
    augmenter.duration_s(1.0, key)
    assert random.getstate() == states[0]
    assert np.random.get_state()[1].tolist() == states[1]
    assert torch.equal(torch.get_rng_state(), states[2])
    random.seed(2)
    np.random.seed(2)
    assert np.array_equal(first.samples, augmenter.samples(voice(1.0), clip, key).samples)


def test_another_seed_epoch_utterance_or_corpus_is_another_draw() -> None:
    augmenter = Augmenter(Augmentation.model_validate([{"transform": "room", "p": 1}]))
    keys = [
        (7, "a", "u", 0),
        (8, "a", "u", 0),
        (7, "b", "u", 0),
        (7, "a", "v", 0),
        (7, "a", "u", 1),
    ]
    found = [augmenter.samples(voice(0.5), Clip("u"), key).steps[0].drawn["rt60_s"] for key in keys]
    assert len(set(found)) == len(found)


def test_a_step_that_is_added_at_the_end_changes_no_draw_before_it() -> None:
    one = Augmenter(Augmentation.model_validate(["room", "babble"]))
    two = Augmenter(Augmentation.model_validate(["room", "babble", "telephone"]))
    for epoch in range(10):
        clip = Clip("m1", "mina", Talkers())
        first, second = (a.samples(voice(0.5), clip, (epoch,)).steps for a in (one, two))
        assert second[: len(first)] == first


def test_what_exceeds_full_scale_is_scaled_down_not_clipped() -> None:
    pytest.importorskip("audiomentations")
    step = {"transform": "Gain", "p": 1, "min_gain_db": 20, "max_gain_db": 20}
    sound = voice(0.5)
    loud = Augmenter(Augmentation.model_validate([step])).samples(sound, Clip("u"), ("k",)).samples
    assert np.abs(loud).max() == pytest.approx(1.0)
    assert np.allclose(loud / np.abs(loud).max(), sound / np.abs(sound).max(), atol=1e-5)


def test_probabilities_and_weights_come_near_what_was_asked_for() -> None:
    group = {
        "transform": "OneOf",
        "p": 0.5,
        "weights": [3, 1],
        "transforms": [{"transform": "room", "p": 1}, {"transform": "telephone", "p": 1}],
    }
    augmenter = Augmenter(Augmentation.model_validate([group]))
    turns = [[t.step.transform for t in augmenter._turns((n,))] for n in range(2000)]
    counts = {name: turns.count([name]) for name in ("room", "telephone")}
    # Three standard deviations of 750 and 250 of 2,000 are 65 and 44.
    assert counts["room"] == pytest.approx(750, abs=65)
    assert counts["telephone"] == pytest.approx(250, abs=44)
    assert turns.count([]) == 2000 - sum(counts.values())
