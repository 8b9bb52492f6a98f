"""Qwen3-ASR through `run`, `transcribe`, `export` and `inspect`; what others make of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import soundfile
import torch
from made_training import case_of, same, saved, stopped_at, train_on
from safetensors.torch import load_file
from small_model import noise
from transformers import AutoProcessor, Qwen3ASRConfig, Qwen3ASRForConditionalGeneration
from typer.testing import CliRunner

from soritune.cli import app
from soritune.corpus.store import Corpus
from soritune.errors import UserError
from soritune.export.export import export
from soritune.models import describe, load
from soritune.models.checkpoint import ADAPTER_FOLDER, ADAPTER_WEIGHTS_FILE
from soritune.models.qwen3_asr import parts
from soritune.models.qwen3_asr.family import FAMILY
from soritune.models.record import TRAINED_FILE
from soritune.tasks import Answer, Request, Task
from soritune.training.trainability import set_trainable

ASR = Request(Task.ASR, "ko")
RECIPE = """
name: qwen
output: {folder}/run
language: ko
model: {{base: {base}, dtype: float32, lora: {{r: 4, alpha: 8}}}}
corpora:
  mine: {{source: manifest, path: {folder}/list.jsonl}}
cases:
  lora-1: {{mode: lora, train: [mine], batch_size: 4, learning_rate: 1e-2, warmup_steps: 0}}
  audio-1: {{like: lora-1, mode: lora+audio}}
evaluate:
  mine: {{corpus: mine, task: asr}}
