"""Exports of Whisper, read by the programs that they are for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from small_model import noise
from small_whisper import save_small_whisper
from transformers import WhisperForConditionalGeneration, WhisperProcessor

from soritune.export.export import export
from soritune.models import describe, load
from soritune.tasks import Request, Task

ASR = Request(Task.ASR, "ko")
NUM_TOKENS = 12


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="module")
def trained(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model for Korean with a LoRA and a changed encoder, as training saves it."""
    model = load(base, device="cpu", dtype="float32")
    model.add_lora(r=4, alpha=8, dropout=0, seed=1)
    changed = "model.encoder.layers.0.fc1.weight"
    torch.manual_seed(3)
    with torch.no_grad():
        for name, parameter in model.module.named_parameters():
            if ".lora_B." in name or name == changed:
                parameter.normal_(0, 0.2)
    folder = tmp_path_factory.mktemp("trained") / "model"
    model.save(folder, trained=[changed], about={"case": "c", "language": "ko", "task": "asr"})
    return folder


@pytest.fixture(scope="module")
def exported(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exported") / "model"
    export(str(trained), "transformers", out)
    return out


def text_of(folder: Path, samples: np.ndarray, request: Request = ASR) -> str:
    model = load(folder, device="cpu", dtype="float32")
    inputs = [model.processor.encode(samples, request)]
    return model.generate(inputs, [NUM_TOKENS])[0].text


def test_transformers_writes_the_same_without_being_told_the_language(
    trained: Path, exported: Path
) -> None:
    processor = WhisperProcessor.from_pretrained(exported)
    model = WhisperForConditionalGeneration.from_pretrained(exported).eval()
    for seed in range(2):
        samples = noise(9_000, seed)
        features = processor(samples, sampling_rate=16_000, return_tensors="pt").input_features
        ids = model.generate(features, max_new_tokens=NUM_TOKENS)
        text = processor.batch_decode(ids, skip_special_tokens=True)[0].strip()
        assert text == text_of(trained, samples)
        assert text == text_of(exported, samples, Request(Task.ASR))


def test_an_export_names_language_and_task_and_masks_nothing(
    base: Path, exported: Path, tmp_path: Path
) -> None:
    settings = json.loads((exported / "generation_config.json").read_text())
    assert (settings["language"], settings["task"]) == ("<|ko|>", "transcribe")
    assert "forced_decoder_ids" not in settings
    of_base = json.loads((base / "generation_config.json").read_text())
    assert settings["suppress_tokens"] == of_base["suppress_tokens"]
    assert json.loads((exported / "config.json").read_text())["apply_spec_augment"] is False
    export(str(base), "transformers", tmp_path / "plain")
    # Without a task transformers' prompt would have none, after which Whisper repeats itself.
    plain = json.loads((tmp_path / "plain" / "generation_config.json").read_text())
    assert plain == of_base | {"task": "transcribe"}


def test_half_of_a_lora_can_be_exported(trained: Path, tmp_path: Path) -> None:
    weights = {}
    for share in (0.0, 0.5, 1.0):
        export(str(trained), "transformers", tmp_path / str(share), lora_weight=share)
        module = load(tmp_path / str(share), device="cpu", dtype="float32").module
        weights[share] = module.model.decoder.layers[0].self_attn.q_proj.weight
    torch.testing.assert_close(weights[0.5], (weights[0.0] + weights[1.0]) / 2)


def test_the_adapter_alone_is_refused_where_more_was_trained(trained: Path, tmp_path: Path) -> None:
    from soritune.errors import UserError

    with pytest.raises(UserError, match=r"encoder changed too.*--to transformers"):
        export(str(trained), "adapter", tmp_path / "adapter")


def test_peft_reads_an_exported_adapter(base: Path, tmp_path: Path) -> None:
    from peft import PeftModel

    model = load(base, device="cpu", dtype="float32")
    model.add_lora(r=4, alpha=8, dropout=0, seed=1, mode="lora")
    with torch.no_grad():
        for name, parameter in model.module.named_parameters():
            if ".lora_B." in name:
                parameter.normal_(0, 0.2)
    model.save(tmp_path / "model", trained=[], about={})
    export(str(tmp_path / "model"), "adapter", tmp_path / "adapter")
    plain = WhisperForConditionalGeneration.from_pretrained(base).eval()
    peft = PeftModel.from_pretrained(plain, tmp_path / "adapter").eval()
    ids = torch.tensor([[model.processor.ids.start, 5, 6]])
    features = model.processor.windows([model.processor.encode(noise(9_000), ASR)])
    with torch.inference_mode():
        expected = model.module(input_features=features, decoder_input_ids=ids).logits
        found = peft(input_features=features, decoder_input_ids=ids).logits
    assert torch.equal(found, expected)
    # No layer of the encoder has an adapter that does nothing.
    assert not [n for n, _ in peft.named_modules() if "encoder.layers" in n and "lora_A" in n]


def test_ctranslate2_writes_the_same(trained: Path, tmp_path: Path) -> None:
    ctranslate2 = pytest.importorskip("ctranslate2")
    export(str(trained), "ctranslate2", tmp_path / "ct2")
    for name in ("model.bin", "tokenizer.json", "preprocessor_config.json"):
        assert (tmp_path / "ct2" / name).is_file()
    whisper = ctranslate2.models.Whisper(
        str(tmp_path / "ct2"), compute_type="float32", intra_threads=1
    )
    model = load(trained, device="cpu", dtype="float32", merge=True)
    for parameter in model.module.parameters():
        parameter.data = parameter.data.half().float()  # as the file has them
    for seed in range(2):
        item = model.processor.encode(noise(9_000, seed), ASR)
        window = model.processor.windows([item]).numpy()
        result = whisper.generate(
            ctranslate2.StorageView.from_array(np.ascontiguousarray(window)),
            [item.prompt_ids],
            beam_size=1,
            max_length=4 * NUM_TOKENS,  # half of it is left for text
        )[0]
        found = model.processor.decode(result.sequences_ids[0][:NUM_TOKENS])
        assert found == model.generate([item], [NUM_TOKENS])[0].text


def test_inspect_says_which_server_takes_what(trained: Path, exported: Path) -> None:
    whole = describe(exported)
    assert set(whole.parts) == {"encoder", "decoder", "encoder positions"}
    assert whole.serving["transformers"].startswith("yes")
    assert "/v1/audio/transcriptions" in whole.serving["vllm"]
    assert "--to ctranslate2" in whole.serving["faster-whisper"]
    own = describe(trained)
    assert own.trained is not None
    assert own.trained["language"] == "ko"
    assert all(says.startswith("no; first: soritune export") for says in own.serving.values())
