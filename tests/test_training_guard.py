"""What would silently ruin a training stops it; what it holds is given back."""

from __future__ import annotations

import gc
import multiprocessing
import weakref
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from made_training import STEPS, Train, Trained, case_of, train_on
from small_model import ASR, noise
from small_whisper import save_small_whisper
from torch import nn
from transformers import TrainingArguments

from soritune.corpus.store import Corpus
from soritune.errors import UserError
from soritune.models import load
from soritune.models.memory import peak_bytes, reset_peak
from soritune.models.phi4mm.model import Phi4mm
from soritune.models.weights import save_tensors
from soritune.recipe import Case, ModelConfig
from soritune.training import run as run_module
from soritune.training import trainer as trainer_module
from soritune.training.checkpoints import last_checkpoint
from soritune.training.curve import DevScore
from soritune.training.run import train_case
from soritune.training.trainability import (
    TrainabilityError,
    check_gradients,
    check_moved,
    checksums,
    set_trainable,
)

Spoil = Callable[[torch.Tensor], torch.Tensor]


@pytest.fixture
def train(small_base: Path, small_corpus: Corpus, tmp_path: Path) -> Train:
    def training(case: Case, dtype: str = "float32") -> Trained:
        return train_on(small_base, small_corpus, case, tmp_path, dtype=dtype)

    return training


def lost_loss(loss: torch.Tensor) -> torch.Tensor:
    return loss * torch.nan


def lost_gradient(loss: torch.Tensor) -> torch.Tensor:
    loss.register_hook(lambda gradient: gradient * torch.inf)
    return loss


def infinite_loss(loss: torch.Tensor) -> torch.Tensor:
    return loss * torch.inf


@pytest.mark.parametrize("spoil", [lost_loss, lost_gradient, infinite_loss])
def test_one_micro_batch_that_is_not_finite_stops_before_the_weights_change(
    train: Train,
    small_base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Spoil,
) -> None:
    monkeypatch.setattr(trainer_module, "MIN_SAVE_INTERVAL_S", 0.0)
    monkeypatch.setattr(trainer_module, "SAVE_SHARE", 1e9)  # a checkpoint after every step
    original, done = Phi4mm.loss, []
    weights: dict[str, torch.Tensor] = {}

    def loss(self: Phi4mm, *args: object, **kwargs: object) -> torch.Tensor:
        value = original(self, *args, **kwargs)  # type: ignore[arg-type]
        done.append(self.module)
        if len(done) == 6:  # 3 micro-batches a step or more: the second or third step
            weights.update({n: p.detach().clone() for n, p in self.module.named_parameters()})
            return spoil(value)
        return value

    monkeypatch.setattr(Phi4mm, "loss", loss)
    with pytest.raises(UserError, match=r"^step \d+: the .* (nan|inf).*talks/train-\d+") as caught:
        train(case_of(max_tokens=150))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "model").exists()
    for name, parameter in done[0].named_parameters():
        assert torch.equal(parameter, weights[name]), name
    # What was saved before is whole, so that another run may go on from it.
    assert last_checkpoint(tmp_path / "checkpoints") is not None


def test_a_loss_that_is_not_finite_names_the_utterances_of_its_micro_batch(
    train: Train, monkeypatch: pytest.MonkeyPatch, small_corpus: Corpus
) -> None:
    original, rows = Phi4mm.loss, []

    def loss(self: Phi4mm, batch: dict[str, torch.Tensor], *args: object, **kwargs: object):  # type: ignore[no-untyped-def]
        rows.append(len(batch["labels"]))
        value = original(self, batch, *args, **kwargs)  # type: ignore[arg-type]
        return value * torch.nan if len(rows) == 2 else value

    monkeypatch.setattr(Phi4mm, "loss", loss)
    with pytest.raises(UserError) as caught:
        train(case_of(max_tokens=150))
    named = str(caught.value).rpartition(": ")[2].split(", ")
    assert len(named) == rows[1]
    assert {f"talks/{record.id}" for record in small_corpus.records("train")} > set(named)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_gradients_and_movements_that_are_not_finite_prove_nothing(
    load_small: Callable[[], Phi4mm], tmp_path: Path, value: float
) -> None:
    model = load_small()
    trainable = set_trainable(model, "projector")
    named = dict(model.module.named_parameters())
    before = checksums(model)
    for name in trainable.names:
        named[name].grad = torch.full_like(named[name], value)
    with pytest.raises(TrainabilityError, match="not finite"):
        check_gradients(model, trainable)
    with torch.no_grad():
        for name in trainable.names:
            named[name].add_(1.0)
        named[trainable.names[0]].flatten()[0] = value
    with pytest.raises(TrainabilityError, match=f"{trainable.names[0]}.*not finite"):
        check_moved(model, before, checksums(model), trainable)
    with pytest.raises(UserError, match=r"not written.*not finite"):
        model.save(tmp_path / "model", trained=trainable.names, about={})
    assert not (tmp_path / "model" / "soritune.json").exists()


