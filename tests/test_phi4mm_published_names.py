"""Names of the original layout as others have published them, against those that we write.

Looked up on 2026-11-24. The weights themselves are not at hand, so names come from programs that
read them:

- MMPROJ: convert_phi4_mmproj.py of butterwecksolutions/Phi-4-Vision-Audio-mmproj-Generator (commit
  36df4d7), made from the official model.safetensors.index.json.
- VLLM: `hf_to_vllm_mapper` and modules of vllm 0.33.0 (wheel),
  vllm/model_executor/models/phi4mm.py, phi4mm_audio.py, phi4mm_utils.py.
- MLX: mlx_vlm/models/phi4mm/phi4mm.py of Blaizzy/mlx-vlm (commit 533acc2), for the LoRAs' names.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from official import official_config
from transformers import Phi4MultimodalConfig, Phi4MultimodalForCausalLM

from soritune.models.phi4mm import parts
from soritune.models.phi4mm.configuration import native_config, original_config
from soritune.models.phi4mm.layout import to_native, to_original

AUDIO = "model.embed_tokens_extend.audio_embed."
IMAGE = "model.embed_tokens_extend.image_embed."
BLOCK = f"{AUDIO}encoder.encoders.#."

# MMPROJ: layers with weight and bias, by block of the encoder.
_BLOCK_LAYERS = (
    *("self_attn.linear_q", "self_attn.linear_k", "self_attn.linear_v", "self_attn.linear_out"),
    *("layer_norm", "layer_norm_att"),
    *("feed_forward_in.layer_norm", "feed_forward_in.net.0.linear", "feed_forward_in.net.2"),
    *("feed_forward_out.layer_norm", "feed_forward_out.net.0.linear", "feed_forward_out.net.2"),
    *("conv.layer_norm", "conv.ext_pw_conv_1d", "conv.glu.ext_pw_conv_1d"),
    *("conv.dw_sep_conv_1d.dw_conv", "conv.dw_sep_conv_1d.pw_conv"),
)
_OTHER_LAYERS = (
    *(f"encoder.embed.conv.{number}" for number in (0, 2, 3, 5, 6)),
    "encoder.embed.out",
    *(f"audio_projection.{mode}.{number}" for mode in ("speech", "vision") for number in (0, 2)),
)
MMPROJ_AUDIO = {
    *(f"{BLOCK}{layer}.{leaf}" for layer in _BLOCK_LAYERS for leaf in ("weight", "bias")),
    *(f"{BLOCK}conv.glu.{bias}" for bias in ("b1", "b2")),
    *(f"{AUDIO}{layer}.{leaf}" for layer in _OTHER_LAYERS for leaf in ("weight", "bias")),
    f"{AUDIO}encoder.encoder_embedding.global_mean",
    f"{AUDIO}encoder.encoder_embedding.global_invstd",
    f"{AUDIO}encoder.relative_attention_bias_layer.bias_values.weight",
}
MMPROJ_IMAGE = {
    *(
        f"{IMAGE}img_processor.encoder.layers.#.{layer}.{leaf}"
        for layer in (
            *(f"self_attn.{name}" for name in ("q_proj", "k_proj", "v_proj", "out_proj")),
            *("layer_norm1", "layer_norm2", "mlp.fc1", "mlp.fc2"),
        )
        for leaf in ("weight", "bias")
    ),
    f"{IMAGE}img_processor.embeddings.patch_embedding.weight",
    f"{IMAGE}img_processor.embeddings.patch_embedding.bias",
    f"{IMAGE}img_processor.embeddings.position_embedding.weight",
    f"{IMAGE}img_processor.post_layernorm.weight",
    f"{IMAGE}img_processor.post_layernorm.bias",
    *(f"{IMAGE}img_projection.{n}.{leaf}" for n in (0, 2) for leaf in ("weight", "bias")),
    f"{IMAGE}glb_GN",
    f"{IMAGE}sub_GN",
}
# VLLM: what it puts in the place of a prefix, in this order; `base_layer.` goes, LoRAs are dropped.
VLLM_PREFIXES = {
    f"{AUDIO}audio_projection.vision.": "embed_tokens_extend.audio_projection_for_vision.",
    f"{AUDIO}audio_projection.speech.": "embed_tokens_extend.audio_projection.",
    AUDIO: "embed_tokens_extend.",
    IMAGE: "vision_encoder.",
}
# VLLM: attributes of its modules, below the prefixes.
VLLM_ROOTS = (
    *("embed_tokens_extend.encoder.", "embed_tokens_extend.audio_projection."),
    *("embed_tokens_extend.audio_projection_for_vision.", "vision_encoder.img_processor."),
    *("vision_encoder.img_projection.", "vision_encoder.glb_GN", "vision_encoder.sub_GN"),
    *("model.embed_tokens.", "model.layers.", "model.norm."),
)
LORA_LAYERS = ("self_attn.qkv_proj", "self_attn.o_proj", "mlp.gate_up_proj", "mlp.down_proj")


@pytest.fixture(scope="module")
def ours(small_base: Path) -> set[str]:
    """Our original names of all tensors of the model, "#" for the number of a layer."""
    config = Phi4MultimodalConfig.from_pretrained(small_base)
    with torch.device("meta"):
        names = Phi4MultimodalForCausalLM(config).state_dict()
    return {re.sub(r"((?:encoders|layers)\.)\d+\.", r"\1#.", to_original(name)) for name in names}


def test_audio_names_are_all_those_published_and_no_others(ours: set[str]) -> None:
    assert {name for name in ours if name.startswith(AUDIO)} == MMPROJ_AUDIO


def test_image_names_are_those_published_but_for_the_head_that_others_leave_out(
    ours: set[str],
) -> None:
    found = {name for name in ours if name.startswith(IMAGE)}
    assert found >= MMPROJ_IMAGE
    rest = {name for name in found - MMPROJ_IMAGE if "img_processor.head." not in name}
    assert rest == set()


def test_vllm_has_a_place_for_every_name(ours: set[str]) -> None:
    for name in ours - {"lm_head.weight"}:
        new = name.replace("base_layer.", "")
        for old, instead in VLLM_PREFIXES.items():
            if new.startswith(old):
                new = instead + new.removeprefix(old)
                break
        assert new.startswith(VLLM_ROOTS), name


def test_adapted_layers_are_those_that_the_published_patterns_match(ours: set[str]) -> None:
    adapted = {f"model.layers.#.{layer}.base_layer.weight" for layer in LORA_LAYERS}
    assert {name for name in ours if ".base_layer." in name} == adapted
    config = official_config()
    for adapter in ("speech", "vision"):
        pattern = config[f"{adapter}_lora"]["layer"]
        for layer in LORA_LAYERS:
            assert re.fullmatch(rf".*({pattern})", f"layers.31.{layer}")
            assert re.fullmatch(parts.LORA_LAYERS, f"model.layers.31.{layer}")
            for matrix in "AB":  # MLX, and VLLM's own reader of PEFT folders
                name = f"model.layers.31.{layer}.lora_{matrix}.{adapter}.weight"
                assert to_original(to_native(name)) == name


def test_the_official_configuration_is_written_back_as_it_was_published() -> None:
    published = official_config()
    written = original_config(native_config(published))
    left_out = {
        *("_attn_implementation", "_name_or_path", "transformers_version"),
        *("audio_processor",),
    }
    assert {k: v for k, v in written.items() if k not in left_out} == {
        k: v for k, v in published.items() if k not in left_out
    }
    # Of the encoder only what the checkpoint was trained with is missing.
    encoder = published["audio_processor"]["config"]
    del encoder["activation_checkpointing"]
    assert written["audio_processor"]["config"] == encoder
