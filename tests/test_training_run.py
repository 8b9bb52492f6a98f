"""Training of one case: what moves, what is saved, what a kill costs (nothing), what a step is."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from made_training import LORA, STEPS, Train, Trained, case_of, same, saved, train_on
from torch.nn import functional

from soritune.corpus.store import Corpus
from soritune.errors import UserError
from soritune.models import load
from soritune.models.modes import parts_of_mode
from soritune.models.phi4mm import parts
from soritune.models.phi4mm.family import FAMILY
from soritune.models.phi4mm.model import Phi4mm
from soritune.recipe import Case, ModelConfig
from soritune.training import run as run_module
from soritune.training.checkpoints import last_checkpoint, seal
from soritune.training.curve import CURVE_FILE, read_curve
from soritune.training.data import StepDataset
from soritune.training.run import train_case
from soritune.training.trainability import set_trainable
from soritune.training.trainer import SpeechTrainer

# Trains like `trained` below in a process of its own and dies without a word, while the checkpoint
# of step `argv[5]` is being written.
KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from soritune.corpus.store import Corpus
from soritune.recipe import Case, ModelConfig
from soritune.training import run, trainer

base, corpus, out, case, step, threads = sys.argv[1:]
torch.set_num_threads(int(threads))
trainer.MIN_SAVE_INTERVAL_S, trainer.SAVE_SHARE = 0.0, 1e9  # a checkpoint after every step

save = trainer.SpeechTrainer._save

def dying(self, *args, **kwargs):
    save(self, *args, **kwargs)
    if self.state.global_step == int(step):
        os.kill(os.getpid(), signal.SIGKILL)

trainer.SpeechTrainer._save = dying
run.train_case(
    Case.model_validate_json(case), name="killed", model=ModelConfig(base=base, dtype="float32"),
    corpora={"talks": Corpus.open(Path(corpus))}, out=Path(out), seed=7,
)
"""


@pytest.fixture
def train(small_base: Path, small_corpus: Corpus, tmp_path: Path) -> Train:
    def training(
        case: Case, out: Path = tmp_path, seed: int = 7, dtype: str = "float32"
    ) -> Trained:
        return train_on(small_base, small_corpus, case, out, seed, dtype)

    return training


# -- a kill costs nothing


@pytest.fixture(scope="module")
def resumed_case() -> Case:
    return case_of("lora+audio", epochs=2)


@pytest.fixture(scope="module")
def uninterrupted(
    small_base: Path,
    small_corpus: Corpus,
    resumed_case: Case,
    tmp_path_factory: pytest.TempPathFactory,
) -> Trained:
    return train_on(small_base, small_corpus, resumed_case, tmp_path_factory.mktemp("whole"))


def kill(base: Path, corpus: Corpus, out: Path, case: Case, step: int) -> None:
    settings = case.model_dump_json()
    threads = str(torch.get_num_threads())
    words = [base, corpus.folder, out, settings, step, threads]
    command = [sys.executable, "-c", KILLED, *map(str, words)]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]


