# Copied from src/soritune/models/phi4mm/configuration.py by tools/copy_to_vllm.py: change it there.
"""The configuration of an original checkpoint in native terms and back, key by key.

Nothing is left to defaults: those of the native classes (32 heads, bias distance 1000, untied
head) are not the checkpoint's. What the native model cannot express is refused.

Sources: `config.json` of microsoft/Phi-4-multimodal-instruct for the keys and their values, and
`convert_config` of transformers' `convert_phi4_multimodal_weights_to_hf.py` for their meaning.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from soritune_vllm.soritune.errors import UserError
from soritune_vllm.soritune.models.phi4mm.layout import (
    NATIVE_ARCHITECTURE,
    ORIGINAL_ARCHITECTURE,
    ORIGINAL_MODEL_TYPE,
)

if TYPE_CHECKING:
    from transformers import Phi4MultimodalConfig

OFFICIAL_VOCABULARY = 200_064
OFFICIAL_END_ID = 200_020  # <|end|>; the original's config names <|endoftext|> alone

# Keys of the language model that have the same name and meaning in both.
_SAME = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "resid_pdrop",
    "embd_pdrop",
    "attention_dropout",
    "hidden_act",
    "max_position_embeddings",
    "original_max_position_embeddings",
    "initializer_range",
    "rms_norm_eps",
    "use_cache",
    "tie_word_embeddings",
    "bos_token_id",
    "pad_token_id",
    "sliding_window",
)
# Keys of the encoder, original to native.
_AUDIO_SAME = (
    "activation",
    "chunk_size",
    "left_chunk",
    "dropout_rate",
    "ext_pw_out_channel",
    "depthwise_multiplier",
    "kernel_size",
    "conv_activation",
    "input_size",
    "conv_glu_type",
    "time_reduction",
    "num_blocks",
)
_AUDIO = {key: key for key in _AUDIO_SAME} | {
    "attention_dim": "hidden_size",
    "attention_heads": "num_attention_heads",
    "linear_units": "intermediate_size",
    "depthwise_seperable_out_channel": "depthwise_separable_out_channel",  # sic
}
# What the native model has built in; another value would be another model.
_FIXED: dict[str, Any] = {
    "attention_bias": False,
    "mlp_bias": False,
    "lm_head_bias": False,
    "full_attn_mod": 1,
    "interpolate_factor": 1,
}
_AUDIO_FIXED: dict[str, Any] = {
    "batch_norm": False,
    "bias_in_glu": True,
    "causal": True,
    "cnn_layer_norm": True,
    "ext_pw_kernel_size": 1,
    "input_layer": "nemo_conv",
}
_EMBED_FIXED: dict[str, Any] = {
    "embedding_cls": "audio",
    "projection_cls": "mlp",
    "use_conv_downsample": False,
    "use_qformer": False,
}


@dataclass(frozen=True)
class LoraShape:
    """Size of an adapter among the weights, which have no adapter_config.json."""

    r: int
    alpha: int
    dropout: float


# As the remote code expects it, which looks for layers below `model.`.
_LORA_LAYERS = {
    "speech": r"((layers.*self_attn\.(qkv|o)_proj)|(layers.*mlp\.(gate_up|down)_proj))",
    "vision": r"layers.*((self_attn\.(qkv_proj|o_proj))|(mlp\.(gate_up|down)_proj))",
}
# `speech_lora` and `vision_lora` of the official config.json.
OFFICIAL_SPEECH_LORA = LoraShape(r=320, alpha=640, dropout=0.01)
OFFICIAL_VISION_LORA = LoraShape(r=256, alpha=512, dropout=0.0)


def lora_shape(original: Mapping[str, Any], adapter: str) -> LoraShape | None:
    """Return the size of the "speech" or "vision" LoRA; None where config.json has none."""
    record = original.get(f"{adapter}_lora")
    if not isinstance(record, Mapping) or "r" not in record:
        return None
    try:
        r = int(record["r"])
        return LoraShape(r, int(record["lora_alpha"]), float(record.get("dp", 0.0)))
    except (KeyError, TypeError, ValueError):
        raise UserError(
            f'config.json: "{adapter}_lora" needs numbers "r" and "lora_alpha", got {record}'
        ) from None


def native_config(original: Mapping[str, Any], where: str = "config.json") -> Phi4MultimodalConfig:
    """Return the native configuration that means the same as an original config.json.

    Args:
        original: the parsed file; it is not changed.
        where: its path, for messages.

    Raises:
        UserError: a key is missing, or has a value that the native model cannot express.
    """
    # Only here, so that sizes can be read without loading torch.
    from huggingface_hub.errors import StrictDataclassError
    from transformers import Phi4MultimodalConfig

    record = copy.deepcopy(dict(original))
    audio = _part(record, where, "audio_processor", "config")
    embed = _part(record, where, "embd_layer", "audio_embd_layer")
    image = record["embd_layer"].get("image_embd_layer") or {}
    _check_fixed(record, _FIXED, where)
    _check_fixed(record["audio_processor"], {"name": "cascades"}, where)
    _check_fixed(audio, _AUDIO_FIXED, where)
    _check_fixed(embed, _EMBED_FIXED, where)
    bias = _part(audio, where, "relative_attention_bias_args")
    _check_fixed(bias, {"type": "t5", "t5_bias_symmetric": False}, where)

    text = {key: _value(record, key, where) for key in _SAME}
    audio_config = {new: _value(audio, old, where) for old, new in _AUDIO.items()}
    audio_config["nemo_conv_channels"] = _value(
        _part(audio, where, "nemo_conv_settings"), "conv_channels", where
    )
    audio_config["bias_max_distance"] = _value(bias, "t5_bias_max_distance", where)
    audio_config["bias_symmetric"] = False
    audio_config["downsample_rate"] = _value(embed, "downsample_rate", where)
    try:
        return Phi4MultimodalConfig(
            **text,
            eos_token_id=_end_ids(record, where),
            rope_parameters=_rope_parameters(record, where),
            audio_config=audio_config,
            vision_config={"crop_size": image.get("crop_size", 448)},
            dtype=record.get("torch_dtype") or record.get("dtype"),
            architectures=[NATIVE_ARCHITECTURE],
        )
    except (StrictDataclassError, TypeError, ValueError) as error:
        raise UserError(f"{where}: {' '.join(str(error).split())}") from None


def original_config(
    native: Phi4MultimodalConfig,
    *,
    speech_lora: LoraShape = OFFICIAL_SPEECH_LORA,
    vision_lora: LoraShape = OFFICIAL_VISION_LORA,
) -> dict[str, Any]:
    """Return an original config.json that means the same as a native configuration.

    `native_config(original_config(c))` has the values of c. Where the user's base has a
    config.json of its own, that one is the better start.
    """
    rope = dict(native.rope_parameters or {})
    audio, vision = (native.to_dict()[f"{part}_config"] for part in ("audio", "vision"))
    ends = native.eos_token_id
    record: dict[str, Any] = {key: getattr(native, key) for key in _SAME}
    record |= {
        "architectures": [ORIGINAL_ARCHITECTURE],
        "model_type": ORIGINAL_MODEL_TYPE,
        "auto_map": {
            "AutoConfig": "configuration_phi4mm.Phi4MMConfig",
            "AutoModelForCausalLM": "modeling_phi4mm.Phi4MMForCausalLM",
            "AutoTokenizer": "Xenova/gpt-4o",
        },
        "eos_token_id": ends[0] if isinstance(ends, list) else ends,
        "rope_theta": rope.get("rope_theta", 10_000.0),
        "partial_rotary_factor": rope.get("partial_rotary_factor", 1.0),
        "rope_scaling": None
        if rope.get("rope_type") != "longrope"
        else {
            "type": "longrope",
            "short_factor": rope["short_factor"],
            "long_factor": rope["long_factor"],
        },
        "audio_processor": {
            "name": "cascades",
            "config": {
                **{old: audio[new] for old, new in _AUDIO.items()},
                **_AUDIO_FIXED,
                "encoder_embedding_config": {"input_size": audio["input_size"]},
                "nemo_conv_settings": {"conv_channels": audio["nemo_conv_channels"]},
                "relative_attention_bias_args": {
                    "t5_bias_max_distance": audio["bias_max_distance"],
                    "type": "t5",
                },
            },
        },
        "embd_layer": {
            "embedding_cls": "image_audio",
            "audio_embd_layer": {
                **_EMBED_FIXED,
                "compression_rate": audio["time_reduction"],
                "downsample_rate": audio["downsample_rate"],
                "enable_gradient_checkpointing": True,
            },
            "image_embd_layer": {
                "crop_size": vision["crop_size"],
                "embedding_cls": "tune_image",
                "enable_gradient_checkpointing": True,
                "hd_transform_order": "sub_glb",
                "image_token_compression_cls": "avg_pool_2d",
                "projection_cls": "mlp",
                "use_hd_transform": True,
                "with_learnable_separator": True,
            },
        },
        **_FIXED,
    }
    for adapter, shape in (("speech", speech_lora), ("vision", vision_lora)):
        record[f"{adapter}_lora"] = {
            "dp": shape.dropout,
            "layer": _LORA_LAYERS[adapter],
            "lora_alpha": shape.alpha,
            "r": shape.r,
        }
    dtype = getattr(native, "dtype", None)
    if dtype is not None:
        record["torch_dtype"] = str(dtype).removeprefix("torch.")
    return dict(sorted(record.items()))


def _end_ids(record: Mapping[str, Any], where: str) -> list[int]:
    """Return all end tokens: those of the file and, in the official vocabulary, `<|end|>`."""
    named = _value(record, "eos_token_id", where)
    ends = list(named) if isinstance(named, list) else [int(named)]
    if record["vocab_size"] == OFFICIAL_VOCABULARY and OFFICIAL_END_ID not in ends:
        ends.append(OFFICIAL_END_ID)
    return ends


def _rope_parameters(record: Mapping[str, Any], where: str) -> dict[str, Any]:
    rope: dict[str, Any] = {
        "rope_theta": _value(record, "rope_theta", where),
        "partial_rotary_factor": _value(record, "partial_rotary_factor", where),
    }
    scaling = record.get("rope_scaling")
    if scaling is None:
        return rope | {"rope_type": "default"}
    kind = scaling.get("type", scaling.get("rope_type"))
    if kind not in ("longrope", "su"):
        raise UserError(f'{where}: "rope_scaling" has type {kind!r}; soritune knows longrope')
    return rope | {
        "rope_type": "longrope",
        "short_factor": [float(factor) for factor in _value(scaling, "short_factor", where)],
        "long_factor": [float(factor) for factor in _value(scaling, "long_factor", where)],
        # The switch from short to long factors.
        "original_max_position_embeddings": record["original_max_position_embeddings"],
    }


def _part(record: Mapping[str, Any], where: str, *keys: str) -> dict[str, Any]:
    for key in keys:
        inner = record.get(key)
        if not isinstance(inner, dict):
            raise UserError(
                f'{where}: no "{key}"; is it the config.json of Phi-4-multimodal-instruct?'
            )
        record = inner
    return dict(record)


def _value(record: Mapping[str, Any], key: str, where: str) -> Any:
    if key not in record:
        raise UserError(f'{where}: no "{key}"; is it the config.json of Phi-4-multimodal-instruct?')
    return record[key]


def _check_fixed(record: Mapping[str, Any], fixed: Mapping[str, Any], where: str) -> None:
    for key, value in fixed.items():
        if record.get(key, value) != value:
            raise UserError(
                f'{where}: "{key}" is {record[key]!r}, but soritune knows this model with '
                f"{value!r} only"
            )
