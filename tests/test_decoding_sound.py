"""Sound in decoding: heard once, never written, and as exact in bfloat16 as it can be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft.tuners.lora import LoraLayer
from small_model import ASR, noise, said
from small_qwen3_asr import save_small_qwen3_asr
from small_whisper import save_small_whisper

from soritune.models import load
from soritune.models.phi4mm import constants
from soritune.models.phi4mm.features import log_mel
from soritune.models.phi4mm.model import Phi4mm
from soritune.models.speech_model import Generated

LoadSmall = Callable[[], Phi4mm]
LENGTHS = (3_000, 9_000, 16_000)


def generate(model: Phi4mm, beams: int = 1) -> list[Generated]:
    inputs = [model.processor.encode(noise(n, n), ASR) for n in LENGTHS]
    return model.generate(inputs, [6] * len(inputs), beams=beams)


@pytest.mark.parametrize("token", [constants.AUDIO_TOKEN, constants.IMAGE_TOKEN])
@pytest.mark.parametrize("beams", [1, 3])
def test_a_model_that_would_write_the_token_of_a_sound_or_image_writes_its_next_best(
    load_small: LoadSmall, token: str, beams: int
) -> None:
    model = load_small()
    vocabulary = model.processor.tokenizer.get_vocab()
    if token not in vocabulary:
        pytest.skip("the small tokenizer has no such token")
    written: list[torch.Tensor] = []

    def prefers(_: object, inputs: object, logits: torch.Tensor) -> torch.Tensor:
        logits[..., vocabulary[token]] = 100.0
        return logits

    def watched(_: object, args: tuple[torch.Tensor, ...]) -> None:
        written.append(args[0])

    model.module.lm_head.register_forward_hook(prefers)
    model.module.model.embed_tokens.register_forward_pre_hook(watched)
    answers = generate(model, beams)
    assert len(answers) == len(LENGTHS)
    assert written[1:]  # the first are the prompts
    assert all(vocabulary[token] not in ids for ids in written[1:])
    if beams == 1:  # the log-probability is the model's own: of a token that it hardly wanted
        assert all(answer.mean_logprob < -50 for answer in answers)


@pytest.mark.parametrize("beams", [1, 4])
@pytest.mark.parametrize("family", ["phi4mm", "whisper", "qwen3_asr"])
def test_each_clip_is_encoded_once_whatever_the_beams(
    small_base: Path, tmp_path: Path, family: str, beams: int
) -> None:
    made = {"whisper": save_small_whisper, "qwen3_asr": save_small_qwen3_asr}
    base = made[family](tmp_path) if family in made else small_base
    model = load(base, device="cpu", dtype="float32")
    encoder = {
        "phi4mm": lambda module: module.model.embed_tokens_extend.audio_embed.encoder,
        "whisper": lambda module: module.model.encoder,
        "qwen3_asr": lambda module: module.model.audio_tower,
    }[family](model.module)
    rows: list[int] = []
    encoder.register_forward_pre_hook(
        lambda module, args, kwargs: rows.append(len([*args, *kwargs.values()][0])),
        with_kwargs=True,
    )
    model.generate(
        [model.processor.encode(noise(n, n), ASR) for n in LENGTHS], [4] * 3, beams=beams
    )
    assert rows == [len(LENGTHS)]


@pytest.mark.parametrize("token", ["<|audio_pad|>", "<timestamp>"])
@pytest.mark.parametrize("beams", [1, 3])
def test_qwen_never_writes_the_token_of_a_sound_or_a_time(
    tmp_path: Path, beams: int, token: str
) -> None:
    model = load(save_small_qwen3_asr(tmp_path), device="cpu", dtype="float32")
    audio = model.processor.tokenizer.get_vocab()[token]
    written: list[torch.Tensor] = []

    def prefers(_: object, inputs: object, logits: torch.Tensor) -> torch.Tensor:
        logits[..., audio] = 100.0
        return logits

    model.module.lm_head.register_forward_hook(prefers)
    model.module.get_input_embeddings().register_forward_pre_hook(
        lambda module, args: written.append(args[0])
    )
    model.generate([model.processor.encode(noise(9_000), ASR)], [6], beams=beams)
    assert written[1:]
    assert all(audio not in ids for ids in written[1:])


def test_what_is_embedded_once_is_what_the_model_embeds_itself(load_small: LoadSmall) -> None:
    model = load_small()
    batch = model.processor.collate([model.processor.encode(noise(n, n), ASR) for n in LENGTHS])
    del batch["labels"]
    with torch.inference_mode():
        mask = batch.pop("attention_mask")
        itself = model.module(**batch, attention_mask=mask).logits
        embedded = model.module.embed(**batch)
        assert torch.equal(model.module(inputs_embeds=embedded, attention_mask=mask).logits, itself)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_lora_is_merged_for_decoding_in_any_dtype_and_rounded_once(
    load_small: LoadSmall, tmp_path: Path, dtype: str
) -> None:
    trained = load_small()
    trained.add_lora(r=4, alpha=8, dropout=0.0, seed=0)
    torch.manual_seed(0)
    for name, parameter in trained.module.named_parameters():
        if ".lora_" in name:
            # Values that bfloat16 holds, so that only the rounding of the sum is left.
            torch.nn.init.normal_(parameter, std=0.1)
            parameter.data = parameter.data.bfloat16().float()
    trained.save(tmp_path, trained=[], about={})
    merged = load(tmp_path, device="cpu", dtype=dtype, merge=True)
    assert not any(isinstance(module, LoraLayer) for module in merged.module.modules())
    apart = load(tmp_path, device="cpu", dtype=dtype).module.model.layers[0].mlp.down_proj
    a, b = (matrix["speech"].weight.float() for matrix in (apart.lora_A, apart.lora_B))
    whole = apart.get_base_layer().weight.float() + 2.0 * b @ a
    found = merged.module.model.layers[0].mlp.down_proj.weight
    assert found.dtype == getattr(torch, dtype)
    assert torch.equal(found, whole.to(found.dtype)) or dtype == "float32"
    torch.testing.assert_close(found, whole.to(found.dtype))


def encodings(model: Phi4mm, features: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return model.module.audio_encoder(features[None], None)[0].float()


def test_features_are_normalised_in_float32_before_they_are_rounded() -> None:
    exact = load("builtin:tiny", device="cpu", dtype="float32")
    coarse = load("builtin:tiny", device="cpu", dtype="bfloat16")
    features = log_mel(noise(32_000, 3))
    seen: list[torch.Tensor] = []
    coarse.module.audio_encoder.embed.conv[0].register_forward_pre_hook(
        lambda module, args: seen.append(args[0])
    )
    wanted = exact.module.audio_encoder.encoder_embedding(features).bfloat16()
    rounded = encodings(coarse, features)
    assert torch.equal(seen[0][0, 0], wanted)
    truth = encodings(exact, features)
    assert float((rounded - truth).norm() / truth.norm()) < 0.03


def test_training_in_autocast_hears_what_decoding_in_bfloat16_hears(small_base: Path) -> None:
    seen: list[torch.Tensor] = []
    for dtype in ("float32", "bfloat16"):
        model = load(small_base, device="cpu", dtype=dtype)
        model.module.audio_encoder.embed.conv[0].register_forward_pre_hook(
            lambda module, args: seen.append(args[0].bfloat16())
        )
        batch = model.processor.collate([model.processor.encode(noise(9_000), ASR, said("네"))])
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "float32"):
            model.loss(batch, 1.0)
    assert torch.equal(seen[0], seen[1])


def test_each_family_says_how_likely_answers_are_in_bfloat16(
    small_base: Path, tmp_path: Path
) -> None:
    bases = (small_base, save_small_whisper(tmp_path), save_small_qwen3_asr(tmp_path / "qwen"))
    for base in bases:
        model = load(base, device="cpu", dtype="bfloat16")
        batch = model.processor.collate([model.processor.encode(noise(9_000), ASR, said("네"))])
        assert bool(model.row_losses(batch).isfinite().all())
