"""Trainings of tiny models, whole and stopped on their way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from soritune.corpus.store import Corpus
from soritune.models import load
from soritune.models.phi4mm.model import Phi4mm
from soritune.recipe import Case, ModelConfig
from soritune.training import run as run_module
from soritune.training import trainer
from soritune.training.run import train_case

TASKS = {"asr": 0.5, "ast": 0.25, "ast-cot": 0.25}
# Dropout, so that a resumed run is right only if the random state comes back as well.
LORA = {"r": 4, "alpha": 8, "dropout": 0.1}
STEPS = 10  # 40 utterances, 8 a step, 2 epochs


def case_of(mode: str = "lora", **changes: object) -> Case:
    settings: dict[str, object] = {
        "mode": mode,
        "train": [{"corpus": "talks", "tasks": TASKS}],
        "batch_size": 8,
        "learning_rate": 1e-3,
        "warmup_steps": 0,
        "lora": LORA,
        "max_tokens": 256,
    }
    return Case.model_validate(settings | changes)


@dataclass(frozen=True)
class Trained:
    """A finished run: its folder and the model as it was in memory at the end."""

    out: Path
    model: Phi4mm

    def tensors(self) -> dict[str, torch.Tensor]:
        return dict(self.model.module.named_parameters())


Train = Callable[..., Trained]


def train_on(
    base: Path,
    corpus: Corpus,
    case: Case,
    out: Path,
    seed: int = 7,
    dtype: str = "float32",
) -> Trained:
    kept: list[Phi4mm] = []

    def keep(*args: object, **kwargs: object) -> Phi4mm:
        kept.append(load(*args, **kwargs))  # type: ignore[arg-type]
        return kept[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "load", keep)
        train_case(
            case,
            name="case",
            model=ModelConfig(base=str(base), dtype=dtype),
            corpora={"talks": corpus},
            out=out,
            seed=seed,
        )
    return Trained(out, kept[0])


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> list[str]:
    """Names of the tensors that are equal bit for bit; both must have the same names."""
    assert set(one) == set(other)
    return [name for name in one if torch.equal(one[name], other[name])]


def saved(out: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    for path in sorted((out / "model").rglob("*.safetensors")):
        found |= load_file(path)
    assert found
    return found


@contextmanager
def stopped_at(step: int) -> Iterator[None]:
    """Ctrl-C at the end of a step, before its checkpoint; there is one after every step."""
    on_step_end = trainer._Watcher.on_step_end

    def stopping(self: trainer._Watcher, args: Any, state: Any, *rest: Any, **more: Any) -> None:
        on_step_end(self, args, state, *rest, **more)
        if state.global_step == step:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "MIN_SAVE_INTERVAL_S", 0.0)
        patch.setattr(trainer, "SAVE_SHARE", 1e9)
        patch.setattr(trainer._Watcher, "on_step_end", stopping)
        with pytest.raises(KeyboardInterrupt):
            yield
