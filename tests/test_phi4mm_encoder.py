"""A clip in a batch is encoded as it is alone; the native encoder is exact only for one clip."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from small_model import noise
from torch import nn
from transformers.models.phi4_multimodal.modeling_phi4_multimodal import Phi4MultimodalAudioModel

from soritune.models.phi4mm.encoder import ExactAudioEncoder
from soritune.models.phi4mm.features import log_mel
from soritune.models.phi4mm.model import Phi4mm

LENGTHS = (400, 1_680, 7_777, 16_000, 16_160)


@pytest.fixture
def encoder(load_small: Callable[[], Phi4mm]) -> ExactAudioEncoder:
    encoder = load_small().module.audio_encoder
    # The position bias starts flat; it must not be for these tests to say something.
    nn.init.normal_(encoder.relative_attention_bias_layer.bias_values.weight)
    return encoder


def clips() -> list[torch.Tensor]:
    return [log_mel(noise(length, length)) for length in LENGTHS]


def batch(features: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    padded = nn.utils.rnn.pad_sequence(features, batch_first=True)
    frames = torch.tensor([len(f) for f in features])
    return padded, torch.arange(padded.shape[1])[None, :] < frames[:, None]


def tokens(features: torch.Tensor) -> int:
    return -(-len(features) // 8)


@torch.inference_mode()
def test_a_clip_in_a_batch_is_encoded_as_alone(encoder: ExactAudioEncoder) -> None:
    together = encoder(*batch(clips()))
    for row, features in zip(together, clips(), strict=True):
        alone = encoder(features[None], None)[0]
        assert alone.shape == (tokens(features), encoder.config.hidden_size)
        torch.testing.assert_close(row[: tokens(features)], alone, atol=1e-5, rtol=0)


@torch.inference_mode()
def test_what_stands_in_the_padding_does_not_matter(encoder: ExactAudioEncoder) -> None:
    padded, mask = batch(clips())
    dirty = padded.masked_fill(~mask[..., None], 1e3)
    for clean_row, dirty_row, features in zip(
        encoder(padded, mask), encoder(dirty, mask), clips(), strict=True
    ):
        kept = tokens(features)
        torch.testing.assert_close(clean_row[:kept], dirty_row[:kept], atol=1e-5, rtol=0)


@torch.inference_mode()
def test_one_clip_is_encoded_as_by_the_native_encoder(encoder: ExactAudioEncoder) -> None:
    native = native_copy(encoder)
    for features in clips():
        ours, theirs = encoder(features[None], None), native(features[None], None)
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


@torch.inference_mode()
def test_the_native_encoder_lets_padding_into_a_batch(encoder: ExactAudioEncoder) -> None:
    """The trap itself: should this fail after an upgrade, our own forward may go."""
    native = native_copy(encoder)
    together = native(*batch(clips()))
    shortest = clips()[1]
    alone = native(shortest[None], None)[0]
    leaked = (together[1, : tokens(shortest)] - alone).norm() / alone.norm()
    assert leaked > 0.1


def native_copy(encoder: ExactAudioEncoder) -> Phi4MultimodalAudioModel:
    native = Phi4MultimodalAudioModel._from_config(encoder.config, attn_implementation="sdpa")
    native.load_state_dict(encoder.state_dict())
    return native.eval()


@torch.inference_mode()
def test_500_tokens_fit_and_501_are_refused(encoder: ExactAudioEncoder) -> None:
    assert encoder(torch.zeros(1, 4_000, 80), None).shape[1] == 500
    with pytest.raises(ValueError, match="501 audio tokens, at most 500"):
        encoder(torch.zeros(1, 4_001, 80), None)


def test_checkpointing_recomputes_each_block_and_leaves_gradients_as_they_are(
    load_small: Callable[[], Phi4mm],
) -> None:
    model = load_small()
    encoder = model.module.audio_encoder.train()
    blocks = len(encoder.encoders)

    def gradients() -> tuple[dict[str, torch.Tensor], int]:
        calls: list[int] = []
        hooks = [
            block.register_forward_pre_hook(lambda *_: calls.append(1))
            for block in encoder.encoders
        ]
        encoder.zero_grad()
        encoder(*batch(clips())).square().mean().backward()
        for hook in hooks:
            hook.remove()
        found = {n: p.grad.clone() for n, p in encoder.named_parameters() if p.grad is not None}
        return found, len(calls)

    plain, plain_calls = gradients()
    model.checkpoint_layers()
    recomputed, recomputed_calls = gradients()
    assert (plain_calls, recomputed_calls) == (blocks, 2 * blocks)
    assert plain.keys() == recomputed.keys()
    for name, gradient in plain.items():
        torch.testing.assert_close(recomputed[name], gradient, atol=1e-6, rtol=1e-4, msg=name)


def test_checkpointing_also_recomputes_the_layers_of_the_language_model(
    load_small: Callable[[], Phi4mm],
) -> None:
    model = load_small()
    model.checkpoint_layers()
    model.module.train()
    calls: list[int] = []
    for layer in model.module.model.layers:
        layer.mlp.register_forward_pre_hook(lambda *_: calls.append(1))
    ids = torch.tensor([model.processor.text_ids("오늘 날씨")])
    model.module(input_ids=ids, labels=ids, use_cache=False).loss.backward()
    assert len(calls) == 2 * len(model.module.model.layers)