def test_a_tensor_that_is_not_finite_is_never_saved(tmp_path: Path) -> None:
    bad = torch.tensor([1.0, torch.nan])
    tensors = {"good": torch.ones(2), "integers": torch.tensor([1]), "bad": bad}
    with pytest.raises(UserError, match=r"weights\.safetensors: not written, because bad holds"):
        save_tensors(tensors, tmp_path / "weights.safetensors")
    assert not list(tmp_path.iterdir())


def test_several_gpus_without_torchrun_train_on_one_and_say_so(
    small_base: Path,
    small_corpus: Corpus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class TwoGpus(TrainingArguments):
        def __post_init__(self) -> None:
            super().__post_init__()
            assert self.n_gpu <= 1
            self._n_gpu = 2

    class Forbidden(nn.DataParallel):  # type: ignore[type-arg]
        def __init__(self, *_: object, **__: object) -> None:
            raise AssertionError("the model was split among GPUs")

    monkeypatch.setattr(run_module, "TrainingArguments", TwoGpus)
    monkeypatch.setattr(nn, "DataParallel", Forbidden)
    # Whoever asks another GPU for its random numbers takes memory of it: here that fails.
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    scored: list[int] = []

    def score(_: object) -> DevScore:
        scored.append(1)
        return DevScore("cer", 1.0, 1)

    train_case(
        case_of(epochs=0.2, dev={"every": 1}),
        name="case",
        model=ModelConfig(base=str(small_base), dtype="float32"),
        corpora={"talks": small_corpus},
        out=tmp_path,
        seed=7,
        score_dev=score,
    )
    assert scored
    assert "torchrun --nproc-per-node 2" in capsys.readouterr().err


def test_the_line_of_an_error_in_a_process_that_reads_data_is_the_same(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU other processes read the data, and torch puts a traceback before their errors."""

    class OneWorker(TrainingArguments):
        def __post_init__(self) -> None:
            super().__post_init__()
            self.dataloader_num_workers = 1

    def damaged(self: Corpus, record: object) -> None:
        raise UserError("part-0.parquet: the audio cannot be read. Remove it")

    monkeypatch.setattr(run_module, "TrainingArguments", OneWorker)
    monkeypatch.setattr(Corpus, "samples", damaged)
    usual = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method("fork", force=True)  # the worker has what is patched here
    try:
        with pytest.raises(UserError) as told:
            train(case_of(epochs=0.2))
    finally:
        multiprocessing.set_start_method(usual, force=True)
    assert str(told.value) == "part-0.parquet: the audio cannot be read. Remove it"


@pytest.mark.parametrize("mode", ["projector", "audio", "lora", "lora+audio", "full"])
def test_each_mode_trains_a_bfloat16_base_on_a_cpu(train: Train, mode: str) -> None:
    trained = train(case_of(mode, epochs=0.2), dtype="bfloat16")
    assert (trained.out / "model" / "soritune.json").is_file()


def test_a_projector_that_trains_decodes_with_a_bfloat16_encoder(small_base: Path) -> None:
    """As the scoring of dev does while it trains: outside of what autocast covers."""
    model = load(str(small_base), device="cpu", dtype="bfloat16")
    set_trainable(model, "projector")
    (answer,) = model.generate([model.processor.encode(noise(9000), ASR)], [3])
    assert isinstance(answer.text, str)


@pytest.mark.parametrize("mode", ["lora", "encoder", "decoder"])
def test_each_mode_trains_a_bfloat16_whisper_on_a_cpu(
    small_corpus: Corpus, tmp_path: Path, mode: str
) -> None:
    base = save_small_whisper(tmp_path / "base")
    case = Case.model_validate({"mode": mode, "train": ["talks"], "epochs": 0.1, "batch_size": 4})
    model = ModelConfig(base=str(base), dtype="bfloat16")
    out = tmp_path / "out"
    train_case(case, name="c", model=model, corpora={"talks": small_corpus}, out=out, seed=1)
    assert (out / "model" / "soritune.json").is_file()


@pytest.mark.parametrize("ends", [None, RuntimeError, KeyboardInterrupt])
def test_the_trained_model_is_freed_with_the_end_of_its_training(
    small_base: Path,
    small_corpus: Corpus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ends: type[BaseException] | None,
) -> None:
    """Also where it fails, while the error is kept, as a notebook does."""
    seen: list[weakref.ref[nn.Module]] = []

    def watched(*args: object, **kwargs: object) -> object:
        model = load(*args, **kwargs)  # type: ignore[arg-type]
        seen.append(weakref.ref(model.module))
        return model

    def failing(*_: object, **__: object) -> None:
        assert ends is not None
        raise ends

    monkeypatch.setattr(run_module, "load", watched)
    if ends is not None:
        monkeypatch.setattr(Phi4mm, "loss", failing)
    gc.collect()
    gc.disable()  # only what frees it itself counts
    try:
        with nullcontext() if ends is None else pytest.raises(ends) as kept:
            train_case(
                case_of(epochs=0.2),
                name="case",
                model=ModelConfig(base=str(small_base), dtype="bfloat16"),  # under autocast
                corpora={"talks": small_corpus},
                out=tmp_path,
                seed=7,
            )
        assert seen[0]() is None
        assert (kept is None) == (ends is None)
    finally:
        gc.enable()


@pytest.mark.parametrize("block", [400_000_000, 60_000])
def test_the_peak_is_that_of_a_case_not_of_what_ran_before(block: int) -> None:
    """Small blocks stay in the heap of the process until it gives them back."""
    held = [b"\1" * block for _ in range(400_000_000 // block)]
    reset_peak()
    with_it = peak_bytes(torch.device("cpu"))
    del held[:-1]  # the last one is behind the others
    if block > 1_000_000:
        held.clear()
    reset_peak()
    assert peak_bytes(torch.device("cpu")) < with_it - 300_000_000


def warmup(train: Train, case: Case, monkeypatch: pytest.MonkeyPatch) -> float:
    """Steps of warm-up that the Trainer was told."""
    told: list[float] = []
    original = trainer_module.SpeechTrainer.__init__

    def watched(self: object, model: object, case: object, *args: object) -> None:
        told.append(args[2].warmup_steps)  # type: ignore[attr-defined]
        original(self, model, case, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(trainer_module.SpeechTrainer, "__init__", watched)
    train(case)
    return told[0]


def test_a_warm_up_that_is_given_is_taken(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    assert warmup(train, case_of(warmup_steps=STEPS // 2, epochs=2), monkeypatch) == STEPS // 2


def test_a_warm_up_that_is_not_given_is_short_in_a_short_run(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = case_of(epochs=2).model_copy(update={"warmup_steps": None})
    assert warmup(train, case, monkeypatch) == STEPS // 10
    assert run_module._warmup_steps(case, 10_000) == 50


def test_a_warm_up_as_long_as_the_run_is_refused(train: Train) -> None:
    with pytest.raises(UserError, match=rf"warmup_steps is {STEPS}, .* {STEPS} steps"):
        train(case_of(warmup_steps=STEPS, epochs=2))


def test_the_dropout_that_is_asked_for_is_that_of_the_bases_own_lora(
    small_base: Path, small_corpus: Corpus, tmp_path: Path
) -> None:
    first = train_on(small_base, small_corpus, case_of(epochs=0.2), tmp_path / "first")
    base = first.out / "model"
    for dropout in (0.0, 0.4):
        lora = {"dropout": dropout}  # r and alpha are then the base's own, not the family's
        out = tmp_path / str(dropout)
        second = train_on(base, small_corpus, case_of(epochs=0.2, lora=lora), out)
        layers = [m for n, m in second.model.module.named_modules() if n.endswith("lora_dropout")]
        found = {getattr(layer["speech"], "p", 0.0) for layer in layers}
        assert found == {dropout}
        assert second.model.lora is not None
        assert second.model.lora.lora_dropout == dropout
