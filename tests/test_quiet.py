"""Nothing of the libraries below is printed into a user's terminal, and they are not muted."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers.utils import logging as transformers_logging

from soritune.corpus.store import Corpus
from soritune.models import load
from soritune.models.phi4mm.model import Phi4mm
from soritune.recipe import Case, ModelConfig
from soritune.training.run import train_case


def test_loading_a_base_and_a_trained_model_prints_nothing(
    small_base: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = load(small_base, device="cpu", dtype="float32")
        assert isinstance(model, Phi4mm)
        model.add_lora(r=2, alpha=4, dropout=0.0, seed=1)
        model.save(tmp_path / "model", trained=(), about={})
        load(tmp_path / "model", device="cpu", dtype="float32", merge=True)
    assert capfd.readouterr() == ("", "")


def test_recomputing_activations_warns_of_nothing_and_changes_no_gradient(
    load_small: Callable[[], Phi4mm],
) -> None:
    gradients = []
    for recompute in (False, True):
        model = load_small()
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)
            if recompute:
                model.checkpoint_layers()
        layers = model.module.model.layers
        assert all(layer.gradient_checkpointing is recompute for layer in layers)
        assert model.module.audio_encoder.gradient_checkpointing is recompute
        model.module.train()
        ids = torch.arange(3, 20)[None]
        model.module(input_ids=ids, use_cache=False).logits.square().mean().backward()
        gradients.append(model.module.model.embed_tokens.weight.grad)
    assert torch.equal(*gradients)


def test_training_prints_its_own_lines_only(
    small_base: Path, small_corpus: Corpus, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = {"mode": "lora", "train": ["talks"], "lora": {"r": 2, "alpha": 4}}
    case = Case.model_validate(settings | {"gradient_checkpointing": True, "batch_size": 20})
    verbosity, filters = transformers_logging.get_verbosity(), list(warnings.filters)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train_case(
            case,
            name="quiet",
            model=ModelConfig(base=str(small_base)),
            corpora={"talks": small_corpus},
            out=tmp_path,
            seed=1,
        )
    out, err = capfd.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert [line for line in lines if not line.startswith(("  trains ", "train quiet: "))] == []
    shown = [w for w in caught if issubclass(w.category, FutureWarning | UserWarning)]
    assert [str(warning.message) for warning in shown] == []
    # Whoever uses soritune as a library has its settings back.
    assert transformers_logging.get_verbosity() == verbosity
    assert list(warnings.filters) == filters
