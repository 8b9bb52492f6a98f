"""Whisper through `train_case`: what each mode trains, what is saved, what it is when loaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small_model import noise
from small_whisper import save_small_whisper

from soritune.corpus.store import Corpus
from soritune.errors import UserError
from soritune.models import load
from soritune.models.checkpoint import ADAPTER_FOLDER, ADAPTER_WEIGHTS_FILE
from soritune.models.record import TRAINED_FILE
from soritune.models.whisper.model import Whisper
from soritune.recipe import Case, ModelConfig
from soritune.tasks import Answer, Request, Task
from soritune.training.run import TrainingSummary, train_case
from soritune.training.trainability import set_trainable

ASR = Request(Task.ASR, "ko")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_whisper(tmp_path_factory.mktemp("whisper"))


def train(base: Path, corpus: Corpus, out: Path, mode: str, **changes: object) -> TrainingSummary:
    settings: dict[str, object] = {
        "mode": mode,
        "train": ["talks"],
        "epochs": 0.5,
        "batch_size": 10,
        "learning_rate": 1e-3,
        "warmup_steps": 0,
        "lora": {"r": 4, "alpha": 8},
    }
    return train_case(
        Case.model_validate(settings | changes),
        name="case",
        model=ModelConfig(base=str(base), dtype="float32"),
        corpora={"talks": corpus},
        out=out,
        seed=7,
    )


@pytest.fixture(scope="module")
def trained(base: Path, small_corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a LoRA and a trained encoder."""
    out = tmp_path_factory.mktemp("trained")
    train(base, small_corpus, out, "lora+encoder")
    return out / "model"


def logits(model: Whisper, request: Request = ASR) -> torch.Tensor:
    item = model.processor.encode(noise(9_000), request, Answer("오늘 날씨가"))
    batch = model.processor.collate([item])
    del batch["labels"]
    with torch.inference_mode():
        return model.module(**batch).logits


@pytest.mark.parametrize(
    ("mode", "trains"),
    [
        ("lora", lambda name: "decoder" in name and ".lora_" in name),
        ("encoder-lora", lambda name: "encoder." in name and ".lora_" in name),
        ("lora+encoder-lora", lambda name: ".lora_" in name),
        ("encoder", lambda name: ".encoder." in name and "embed_positions" not in name),
        ("decoder", lambda name: ".decoder." in name),
        ("full", lambda name: "encoder.embed_positions" not in name),
    ],
)
def test_a_mode_frees_its_tensors_and_no_other(base: Path, mode: str, trains) -> None:
    model = load(base, device="cpu")
    if "lora" in mode:
        model.add_lora(r=4, alpha=8, dropout=0, seed=1, mode=mode)
    set_trainable(model, mode)
    parameters = dict(model.module.named_parameters())
    free = {name for name, parameter in parameters.items() if parameter.requires_grad}
    assert free == {name for name in parameters if trains(name)}
    assert free
    if ".lora_" in next(iter(free)):
        # Query, key, value and output of each attention: nothing of the feed-forward layers.
        assert {name.split(".")[-4] for name in free} == {"q_proj", "k_proj", "v_proj", "out_proj"}


@pytest.mark.parametrize("mode", ["decoder", "full"])
def test_tied_embeddings_train_as_one_and_the_sinusoids_never(
    base: Path, small_corpus: Corpus, tmp_path: Path, mode: str
) -> None:
    summary = train(base, small_corpus, tmp_path, mode, gradient_checkpointing=True)
    moved = json.loads((tmp_path / "training.json").read_text())["moved"]
    assert len(moved) == summary.moved_tensors == summary.trained_tensors
    saved = load_file(tmp_path / "model" / TRAINED_FILE)
    assert set(saved) == set(moved)
    assert "model.decoder.embed_tokens.weight" in saved
    assert not {"proj_out.weight", "model.encoder.embed_positions.weight"} & set(saved)
    model = load(tmp_path / "model", device="cpu", dtype="float32")
    head = saved["model.decoder.embed_tokens.weight"]
    assert torch.equal(model.module.proj_out.weight, head)