def test_training_killed_with_sigkill_ends_in_the_bits_of_an_uninterrupted_one(
    train: Train,
    uninterrupted: Trained,
    resumed_case: Case,
    small_base: Path,
    small_corpus: Corpus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Killed while it wrote a checkpoint; `test_augment_training.py` stops one between two."""
    out = tmp_path / "killed"
    resumed_at = 3
    kill(small_base, small_corpus, out, resumed_case, resumed_at + 1)
    assert not (out / "model").exists()
    # The newest checkpoint was cut short: it has tensors and yet does not count.
    assert (out / "checkpoints" / "checkpoint-4" / "trained.safetensors").is_file()
    checkpoint = last_checkpoint(out / "checkpoints")
    assert checkpoint is not None
    assert checkpoint.name == f"checkpoint-{resumed_at}"

    with (out / CURVE_FILE).open("a") as file:
        file.write('{"step": 4, "lo')  # as a kill may leave it
    steps = 0
    step = SpeechTrainer.training_step

    def counting(self: SpeechTrainer, *args: object, **kwargs: object) -> torch.Tensor:
        nonlocal steps
        steps += 1
        return step(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(SpeechTrainer, "training_step", counting)
    resumed = train(resumed_case, out)
    assert steps == STEPS - resumed_at
    assert len(same(saved(out), saved(uninterrupted.out))) == len(saved(out))
    assert len(same(resumed.tensors(), uninterrupted.tensors())) == len(resumed.tensors())
    assert not (out / "checkpoints").exists()
    assert [point.step for point in read_curve(out)] == list(range(1, STEPS + 1))
    assert read_curve(out) == read_curve(uninterrupted.out)


def test_checkpoint_whose_last_file_is_missing_or_cut_short_does_not_count(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path / "nothing") is None
    for step in (9, 10, 11):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "trainer_state.json").write_text(json.dumps({"global_step": step}))
        seal(folder)
    (tmp_path / "checkpoint-11" / "trainer_state.json").write_text('{"glob')
    (tmp_path / "checkpoint-12").mkdir()
    # 10 comes after 9, though not in the order of the letters.
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-10"


# -- the seed decides everything


def test_same_seed_gives_the_same_bits_and_another_seed_another_model(
    train: Train, tmp_path: Path
) -> None:
    case = case_of("lora")
    first, again, other = (
        saved(train(case, tmp_path / name, seed).out)
        for name, seed in (("first", 7), ("again", 7), ("other", 8))
    )
    assert len(same(first, again)) == len(first)
    assert same(first, other) == []


# -- each mode


@pytest.mark.parametrize("mode", ["lora", "audio", "projector", "full", "lora+audio"])
def test_mode_changes_its_parts_saves_them_and_gives_the_trained_model_back(
    train: Train, small_base: Path, small_corpus: Corpus, mode: str
) -> None:
    trained = train(case_of(mode))
    tensors = trained.tensors()
    base = dict(load(small_base, dtype="float32").module.named_parameters())
    free = {name for name in tensors if FAMILY.part_of(name) in parts_of_mode(FAMILY, mode)}

    # 1. Exactly the parts of the mode moved, each of their matrices.
    for name, tensor in tensors.items():
        if ".lora_" in name:
            continue
        original = base[name.replace(".base_layer.", ".")]
        if name not in free:
            assert torch.equal(tensor, original), name
        elif tensor.ndim > 1:
            assert not torch.equal(tensor, original), name
    for name, tensor in tensors.items():
        if ".lora_B." in name:  # starts at zero
            assert bool(tensor.any()), name

    # 2. The record says so.
    record = json.loads((trained.out / "training.json").read_text(encoding="utf-8"))
    assert set(record["moved"]) <= free
    assert {FAMILY.part_of(name) for name in record["moved"]} == parts_of_mode(FAMILY, mode)
    assert sum(record["trained"].values()) == sum(tensors[name].numel() for name in free)
    assert record["steps"] == 5
    assert record["utterances"] == 40

    # 3. Only what trains is on disk, and it makes the trained model again.
    files = {path.name for path in (trained.out / "model").rglob("*.safetensors")}
    wanted = {"adapter_model.safetensors"} if "lora" in mode else set()
    assert files == wanted | ({"trained.safetensors"} if mode != "lora" else set())
    loaded = load(trained.out / "model", dtype="float32")
    again = dict(loaded.module.named_parameters())
    assert len(same(tensors, again)) == len(tensors)

    # 4. It knows how long the clips were that it has heard.
    longest_s = max(each.duration_s for each in small_corpus.records("train"))
    assert loaded.clip_limits.longest_trained_s == pytest.approx(longest_s, abs=0.001)


# -- one step


def gradients_of_step(
    model: Phi4mm, corpus: Corpus, out: Path, max_tokens: int, mode: str = "lora+audio"
) -> tuple[float, dict[str, torch.Tensor], StepDataset]:
    """Loss and gradients of the first step, as the trainer makes them, without LoRA dropout."""
    case = case_of(mode, lora={**LORA, "dropout": 0.0}, max_tokens=max_tokens)
    assert case.lora is not None
    model.add_lora(r=4, alpha=8, dropout=0.0, seed=3)
    with torch.no_grad():  # B away from zero, so that A has a gradient, too
        for name, parameter in model.module.named_parameters():
            if ".lora_B." in name:
                parameter.copy_(torch.linspace(-0.1, 0.1, parameter.numel()).view_as(parameter))
    trainable = set_trainable(model, mode)
    dataset = StepDataset(
        case.train,
        {"talks": corpus},
        model.processor,
        batch_size=16,
        epochs=1,
        max_tokens=max_tokens,
        seed=7,
    )
    arguments = run_module._arguments(case, ModelConfig(base=model.base), out, 7)
    trainer = SpeechTrainer(model, case, dataset, trainable, arguments, lambda _: None)
    loss = trainer.training_step(model.module, dataset[0])
    named = dict(model.module.named_parameters())
    gradients = {}
    for name in trainable.names:
        gradient = named[name].grad
        assert gradient is not None, name
        gradients[name] = gradient.clone()
    model.module.zero_grad()
    return float(loss), gradients, dataset


@pytest.fixture
def models(load_small: Callable[[], Phi4mm]) -> Iterator[Phi4mm]:
    return iter(load_small, None)


def test_step_is_the_mean_over_all_target_tokens_however_it_is_cut(
    models: Iterator[Phi4mm], small_corpus: Corpus, tmp_path: Path
) -> None:
    model = next(models)
    loss, gradients, dataset = gradients_of_step(model, small_corpus, tmp_path, 10_000)
    assert len(dataset[0]) == 1

    # By hand: one clip at a time without padding, all logits in fp64, the sum over the answers'
    # tokens divided by their number.
    total = torch.zeros((), dtype=torch.float64)
    targets = 0
    model.module.train()
    for example in dataset.examples(0):
        batch = dataset.collate([example])
        labels = batch.pop("labels")[0, 1:]
        logits = model.module(**batch, use_cache=False).logits[0, :-1].double()
        answer = model.processor.target_ids(example.request, example.answer)
        assert labels[labels != -100].tolist() == answer
        total = total + functional.cross_entropy(
            logits[labels != -100], torch.tensor(answer)
        ) * len(answer)
        targets += len(answer)
    by_hand = total / targets
    by_hand.backward()
    assert math.isclose(loss, by_hand.item(), rel_tol=1e-5)
    named = dict(model.module.named_parameters())
    for name, gradient in gradients.items():
        expected = named[name].grad
        assert expected is not None
        torch.testing.assert_close(gradient, expected, atol=1e-5, rtol=1e-3, msg=name)

    cut_loss, cut_gradients, cut = gradients_of_step(next(models), small_corpus, tmp_path, 150)
    assert len(cut[0]) > 2
    assert math.isclose(loss, cut_loss, rel_tol=1e-5)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, cut_gradients[name], atol=1e-5, rtol=1e-3, msg=name)


# -- fp32 masters


def test_audio_of_a_bfloat16_base_is_trained_and_saved_in_fp32(train: Train) -> None:
    trained = train(case_of("audio", learning_rate=4e-5), dtype="bfloat16")
    for name, tensor in trained.tensors().items():
        free = FAMILY.part_of(name) in parts.AUDIO_PARTS
        assert tensor.dtype == (torch.float32 if free else torch.bfloat16), name
    for name, tensor in saved(trained.out).items():
        assert tensor.dtype == torch.float32, name
        if tensor.ndim > 1:
            # Steps of 4e-5 are there, below what bfloat16 could have held.
            assert not torch.equal(tensor, tensor.bfloat16().float()), name


# -- data that do not fit


def test_translation_on_a_corpus_without_translations_is_a_users_error(
    small_base: Path, other_corpus: Corpus, tmp_path: Path
) -> None:
    case = case_of("lora", train=[{"corpus": "other", "tasks": {"ast": 1}, "to": "en"}])
    model = ModelConfig(base=str(small_base))
    with pytest.raises(UserError, match=r'"other".*has no translation.*"ast"'):
        train_case(
            case, name="c", model=model, corpora={"other": other_corpus}, out=tmp_path, seed=7
        )
    assert not (tmp_path / "model").exists()


def test_empty_split_is_a_users_error(
    small_base: Path, small_corpus: Corpus, tmp_path: Path
) -> None:
    case = case_of("lora", train=[{"corpus": "talks", "split": "dev"}])
    model = ModelConfig(base=str(small_base))
    with pytest.raises(UserError, match=r'"talks" has no utterances in split "dev"'):
        train_case(
            case, name="c", model=model, corpora={"talks": small_corpus}, out=tmp_path, seed=7
        )
