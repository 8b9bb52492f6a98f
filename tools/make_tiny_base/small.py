"""A small Phi-4-multimodal of the real architecture: configuration, tokenizer, initial weights.

Everything that a clip meets is as in the official model (features, 80 ms tokens, chat form, both
end tokens, special tokens); only the sizes differ, and the vision tower is absent.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn
from transformers import Phi4MultimodalConfig, PreTrainedTokenizerFast

from soritune.models.phi4mm.constants import AUDIO_TOKEN
from soritune.models.phi4mm.modeling import ATTENTION, NATIVE_ARCHITECTURE, Phi4SpeechForCausalLM
from soritune.models.weights import save_tensors

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|endoftext10|>",
    AUDIO_TOKEN,
    "<|end|>",
    "<|user|>",
    "<|assistant|>",
    "<|system|>",
)


class SmallSize(BaseModel):
    """Sizes of a small base; the defaults make about three million parameters."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    vocabulary: int = 1200
    hidden: int = 192
    layers: int = 3
    heads: int = 4
    key_value_heads: int = 2
    mlp: int = 384
    audio_hidden: int = 144
    audio_blocks: int = 4
    audio_heads: int = 4
    audio_mlp: int = 288
    conv_channels: int = 32
    bias_max_distance: int = 100


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Train byte-level BPE of `vocabulary` pieces plus special tokens, with the chat form.

    The chat form is that of the official tokenizer: `<|role|>content<|end|>`.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary + len(SPECIAL_TOKENS),
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|endoftext|>",
        eos_token="<|endoftext|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=list(SPECIAL_TOKENS[1:]),
        chat_template=(
            "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] "
            "+ '<|end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}"
            "{% endif %}"
        ),
        clean_up_tokenization_spaces=False,
    )


def small_config(size: SmallSize, tokenizer: PreTrainedTokenizerFast) -> Phi4MultimodalConfig:
    """Make the native configuration of a small base with the token ids of its tokenizer."""
    vocabulary = tokenizer.get_vocab()
    ids = {token: vocabulary[token] for token in SPECIAL_TOKENS}
    return Phi4MultimodalConfig(
        vocab_size=len(tokenizer),
        hidden_size=size.hidden,
        intermediate_size=size.mlp,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.key_value_heads,
        max_position_embeddings=4096,
        original_max_position_embeddings=4096,
        tie_word_embeddings=True,
        rope_parameters={
            "rope_type": "default",
            "rope_theta": 10_000.0,
            "partial_rotary_factor": 0.75,
        },
        bos_token_id=ids["<|endoftext|>"],
        eos_token_id=[ids["<|endoftext|>"], ids["<|end|>"]],
        pad_token_id=ids["<|endoftext|>"],
        sliding_window=None,
        audio_config={
            "hidden_size": size.audio_hidden,
            "intermediate_size": size.audio_mlp,
            "num_blocks": size.audio_blocks,
            "num_attention_heads": size.audio_heads,
            "ext_pw_out_channel": size.audio_hidden,
            "depthwise_separable_out_channel": size.audio_hidden,
            "nemo_conv_channels": size.conv_channels,
            "bias_max_distance": size.bias_max_distance,
            "audio_token_id": ids[AUDIO_TOKEN],
        },
        # The tower is never built; its configuration only has to be valid.
        vision_config={
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 1,
            "image_token_id": ids["<|endoftext10|>"],
        },
        architectures=[NATIVE_ARCHITECTURE],
    )


def build(config: Phi4MultimodalConfig, seed: int) -> Phi4SpeechForCausalLM:
    """Build a model with fan-in initial weights, in fp32.

    The native standard deviation of 0.02 does not let an encoder of this size start to learn.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: Phi4SpeechForCausalLM = Phi4SpeechForCausalLM._from_config(  # type: ignore[no-untyped-call]
            config, attn_implementation=ATTENTION
        )
        fan_in_init(model)
    return model


@torch.no_grad()
def fan_in_init(model: nn.Module) -> None:
    """Normal weights with deviation fan_in^-1/2, zero biases (LeCun et al. 1998)."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d):
            nn.init.normal_(module.weight, std=1.0 / math.sqrt(module.weight[0].numel()))
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            # The tied head makes logits of unit size from normalised states; the encoder's
            # position bias starts flat.
            nn.init.normal_(module.weight, std=1.0 / math.sqrt(module.weight.shape[1]))
    for name, parameter in model.named_parameters():
        if "bias_values" in name:
            nn.init.zeros_(parameter)


@torch.no_grad()
def set_feature_statistics(model: Phi4SpeechForCausalLM, features: Iterable[torch.Tensor]) -> None:
    """Set the encoder's input mean and inverse deviation per mel channel, from (frames, 80)."""
    frames = torch.cat(list(features)).to(torch.float64)
    layer = model.audio_encoder.encoder_embedding
    layer.global_mean.copy_(frames.mean(0))
    layer.global_invstd.copy_(1.0 / frames.std(0).clamp(min=1e-3))


def save_base(
    model: Phi4SpeechForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path
) -> None:
    """Write a native folder: config.json, model.safetensors (tied head once), tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(str(folder))
    model.config.architectures = [NATIVE_ARCHITECTURE]
    model.config.save_pretrained(str(folder))
    tensors = {
        name: tensor.to(torch.float32)
        for name, tensor in model.state_dict().items()
        if name != "lm_head.weight"
    }
    save_tensors(tensors, folder / "model.safetensors")
