"""Names of the tensors that a config.json promises, without torch: for looking at a folder."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from soritune.models.checkpoint import Entry
from soritune.models.phi4mm import layout

_AUDIO = "model.embed_tokens_extend.audio_embed."
_LM_LAYERS = (
    *("self_attn.qkv_proj", "self_attn.o_proj", "mlp.gate_up_proj", "mlp.down_proj"),
    *("input_layernorm", "post_attention_layernorm"),
)
# Layers of an encoder block with weight and bias, by native name.
_BLOCK_LAYERS = (
    *(f"self_attn.{name}_proj" for name in "qkvo"),
    *("layer_norm", "layer_norm_att"),
    *(
        f"feed_forward_{side}.{name}"
        for side in ("in", "out")
        for name in ("layer_norm", "gate_up_proj", "down_proj")
    ),
    *("conv.layer_norm", "conv.ext_pw_conv_1d", "conv.glu.ext_pw_conv_1d"),
    *("conv.dw_sep_conv_1d.dw_conv", "conv.dw_sep_conv_1d.pw_conv"),
)
_PROJECTORS = (
    *("up_proj_for_speech", "down_proj_for_speech"),
    *("up_proj_for_vision_speech", "down_proj_for_vision_speech"),
)


def expected_names(config: Mapping[str, Any]) -> frozenset[str] | None:
    """Return native names of all base tensors without vision.

    None where config.json does not say how many layers there are.

    Args:
        config: config.json of either layout, parsed.
    """
    audio = config.get("audio_config") or (config.get("audio_processor") or {}).get("config") or {}
    layers = _count(config.get("num_hidden_layers"))
    blocks, reduction = _count(audio.get("num_blocks")), _count(audio.get("time_reduction"))
    if not (layers and blocks and reduction):
        return None
    encoder = f"{_AUDIO}encoder."
    both = [
        *(f"{_AUDIO}{name}" for name in _PROJECTORS),
        *(f"{encoder}embed.conv.{place}" for place in _conv_places(reduction)),
        f"{encoder}embed.out",
        *(f"{encoder}encoders.{n}.{name}" for n in range(blocks) for name in _BLOCK_LAYERS),
    ]
    names = {f"{name}.{leaf}" for name in both for leaf in ("weight", "bias")}
    names |= {f"{encoder}encoders.{n}.conv.glu.{b}" for n in range(blocks) for b in ("b1", "b2")}
    names |= {f"{encoder}encoder_embedding.global_{name}" for name in ("mean", "invstd")}
    names.add(f"{encoder}relative_attention_bias_layer.bias_values.weight")
    names |= {f"model.layers.{n}.{name}.weight" for n in range(layers) for name in _LM_LAYERS}
    names |= {"model.embed_tokens.weight", "model.norm.weight"}
    if not is_tied(config):
        names.add(layout.TIED_HEAD)
    return frozenset(names)


def is_tied(config: Mapping[str, Any]) -> bool:
    """Return whether the head is the embeddings; the original layout's default is yes."""
    default = config.get("model_type") == layout.ORIGINAL_MODEL_TYPE
    return bool(config.get("tie_word_embeddings", default))


def problems(entries: Iterable[Entry], config: Mapping[str, Any]) -> list[str]:
    """Return what a model folder lacks and has too much by config.json, one line each."""
    wanted = expected_names(config)
    if wanted is None:
        return ["config.json does not say how many layers there are"]
    base: dict[str, str] = {}
    loras: dict[str, str] = {}
    for entry in entries:
        name = entry.native
        if name.kind == "lora":
            loras[entry.key] = _other_half(entry.key)
        elif not layout.is_vision(name) and not name.name.endswith("rotary_emb.inv_freq"):
            base[name.name] = entry.key
    if is_tied(config):
        base.pop(layout.TIED_HEAD, None)
    lacking = sorted(wanted - base.keys())
    alone = sorted(other for other in loras.values() if other not in loras)
    extra = sorted(base[name] for name in base.keys() - wanted)
    return [
        *_listed("lacks", [*lacking, *alone]),
        *_listed("has, unknown to its config.json,", extra),
    ]


def _listed(verb: str, names: list[str]) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
    return [f"{verb} {names[0]}{more}"]


def _other_half(key: str) -> str:
    """Return B of a LoRA's A, and A of its B."""
    if ".lora_A." in key:
        return key.replace(".lora_A.", ".lora_B.")
    return key.replace(".lora_B.", ".lora_A.")


def _count(value: object) -> int:
    """Return a number of layers; 0 where there is none."""
    return value if isinstance(value, int) and value > 0 else 0


def _conv_places(reduction: int) -> list[int]:
    """Return the places of the convolutions in the stem.

    One, then pairs (depthwise, pointwise), each halving the frames, with an activation after it.
    """
    stages = int(math.log2(reduction))
    return [0, *(3 * stage + step for stage in range(1, stages) for step in (-1, 0))]