"""


def soritune(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def folder(small_qwen3_asr: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment that was run: `run/`, with its recordings `0.wav` to `8.wav`."""
    folder = tmp_path_factory.mktemp("qwen")
    lines = []
    for index in range(9):
        soundfile.write(folder / f"{index}.wav", noise(8_000, index), 16_000)
        split = "test" if index % 3 == 0 else "train"
        row = {"audio": f"{index}.wav", "text": f"말 {index}", "speaker": split, "split": split}
        lines.append(json.dumps(row, ensure_ascii=False))
    (folder / "list.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    recipe = folder / "qwen.yaml"
    recipe.write_text(RECIPE.format(folder=folder, base=small_qwen3_asr), encoding="utf-8")
    assert "audio-1" in soritune("run", recipe, "--check")
    soritune("run", recipe)
    return folder


def case(folder: Path, name: str) -> Path:
    return folder / "run" / "cases" / name / "model"


def text_of(model: Path, samples: object, request: Request = ASR) -> str:
    loaded = load(model, device="cpu", dtype="float32")
    return loaded.generate([loaded.processor.encode(samples, request)], [12])[0].text


def test_base_lora_and_audio_go_through_the_experiment(folder: Path) -> None:
    text = (folder / "run" / "results.json").read_text()
    assert all(f'"{name}"' in text for name in ("original", "lora-1", "audio-1"))
    assert not (case(folder, "lora-1") / TRAINED_FILE).exists()
    names = load_file(case(folder, "audio-1") / TRAINED_FILE)
    assert {FAMILY.part_of(name) for name in names} == parts.AUDIO_PARTS
    files = [folder / "0.wav", folder / "3.wav"]
    written = soritune("transcribe", *files, "--model", case(folder, "audio-1"))
    assert len([line for line in written.splitlines() if line.startswith(str(folder))]) == 2


def test_a_stopped_training_ends_in_the_bits_of_a_whole_one(
    small_qwen3_asr: Path, other_corpus: Corpus, tmp_path: Path
) -> None:
    settings = case_of("lora+audio", train=["talks"], epochs=1, batch_size=4)
    whole = train_on(small_qwen3_asr, other_corpus, settings, tmp_path / "whole")
    with stopped_at(2):
        train_on(small_qwen3_asr, other_corpus, settings, tmp_path / "stopped")
    assert not (tmp_path / "stopped" / "model").exists()
    resumed = train_on(small_qwen3_asr, other_corpus, settings, tmp_path / "stopped")
    assert len(same(saved(resumed.out), saved(whole.out))) == len(saved(whole.out))


@pytest.mark.parametrize(
    ("mode", "trains"),
    [
        ("lora", lambda name: ".lora_" in name),
        ("audio", lambda name: "audio_tower." in name or "multi_modal_projector." in name),
        (
            "lora+audio",
            lambda name: re.search(r"\.lora_|audio_tower\.|multi_modal_projector\.", name),
        ),
        ("full", lambda name: True),
    ],
)
def test_a_mode_frees_its_tensors_and_no_other(small_qwen3_asr: Path, mode: str, trains) -> None:
    model = load(small_qwen3_asr, device="cpu")
    if "lora" in mode:
        model.add_lora(r=4, alpha=8, dropout=0, seed=1, mode=mode)
    set_trainable(model, mode)
    parameters = dict(model.module.named_parameters())
    free = {name for name, parameter in parameters.items() if parameter.requires_grad}
    assert free == {name for name in parameters if trains(name)}
    adapted = {name.rsplit(".lora_", 1)[0] for name in free if ".lora_" in name}
    assert all(re.fullmatch(parts.LORA_LAYERS, name) for name in adapted)
    assert len(adapted) == (2 * 7 if "lora" in mode else 0)  # layers, projections of each


def test_every_tensor_that_trains_moves(folder: Path) -> None:
    for name in ("lora-1", "audio-1"):
        record = json.loads((case(folder, name).parent / "training.json").read_text())
        assert record["trained_tensors"] == len(record["moved"]) > 0


def test_vllm_knows_the_names_of_an_adapter(folder: Path, tmp_path: Path) -> None:
    """The rules are those of vLLM 0.33: its mapper of prefixes, then its own layers' names."""
    export(str(case(folder, "lora-1")), "adapter", tmp_path / "adapter")
    names = load_file(tmp_path / "adapter" / ADAPTER_WEIGHTS_FILE)
    for name in names:
        plain = name.removeprefix("base_model.model.")
        mapped = re.sub(r"^model\.language_model\.", "language_model.model.", plain)
        assert re.fullmatch(
            r"language_model\.model\.layers\.\d+\."
            r"(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)\.lora_[AB]\.weight",
            mapped,
        ), name
    settings = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert settings["target_modules"] == list(parts.LORA_TARGETS)


def test_peft_puts_an_exported_adapter_on_transformers_own_model(
    folder: Path, small_qwen3_asr: Path, tmp_path: Path
) -> None:
    from peft import PeftModel

    export(str(case(folder, "lora-1")), "adapter", tmp_path / "adapter")
    model = load(case(folder, "lora-1"), device="cpu", dtype="float32")
    item = model.processor.encode(noise(9_000), ASR, Answer("오늘"))
    batch = model.processor.collate([item])
    del batch["labels"]
    plain = Qwen3ASRForConditionalGeneration.from_pretrained(small_qwen3_asr).eval()
    with torch.inference_mode():
        before = plain(**batch).logits
        peft = PeftModel.from_pretrained(plain, tmp_path / "adapter").eval()
        assert torch.equal(peft(**batch).logits, model.module(**batch).logits)
        assert not torch.equal(peft(**batch).logits, before)


@pytest.mark.parametrize("name", ["lora-1", "audio-1"])
def test_an_export_says_in_transformers_what_the_model_says(
    folder: Path, tmp_path: Path, name: str
) -> None:
    out = tmp_path / "exported"
    soritune("export", case(folder, name), "--to", "transformers", "--out", out)
    model = Qwen3ASRForConditionalGeneration.from_pretrained(out).eval()
    processor = AutoProcessor.from_pretrained(out)
    samples = noise(20_000, 3)
    inputs = processor.apply_transcription_request(samples, language="ko")
    ids = model.generate(**inputs, max_new_tokens=12)[0, inputs["input_ids"].shape[1] :]
    text = processor.decode(ids, skip_special_tokens=True).strip()
    assert text == text_of(case(folder, name), samples) == text_of(out, samples)
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "vllm serve DIR" in card
    assert "language='Korean'" in card
    # vLLM has no place for a head in this layout: it must be the embeddings.
    assert "lm_head.weight" not in load_file(out / "model.safetensors")


def test_an_adapter_of_a_model_whose_encoder_changed_is_refused(
    folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="--to transformers"):
        export(str(case(folder, "audio-1")), "adapter", tmp_path / "adapter")


def test_inspect_tells_sizes_parts_and_servers(folder: Path, small_qwen3_asr: Path) -> None:
    base = describe(str(small_qwen3_asr))
    tensors = load_file(small_qwen3_asr / "model.safetensors")
    assert base.parameters == sum(tensor.numel() for tensor in tensors.values())
    assert set(base.parts) == {*parts.AUDIO_PARTS, parts.EMBEDDINGS, parts.LANGUAGE_MODEL}
    assert base.serving["vllm"].startswith("yes: vllm serve ")
    lora, audio = (describe(str(case(folder, name))) for name in ("lora-1", "audio-1"))
    assert "--enable-lora --max-lora-rank 8 --lora-modules speech=" in lora.serving["vllm"]
    assert f"{case(folder, 'lora-1')}/{ADAPTER_FOLDER}" in lora.serving["transformers"]
    assert set(audio.parts) == {"LoRA", *parts.AUDIO_PARTS}
    for how in audio.serving.values():
        assert how.startswith("no; first: soritune export")
        assert "--to transformers" in how
    shown = soritune("inspect", case(folder, "audio-1"))
    assert "audio encoder" in shown
    assert "vllm" in shown.lower()


PUBLISHED = {
    "Qwen/Qwen3-ASR-0.6B-hf": ((1024, 3072), (896, 3584, 18, 14)),
    "Qwen/Qwen3-ASR-1.7B-hf": ((2048, 6144), (1024, 4096, 24, 16)),
}
"""Of the language model: hidden, mlp; of the encoder: hidden, mlp, layers, heads."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_sizes_of_published_bases_are_those_of_their_configurations(name: str) -> None:
    (hidden, mlp), (audio, audio_mlp, layers, heads) = PUBLISHED[name]
    text_config = {
        "model_type": "qwen3",
        "vocab_size": 151_936,
        "hidden_size": hidden,
        "intermediate_size": mlp,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 128,
    }
    audio_config = {
        "model_type": "qwen3_asr_encoder",
        "d_model": audio,
        "encoder_ffn_dim": audio_mlp,
        "encoder_layers": layers,
        "encoder_attention_heads": heads,
        "output_dim": hidden,
    }
    config = Qwen3ASRConfig(audio_config=audio_config, text_config=text_config)
    with torch.device("meta"):
        module = Qwen3ASRForConditionalGeneration._from_config(config, dtype=torch.bfloat16)
    parameters = list(module.parameters())
    published = FAMILY.published_bases[name]
    assert published.parameters == sum(parameter.numel() for parameter in parameters)
    assert published.num_bytes == sum(parameter.nbytes for parameter in parameters)


def test_the_recipe_tells_its_download_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    recipe = Path(__file__).parent.parent / "recipes" / "qwen3-asr-korean.yaml"
    told = soritune("run", recipe, "--check")
    assert "Qwen/Qwen3-ASR-0.6B-hf, 782,426,112 parameters, 1.6 GB" in told
