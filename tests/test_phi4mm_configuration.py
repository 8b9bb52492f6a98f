"""The original configuration in native terms: nothing left to defaults, nothing guessed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from official import official_config
from transformers import Phi4MultimodalConfig
from transformers.models.phi4_multimodal.modeling_phi4_multimodal import (
    Phi4MultimodalForCausalLM,
    Phi4MultimodalRotaryEmbedding,
)

from soritune.errors import UserError
from soritune.models.phi4mm import layout
from soritune.models.phi4mm.configuration import (
    LoraShape,
    lora_shape,
    native_config,
    original_config,
)
from soritune.models.phi4mm.family import FAMILY


@pytest.fixture(scope="module")
def native() -> Phi4MultimodalConfig:
    return native_config(official_config())


def test_the_language_model_is_the_checkpoints_and_not_the_class_defaults(
    native: Phi4MultimodalConfig,
) -> None:
    assert (native.num_attention_heads, native.num_key_value_heads) == (24, 8)
    assert (native.hidden_size, native.num_hidden_layers) == (3072, 32)
    assert native.tie_word_embeddings is True
    assert native.sliding_window == 262_144
    assert native.eos_token_id == [199_999, 200_020]  # <|endoftext|>, <|end|>
    assert (native.bos_token_id, native.pad_token_id) == (199_999, 199_999)
    assert native.max_position_embeddings == 131_072


def test_the_encoder_is_the_checkpoints(native: Phi4MultimodalConfig) -> None:
    audio = native.audio_config
    assert (audio.hidden_size, audio.num_blocks, audio.num_attention_heads) == (1024, 24, 16)
    assert (audio.intermediate_size, audio.kernel_size, audio.time_reduction) == (1536, 3, 8)
    assert audio.bias_max_distance == 500
    assert (audio.chunk_size, audio.left_chunk) == (-1, 18)
    assert audio.audio_token_id == 200_011
    assert native.vision_config.image_token_id == 200_010


def test_rotary_positions_use_the_short_factors_up_to_4096_tokens_and_the_long_ones_beyond(
    native: Phi4MultimodalConfig,
) -> None:
    rotary = Phi4MultimodalRotaryEmbedding(native)
    # 128 dimensions a head, three quarters of them turn, in pairs.
    expected = 10_000.0 ** -(torch.arange(48) / 48)
    torch.testing.assert_close(rotary.inv_freq, expected)
    # sqrt(1 + ln(131072 / 4096) / ln(4096)), by the LongRoPE paper
    assert rotary.attention_scaling == pytest.approx(1.1902380714)
    rotary(torch.zeros(1), torch.arange(5000)[None])
    long = torch.tensor(official_config()["rope_scaling"]["long_factor"])
    torch.testing.assert_close(rotary.inv_freq, expected / long)


def test_the_sizes_of_both_loras_are_read() -> None:
    assert lora_shape(official_config(), "speech") == LoraShape(320, 640, 0.01)
    assert lora_shape(official_config(), "vision") == LoraShape(256, 512, 0.0)
    assert lora_shape({}, "speech") is None


def test_reading_changes_nothing() -> None:
    config = official_config()
    native_config(config)
    assert config == official_config()


def test_to_native_and_back_loses_nothing(native: Phi4MultimodalConfig) -> None:
    again = native_config(original_config(native))
    assert again.to_dict() == native.to_dict()
    written = original_config(native)
    for key in ("_name_or_path", "_attn_implementation", "transformers_version"):
        assert key not in written
    official = official_config()
    del official["audio_processor"]["config"]["activation_checkpointing"]
    assert written.items() <= (official | {"architectures": ["Phi4MMForCausalLM"]}).items()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attention_bias": True}, '"attention_bias" is True'),
        ({"rope_scaling": {"type": "linear", "factor": 2}}, "longrope"),
        ({"audio_processor": None}, 'no "audio_processor"'),
        ({"embd_layer": {}}, 'no "audio_embd_layer"'),
        ({"rope_scaling": {"type": "longrope", "short_factor": [1.0]}}, 'no "long_factor"'),
        ({"num_attention_heads": "many"}, "num_attention_heads"),
    ],
)
def test_what_cannot_be_expressed_is_refused_in_one_line(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError) as caught:
        native_config(official_config() | change, "base/config.json")
    assert message in str(caught.value)
    assert str(caught.value).startswith("base/config.json: ")
    assert "\n" not in str(caught.value)


def test_a_missing_key_is_named() -> None:
    config = official_config()
    del config["num_key_value_heads"]
    with pytest.raises(UserError, match='no "num_key_value_heads"'):
        native_config(config)


def test_the_full_model_has_the_published_parameters_in_each_part(
    native: Phi4MultimodalConfig,
) -> None:
    with torch.device("meta"):
        model = Phi4MultimodalForCausalLM(native)
    sizes = {name: tensor.numel() for name, tensor in model.state_dict().items()}
    del sizes[layout.TIED_HEAD]
    assert len(sizes) == 1_535
    lora_sizes = {
        adapter: sum(
            rank * (tensor.shape[0] + tensor.shape[1])
            for name, tensor in model.state_dict().items()
            if layout.is_adapted(name)
        )
        for adapter, rank in (("speech", 320), ("vision", 256))
    }
    # Two matrices for each LoRA and adapted layer.
    assert 2 * 2 * sum(layout.is_adapted(name) for name in sizes) == 512
    # The mean and deviation of each mel channel are tensors of the checkpoint, no parameters.
    statistics = {name for name, _ in model.named_buffers()} & set(sizes)
    assert sum(sizes[name] for name in statistics) == 2 * 80
    parts: Counter[str] = Counter()
    for name in set(sizes) - statistics:
        parts[FAMILY.part_of(name)] += sizes[name]
    assert parts == {
        "audio encoder": 441_238_144,
        "projector": 12_589_056,
        "vision-speech projector": 12_589_056,
        "language model": 3_221_422_080 + 3_072,
        "embeddings": 614_596_608,
        "vision": 441_550_016,
    }
    assert lora_sizes["speech"] == 461_373_440
    assert sum(parts.values()) + sum(lora_sizes.values()) == 5_574_460_224
