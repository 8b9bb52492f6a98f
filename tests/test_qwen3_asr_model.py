"""Loss, logits and generation of Qwen3-ASR, against transformers' own model."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from small_model import noise
from test_qwen3_asr_processor import edited
from transformers import AutoProcessor, Qwen3ASRForConditionalGeneration, Qwen3ASRProcessor

from soritune.errors import UserError
from soritune.models import load
from soritune.models.qwen3_asr import constants as c
from soritune.models.qwen3_asr.model import Qwen3Asr
from soritune.models.speech_model import ModelInput
from soritune.tasks import Answer, Request, Task

ASR = Request(Task.ASR, "ko")
TEXTS = ("오늘 날씨가", "내일은 비가 온다고 해요.", "좋습니다")
SAMPLES = (9_000, 16_001, 140_000)  # under a chunk, a chunk and a sample, more than a window


@pytest.fixture(scope="module")
def reference(small_qwen3_asr: Path) -> Qwen3ASRForConditionalGeneration:
    return Qwen3ASRForConditionalGeneration.from_pretrained(small_qwen3_asr).eval()


@pytest.fixture(scope="module")
def their_processor(small_qwen3_asr: Path) -> Qwen3ASRProcessor:
    return AutoProcessor.from_pretrained(small_qwen3_asr)


@pytest.fixture
def model(small_qwen3_asr: Path) -> Qwen3Asr:
    return load(small_qwen3_asr, device="cpu", dtype="float32")


def examples(model: Qwen3Asr) -> list[ModelInput]:
    return [
        model.processor.encode(noise(samples, index), ASR, Answer(text))
        for index, (samples, text) in enumerate(zip(SAMPLES, TEXTS, strict=True))
    ]


def clips(model: Qwen3Asr, request: Request = ASR) -> list[ModelInput]:
    return [
        model.processor.encode(noise(samples, index), request)
        for index, samples in enumerate(SAMPLES)
    ]


def test_logits_and_loss_are_those_of_transformers(
    model: Qwen3Asr, reference: Qwen3ASRForConditionalGeneration
) -> None:
    batch = model.processor.collate(examples(model))
    with torch.inference_mode():
        expected = reference(**batch)
        inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
        assert torch.equal(model.module(**inputs).logits, expected.logits)
    targets = model.num_targets(batch)
    assert targets == sum(len(item.target_ids or ()) for item in examples(model))
    torch.testing.assert_close(model.loss(batch, targets), expected.loss)


def test_row_losses_are_those_of_rows_alone(model: Qwen3Asr) -> None:
    inputs = examples(model)
    found = model.row_losses(model.processor.collate(inputs))
    for item, value in zip(inputs, found, strict=True):
        batch = model.processor.collate([item])
        loss = model.loss(batch, model.num_targets(batch))
        torch.testing.assert_close(loss, value, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("language", ["ko", None])
def test_greedy_text_is_that_of_transformers(
    model: Qwen3Asr,
    reference: Qwen3ASRForConditionalGeneration,
    their_processor: Qwen3ASRProcessor,
    language: str | None,
) -> None:
    found = model.generate(clips(model, Request(Task.ASR, language)), [12] * 3)
    assert len({output.text for output in found}) == 3
    for index, (samples, output) in enumerate(zip(SAMPLES, found, strict=True)):
        inputs = their_processor.apply_transcription_request(
            noise(samples, index), language=language
        )
        ids = reference.generate(**inputs, max_new_tokens=12)[0, inputs["input_ids"].shape[1] :]
        assert output.text == their_processor.decode(ids, skip_special_tokens=True).strip()
        assert output.text


def test_a_clip_in_a_batch_gets_what_it_gets_alone(model: Qwen3Asr) -> None:
    inputs = clips(model)
    for beams in (1, 3):
        together = model.generate(inputs, [20, 7, 12], beams=beams)
        for item, limit, output in zip(inputs, (20, 7, 12), together, strict=True):
            alone = model.generate([item], [limit], beams=beams)[0]
            assert alone.text == output.text
            assert alone.mean_logprob == pytest.approx(output.mean_logprob, abs=1e-5)


def test_the_encoder_hears_a_clip_in_a_batch_as_alone(model: Qwen3Asr) -> None:
    def encoded(inputs: list[ModelInput]) -> list[torch.Tensor]:
        batch = model.processor.collate_prompts(inputs)
        with torch.inference_mode():
            hidden = model.module.get_audio_features(
                batch["input_features"], batch["input_features_mask"]
            ).pooler_output
        counts = [c.num_audio_tokens(len(item.features)) for item in inputs]
        return list(hidden.split(counts))

    inputs = clips(model)
    for item, together in zip(inputs, encoded(inputs), strict=True):
        torch.testing.assert_close(encoded([item])[0], together, rtol=0, atol=1e-5)


def test_what_pads_a_chunk_is_heard(model: Qwen3Asr) -> None:
    """The trap: the convolutions see what follows a clip, so only zeros are the clip alone."""
    batch = model.processor.collate_prompts(clips(model)[2:])
    frames = int(batch["input_features_mask"].sum())
    louder = batch["input_features"].clone()
    louder[:, :, frames:] = -1.5  # the silence that transformers has there in a batch
    with torch.inference_mode():
        one, other = (
            model.module.get_audio_features(f, batch["input_features_mask"]).last_hidden_state
            for f in (batch["input_features"], louder)
        )
    assert not torch.allclose(one, other, atol=1e-4)


def test_attention_stays_within_windows_of_800_frames(model: Qwen3Asr) -> None:
    item = model.processor.encode(noise(16_000 * 9), ASR)
    changed = ModelInput(item.features.clone(), item.prompt_ids)
    changed.features[c.WINDOW_FRAMES :] += 1
    hidden = []
    for each in (item, changed):
        batch = model.processor.collate_prompts([each])
        with torch.inference_mode():
            hidden.append(
                model.module.model.audio_tower(
                    input_features=batch["input_features"],
                    input_features_mask=batch["input_features_mask"],
                ).last_hidden_state
            )
    window = c.num_audio_tokens(c.WINDOW_FRAMES)
    assert window == 104
    assert torch.equal(hidden[0][:window], hidden[1][:window])
    assert not torch.allclose(hidden[0][window:], hidden[1][window:], atol=1e-3)


def test_a_trained_model_stops_by_itself(model: Qwen3Asr) -> None:
    inputs = [model.processor.encode(noise(9_000), ASR, Answer("좋습니다"))]
    batch = model.processor.collate(inputs)
    optimizer = torch.optim.AdamW(model.module.parameters(), lr=1e-2)
    for _ in range(20):
        optimizer.zero_grad()
        model.loss(batch, model.num_targets(batch)).backward()
        optimizer.step()
    assert model.generate(inputs, [40])[0].text == "좋습니다"


def test_weights_in_bfloat16_take_features_in_float32(small_qwen3_asr: Path) -> None:
    half = load(small_qwen3_asr, device="cpu", dtype="bfloat16")
    assert half.module.lm_head.weight.dtype == torch.bfloat16
    assert half.generate(clips(half)[:1], [3])
    assert half.row_losses(half.processor.collate(examples(half))).isfinite().all()


def test_checkpointing_changes_no_gradient(model: Qwen3Asr, small_qwen3_asr: Path) -> None:
    other = load(small_qwen3_asr, device="cpu", dtype="float32")
    other.checkpoint_layers()
    batch = model.processor.collate(examples(model))
    for each in (model, other):
        each.module.train()
        each.loss(batch, 10.0).backward()
    layers = [*other.module.model.audio_tower.layers, *other.module.model.language_model.layers]
    assert all(layer.gradient_checkpointing for layer in layers)
    expected = dict(model.module.named_parameters())
    for name, parameter in other.module.named_parameters():
        assert parameter.grad is not None, name
        torch.testing.assert_close(parameter.grad, expected[name].grad)


def test_the_first_release_and_its_layout_are_named(small_qwen3_asr: Path, tmp_path: Path) -> None:
    base = edited(small_qwen3_asr, tmp_path / "base", "config.json", thinker_config={})
    with pytest.raises(UserError, match="ends with -hf"):
        load(base, device="cpu")


def test_a_written_head_is_the_embeddings(small_qwen3_asr: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    base = shutil.copytree(small_qwen3_asr, tmp_path / "base")
    tensors = load_file(base / "model.safetensors")
    assert "lm_head.weight" not in tensors
    embeddings = tensors["model.language_model.embed_tokens.weight"]
    save_file(
        {**tensors, "lm_head.weight": embeddings.clone()},
        base / "model.safetensors",
        {"format": "pt"},
    )
    module = load(base, device="cpu").module
    assert module.lm_head.weight is module.model.language_model.embed_tokens.weight


def test_a_checkpoint_without_a_tensor_is_refused(small_qwen3_asr: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    base = shutil.copytree(small_qwen3_asr, tmp_path / "base")
    tensors = load_file(base / "model.safetensors")
    del tensors["model.audio_tower.conv_out.weight"]
    save_file(tensors, base / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=r"lacks tensor model\.audio_tower\.conv_out\.weight"):
        load(base, device="cpu")
