"""Loss, generation and the traps of checkpoints, against transformers' own Whisper."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import torch
from small_model import noise
from small_whisper import save_small_whisper
from transformers import WhisperForConditionalGeneration

from soritune.errors import UserError
from soritune.models import load
from soritune.models.registry import family_named
from soritune.models.speech_model import ModelInput
from soritune.models.whisper.model import Whisper
from soritune.models.whisper.processor import DETECT
from soritune.tasks import Answer, Request, Task

ASR = Request(Task.ASR, "ko")
TEXTS = ("오늘 날씨가", "내일은 비가 온다고 해요.", "좋습니다")
NUM_TOKENS = 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="module")
def reference(folder: Path) -> WhisperForConditionalGeneration:
    return WhisperForConditionalGeneration.from_pretrained(folder).eval()


@pytest.fixture
def model(folder: Path) -> Whisper:
    return load(folder, device="cpu", dtype="float32")


def examples(model: Whisper, request: Request = ASR) -> list[ModelInput]:
    return [
        model.processor.encode(noise(9_000 + 4_000 * index, index), request, Answer(text))
        for index, text in enumerate(TEXTS)
    ]


def clips(model: Whisper, request: Request = ASR) -> list[ModelInput]:
    return [
        model.processor.encode(noise(9_000 + 4_000 * index, index), request) for index in range(3)
    ]


def edited(folder: Path, out: Path, file: str, **changes: object) -> Path:
    """A copy of a base with other values in one of its JSON files; None removes a key."""
    out.mkdir()
    for path in folder.iterdir():
        (out / path.name).symlink_to(path)
    settings = {**json.loads((folder / file).read_text()), **changes}
    (out / file).unlink()
    (out / file).write_text(
        json.dumps({key: value for key, value in settings.items() if value is not None})
    )
    return out


def test_loss_is_that_of_transformers(
    model: Whisper, reference: WhisperForConditionalGeneration
) -> None:
    batch = model.processor.collate(examples(model))
    targets = model.num_targets(batch)
    assert targets == sum(len(item.target_ids or ()) for item in examples(model))
    expected = reference(**batch).loss
    torch.testing.assert_close(model.loss(batch, targets), expected)


def test_transformers_own_shift_gives_the_same_loss(
    model: Whisper, reference: WhisperForConditionalGeneration
) -> None:
    """Labels with the prompt but without its start token are what transformers shifts itself."""
    item = examples(model)[1]
    assert item.target_ids is not None
    labels = torch.tensor([item.prompt_ids[1:] + item.target_ids])
    logits = reference(input_features=model.processor.windows([item]), labels=labels).logits[
        0, len(item.prompt_ids) - 1 :
    ]
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor(item.target_ids))
    batch = model.processor.collate([item])
    torch.testing.assert_close(model.loss(batch, model.num_targets(batch)), expected)


def test_row_losses_are_those_of_rows_alone(model: Whisper) -> None:
    inputs = examples(model)
    found = model.row_losses(model.processor.collate(inputs))
    for item, value in zip(inputs, found, strict=True):
        batch = model.processor.collate([item])
        torch.testing.assert_close(model.loss(batch, model.num_targets(batch)), value)


def test_greedy_text_is_that_of_transformers(
    model: Whisper, reference: WhisperForConditionalGeneration
) -> None:
    for request, task in ((ASR, "transcribe"), (Request(Task.AST, "ko", "en"), "translate")):
        inputs = clips(model, request)
        found = model.generate(inputs, [NUM_TOKENS] * 3)
        for item, output in zip(inputs, found, strict=True):
            ids = reference.generate(
                model.processor.windows([item]),
                language="ko",
                task=task,
                max_new_tokens=NUM_TOKENS,
            )
            text = model.processor.tokenizer.decode(ids[0], skip_special_tokens=True)
            assert output.text == text.strip()
            assert output.text


def test_a_clip_in_a_batch_gets_the_text_that_it_gets_alone(model: Whisper) -> None:
    inputs = clips(model)
    for beams in (1, 3):
        together = model.generate(inputs, [20, 7, 12], beams=beams)
        for item, limit, output in zip(inputs, (20, 7, 12), together, strict=True):
            alone = model.generate([item], [limit], beams=beams)[0]
            assert alone.text == output.text
            assert alone.mean_logprob == pytest.approx(output.mean_logprob, abs=1e-5)


def test_the_language_is_detected_as_transformers_does(
    model: Whisper, reference: WhisperForConditionalGeneration
) -> None:
    unknown = clips(model, Request(Task.ASR))
    assert all(item.prompt_ids[1] == DETECT for item in unknown)
    languages = reference.detect_language(model.processor.windows(unknown)).tolist()
    named = [
        ModelInput(item.features, [item.prompt_ids[0], language, *item.prompt_ids[2:]])
        for item, language in zip(unknown, languages, strict=True)
    ]
    # One row of the batch names its language.
    unknown[0] = named[0]
    assert model.generate(unknown, [12] * 3) == model.generate(named, [12] * 3)


def test_suppressed_tokens_are_never_written(folder: Path, tmp_path: Path, model: Whisper) -> None:
    """`suppress_tokens` holds for every token, `begin_suppress_tokens` for the first."""
    first = model.generate(clips(model)[:1], [8])[0].text
    start = model.processor.tokenizer.encode(first, add_special_tokens=False)[0]
    for key in ("suppress_tokens", "begin_suppress_tokens"):
        base = edited(folder, tmp_path / key, "generation_config.json", **{key: [start]})
        text = load(base, device="cpu", dtype="float32").generate(clips(model)[:1], [8])[0].text
        assert not text.startswith(first[:1])


def test_old_settings_of_a_checkpoint_do_not_change_the_prompt(
    folder: Path, tmp_path: Path, model: Whisper, caplog: pytest.LogCaptureFixture
) -> None:
    """`forced_decoder_ids` and `max_length`, as older checkpoints have them."""
    forced = edited(
        folder,
        tmp_path / "forced",
        "generation_config.json",
        forced_decoder_ids=[[1, model.processor.ids.languages["en"]]],
        max_length=5,
        return_timestamps=True,
    )
    expected = model.generate(clips(model), [12] * 3)
    with caplog.at_level(logging.WARNING):
        found = load(forced, device="cpu", dtype="float32").generate(clips(model), [12] * 3)
    assert found == expected
    assert not caplog.records


@pytest.mark.parametrize("named", ["ko", "korean", "<|ko|>"])
def test_a_checkpoint_that_names_its_language_transcribes_in_it(
    folder: Path, tmp_path: Path, named: str
) -> None:
    base = edited(folder, tmp_path / "korean", "generation_config.json", language=named)
    assert load(base, device="cpu").processor.language == "ko"
    assert family_named("whisper", "").default_language(base) == "ko"  # as vLLM is asked


def test_masking_in_the_checkpoint_is_switched_off(
    folder: Path, tmp_path: Path, model: Whisper
) -> None:
    """transformers would mask features while training, besides what the recipe augments."""
    base = edited(
        folder, tmp_path / "masking", "config.json", apply_spec_augment=True, mask_time_prob=0.5
    )
    masking = load(base, device="cpu", dtype="float32")
    batch = model.processor.collate(examples(model))
    masking.module.train()
    assert torch.equal(masking.loss(batch, 1.0), model.loss(batch, 1.0))


def test_checkpointing_changes_no_gradient_and_keeps_no_cache(
    model: Whisper, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = load(folder, device="cpu", dtype="float32")
    other.checkpoint_layers()
    batch = model.processor.collate(examples(model))
    with caplog.at_level(logging.WARNING):
        for each in (model, other):
            each.module.train()
            each.loss(batch, 10.0).backward()
    assert not caplog.records  # transformers warns where checkpointing meets a cache
    expected = dict(model.module.named_parameters())
    for name, parameter in other.module.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(parameter.grad, expected[name].grad)


def test_a_checkpoint_without_a_tensor_is_refused(folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    base = edited(folder, tmp_path / "damaged", "config.json")
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.encoder.conv1.bias"]
    (base / "model.safetensors").unlink()
    save_file(tensors, base / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=r"lacks tensor model\.encoder\.conv1\.bias"):
        load(base, device="cpu")


def test_a_written_head_is_the_embeddings(folder: Path, tmp_path: Path) -> None:
    """Some checkpoints hold the head, which is the embeddings once more."""
    from safetensors.torch import load_file, save_file

    base = edited(folder, tmp_path / "head", "config.json")
    tensors = load_file(folder / "model.safetensors")
    tensors["proj_out.weight"] = tensors["model.decoder.embed_tokens.weight"].clone()
    (base / "model.safetensors").unlink()
    save_file(tensors, base / "model.safetensors", {"format": "pt"})
    module = load(base, device="cpu").module
    assert module.proj_out.weight is module.model.decoder.embed_tokens.weight
