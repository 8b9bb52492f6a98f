"""The table of names agrees with those who read the files: transformers' converter and vLLM."""

from __future__ import annotations

import re

import pytest

from soritune.models.checkpoint import TensorName
from soritune.models.phi4mm.layout import (
    is_adapted,
    is_vision,
    to_native,
    to_original,
)

A = "model.embed_tokens_extend.audio_embed."
I = "model.embed_tokens_extend.image_embed."  # noqa: E741

# Facts of transformers' convert_phi4_multimodal_weights_to_hf.py (v4.49 to v5): original, native.
CONVERTER = [
    (f"{A}encoder.encoders.{n}.{original}.{leaf}", f"{A}encoder.encoders.{n}.{native}.{leaf}")
    for n in (0, 7, 23)
    for leaf in ("weight", "bias")
    for original, native in [
        ("feed_forward_in.net.0.linear", "feed_forward_in.gate_up_proj"),
        ("feed_forward_in.net.2", "feed_forward_in.down_proj"),
        ("feed_forward_out.net.0.linear", "feed_forward_out.gate_up_proj"),
        ("feed_forward_out.net.2", "feed_forward_out.down_proj"),
        ("self_attn.linear_q", "self_attn.q_proj"),
        ("self_attn.linear_k", "self_attn.k_proj"),
        ("self_attn.linear_v", "self_attn.v_proj"),
        ("self_attn.linear_out", "self_attn.o_proj"),
        # These have one name in both.
        ("feed_forward_in.layer_norm", "feed_forward_in.layer_norm"),
        ("conv.glu.ext_pw_conv_1d", "conv.glu.ext_pw_conv_1d"),
        ("conv.dw_sep_conv_1d.pw_conv", "conv.dw_sep_conv_1d.pw_conv"),
    ]
] + [
    (f"{A}audio_projection.speech.0.bias", f"{A}up_proj_for_speech.bias"),
    (f"{A}audio_projection.speech.2.weight", f"{A}down_proj_for_speech.weight"),
    (f"{A}audio_projection.vision.0.weight", f"{A}up_proj_for_vision_speech.weight"),
    (f"{A}audio_projection.vision.2.bias", f"{A}down_proj_for_vision_speech.bias"),
    (f"{I}img_projection.0.weight", f"{I}img_projection_up.weight"),
    (f"{I}img_projection.2.bias", f"{I}img_projection_down.bias"),
    (f"{I}glb_GN", f"{I}global_img_feature_extensor"),
    (f"{I}sub_GN", f"{I}sub_img_feature_extensor"),
    (f"{A}encoder.embed.conv.0.weight", f"{A}encoder.embed.conv.0.weight"),
    (f"{A}encoder.encoder_embedding.global_mean", f"{A}encoder.encoder_embedding.global_mean"),
    ("model.layers.3.mlp.gate_up_proj.base_layer.weight", "model.layers.3.mlp.gate_up_proj.weight"),
    (
        "model.layers.31.self_attn.o_proj.base_layer.weight",
        "model.layers.31.self_attn.o_proj.weight",
    ),
    ("model.layers.3.input_layernorm.weight", "model.layers.3.input_layernorm.weight"),
    ("model.embed_tokens.weight", "model.embed_tokens.weight"),
    (
        f"{I}img_processor.encoder.layers.0.self_attn.q_proj.weight",
        f"{I}img_processor.encoder.layers.0.self_attn.q_proj.weight",
    ),
]


@pytest.mark.parametrize(("original", "native"), CONVERTER)
def test_names_are_those_of_transformers_converter_both_ways(original: str, native: str) -> None:
    assert to_native(original) == TensorName("base", None, native)
    assert to_original(native) == original
    assert to_native(native).name == native  # a native name stays


@pytest.mark.parametrize("adapter", ["speech", "vision"])
@pytest.mark.parametrize("matrix", ["A", "B"])
def test_loras_among_the_weights_lose_their_adapters_name_in_a_peft_file(
    adapter: str, matrix: str
) -> None:
    original = f"model.layers.11.self_attn.qkv_proj.lora_{matrix}.{adapter}.weight"
    name = to_native(original)
    plain = f"model.layers.11.self_attn.qkv_proj.lora_{matrix}.weight"
    assert name == TensorName("lora", adapter, plain)
    assert to_original(name) == original
    assert (
        to_native(plain)
        == to_native(f"base_model.model.{plain}")
        == TensorName("lora", None, plain)
    )
    # The converter's adapters have no name and no prefix; put back among the weights, as speech.
    assert to_original(to_native(plain)) == plain.replace(".weight", ".speech.weight")


@pytest.mark.parametrize("prefix", ["", "base_model.model."])
def test_prefixes_and_checkpointing_leave_no_trace(prefix: str) -> None:
    name = f"{prefix}{A}encoder.encoders.5._checkpoint_wrapped_module.self_attn.linear_q.weight"
    assert to_native(name).name == f"{A}encoder.encoders.5.self_attn.q_proj.weight"


def test_vision_is_the_tower_and_its_lora_and_not_the_second_projector() -> None:
    vision = [f"{I}glb_GN", "model.layers.0.mlp.down_proj.lora_A.vision.weight"]
    speech = [
        f"{A}audio_projection.vision.0.weight",
        "model.layers.0.mlp.down_proj.base_layer.weight",
    ]
    assert all(is_vision(to_native(name)) for name in vision)
    assert not any(is_vision(to_native(name)) for name in speech)


def test_only_layers_of_the_language_model_are_adapted() -> None:
    assert is_adapted("model.layers.0.self_attn.o_proj.weight")
    assert not is_adapted(f"{A}encoder.encoders.0.self_attn.o_proj.weight")
    assert not is_adapted(f"{A}encoder.encoders.0.feed_forward_in.down_proj.weight")


# vLLM's `hf_to_vllm_mapper` and `skip_substrs` (vllm/model_executor/models/phi4mm.py), and the
# attributes of its modules (phi4mm_audio.py, phi4mm_utils.py, llama.py).
VLLM_PREFIXES = (
    (f"{A}audio_projection.vision.", "embed_tokens_extend.audio_projection_for_vision."),
    (f"{A}audio_projection.speech.", "embed_tokens_extend.audio_projection."),
    (A, "embed_tokens_extend."),
    (I, "vision_encoder."),
)
VLLM_NAMES = re.compile(
    r"embed_tokens_extend\.audio_projection(_for_vision)?\.[02]\.(weight|bias)"
    r"|embed_tokens_extend\.encoder\.encoders\.\d+\.(self_attn\.linear_(q|k|v|out)"
    r"|feed_forward_(in|out)\.(net\.0\.linear|net\.2|layer_norm)"
    r"|conv\.(glu\.ext_pw_conv_1d|dw_sep_conv_1d\.pw_conv))\.(weight|bias)"
    r"|embed_tokens_extend\.encoder\.(embed\.conv\.0\.weight|encoder_embedding\.global_mean)"
    r"|vision_encoder\.(glb_GN|sub_GN|img_projection\.[02]\.(weight|bias)|img_processor\..+)"
    r"|model\.(embed_tokens|layers\.\d+\.(mlp\.gate_up_proj|self_attn\.o_proj|input_layernorm))\.weight"
)


@pytest.mark.parametrize("native", [native for _, native in CONVERTER])
def test_vllm_finds_a_place_for_each_name_we_write(native: str) -> None:
    name = to_original(native).replace("base_layer.", "")
    for old, new in VLLM_PREFIXES:
        if name.startswith(old):
            name = new + name.removeprefix(old)
            break
    assert VLLM_NAMES.fullmatch(name), name