def test_a_lora_is_all_that_is_saved_where_no_more_was_trained(
    base: Path, small_corpus: Corpus, tmp_path: Path
) -> None:
    train(base, small_corpus, tmp_path, "lora")
    assert not (tmp_path / "model" / TRAINED_FILE).exists()
    saved = load_file(tmp_path / "model" / ADAPTER_FOLDER / ADAPTER_WEIGHTS_FILE)
    layers = {name.split(".lora_")[0] for name in saved}
    assert len(layers) == 2 * 2 * 4  # layers, attentions, projections
    assert any(bool(tensor.any()) for name, tensor in saved.items() if "lora_B" in name)


def test_peft_puts_the_saved_adapter_on_transformers_own_model(
    base: Path, small_corpus: Corpus, tmp_path: Path
) -> None:
    from peft import PeftModel
    from transformers import WhisperForConditionalGeneration

    train(base, small_corpus, tmp_path, "lora+encoder-lora")
    model = load(tmp_path / "model", device="cpu", dtype="float32")
    plain = WhisperForConditionalGeneration.from_pretrained(base).eval()
    peft = PeftModel.from_pretrained(plain, tmp_path / "model" / ADAPTER_FOLDER).eval()
    expected = logits(model)
    model.module = peft
    assert torch.equal(logits(model), expected)
    assert not torch.equal(logits(load(base, device="cpu", dtype="float32")), expected)


def test_saved_and_loaded_is_the_model_in_memory(
    base: Path, small_corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from soritune.models.loaded import LoadedModel

    seen = []
    save = LoadedModel.save

    def remember(self: LoadedModel, *args: object, **kwargs: object) -> None:
        self.module.eval()
        seen.append((self, logits(self)))
        save(self, *args, **kwargs)

    monkeypatch.setattr(LoadedModel, "save", remember)
    train(base, small_corpus, tmp_path, "lora+encoder")
    [(memory, expected)] = seen
    loaded = load(tmp_path / "model", device="cpu", dtype="float32")
    assert torch.equal(logits(loaded), expected)
    inputs = [loaded.processor.encode(noise(9_000), ASR)]
    assert loaded.generate(inputs, [12]) == memory.generate(inputs, [12])


def test_an_adapter_in_the_weights_says_what_it_says_on_top(trained: Path) -> None:
    on_top = load(trained, device="cpu", dtype="float32")
    merged = load(trained, device="cpu", dtype="float32", merge=True)
    assert merged.lora is None
    torch.testing.assert_close(logits(merged), logits(on_top), rtol=1e-5, atol=1e-5)


def test_a_trained_model_transcribes_in_its_language_unless_asked_otherwise(
    trained: Path, base: Path
) -> None:
    """Whisper would guess the language of every clip again, and guess wrong."""
    record = json.loads((trained / "soritune.json").read_text())
    assert (record["language"], record["task"]) == ("ko", "asr")
    processor = load(trained, device="cpu").processor
    assert processor.prompt_ids(Request(Task.ASR)) == processor.prompt_ids(ASR)
    english = processor.prompt_ids(Request(Task.ASR, "en"))
    assert english[1] == processor.ids.languages["en"]


def test_a_task_that_whisper_does_not_have_stops_the_training_at_once(
    base: Path, small_corpus: Corpus, tmp_path: Path
) -> None:
    part = {"corpus": "talks", "tasks": {"ast-cot": 1}}
    with pytest.raises(UserError, match="no chain of thought"):
        train(base, small_corpus, tmp_path, "lora", train=[part])


def test_translations_into_english_are_trained_with_their_own_prompt(
    base: Path, small_corpus: Corpus, tmp_path: Path
) -> None:
    train(base, small_corpus, tmp_path, "lora", train=[{"corpus": "talks", "tasks": {"ast": 1}}])
    assert json.loads((tmp_path / "model" / "soritune.json").read_text())["task"] == "ast"
