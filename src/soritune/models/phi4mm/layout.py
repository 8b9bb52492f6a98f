"""Names of tensors in the two layouts of Phi-4-multimodal checkpoints, one to one.

The original layout (`model_type: phi4mm`) is that of microsoft/Phi-4-multimodal-instruct: the
adapted layers of the language model carry `.base_layer`, both LoRAs (speech, vision) are among
the weights, the encoder has names of its own. The native layout (`phi4_multimodal`) is that of
transformers; adapters are PEFT folders beside it. They differ by names only: no tensor is split,
joined or transposed.

Source of the table: transformers' `convert_phi4_multimodal_weights_to_hf.py` (there one way) and
`hf_to_vllm_mapper` of vLLM's `phi4mm.py`; compared with names that others published in
`tests/test_phi4mm_published_names.py`. Everything here is a function of strings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from soritune.models.checkpoint import TensorName, parse_name

NATIVE = "native"
ORIGINAL = "original"
NATIVE_MODEL_TYPE = "phi4_multimodal"
ORIGINAL_MODEL_TYPE = "phi4mm"
NATIVE_ARCHITECTURE = "Phi4MultimodalForCausalLM"
ORIGINAL_ARCHITECTURE = "Phi4MMForCausalLM"

SPEECH = "speech"  # adapter names of the original layout
VISION = "vision"
# The head is tied to the embeddings; a file that has it all the same has it twice.
TIED_HEAD = "lm_head.weight"

_AUDIO = "model.embed_tokens_extend.audio_embed."
_IMAGE = "model.embed_tokens_extend.image_embed."
_BLOCK = _AUDIO + "encoder.encoders.#."

# (original, native); "#" stands for a number that both share. A name begins with one of these
# or is the same in both layouts.
RENAMES: tuple[tuple[str, str], ...] = (
    (_BLOCK + "feed_forward_in.net.0.linear", _BLOCK + "feed_forward_in.gate_up_proj"),
    (_BLOCK + "feed_forward_in.net.2", _BLOCK + "feed_forward_in.down_proj"),
    (_BLOCK + "feed_forward_out.net.0.linear", _BLOCK + "feed_forward_out.gate_up_proj"),
    (_BLOCK + "feed_forward_out.net.2", _BLOCK + "feed_forward_out.down_proj"),
    (_BLOCK + "self_attn.linear_q", _BLOCK + "self_attn.q_proj"),
    (_BLOCK + "self_attn.linear_k", _BLOCK + "self_attn.k_proj"),
    (_BLOCK + "self_attn.linear_v", _BLOCK + "self_attn.v_proj"),
    (_BLOCK + "self_attn.linear_out", _BLOCK + "self_attn.o_proj"),
    (_AUDIO + "audio_projection.speech.0", _AUDIO + "up_proj_for_speech"),
    (_AUDIO + "audio_projection.speech.2", _AUDIO + "down_proj_for_speech"),
    (_AUDIO + "audio_projection.vision.0", _AUDIO + "up_proj_for_vision_speech"),
    (_AUDIO + "audio_projection.vision.2", _AUDIO + "down_proj_for_vision_speech"),
    (_IMAGE + "img_projection.0", _IMAGE + "img_projection_up"),
    (_IMAGE + "img_projection.2", _IMAGE + "img_projection_down"),
    (_IMAGE + "glb_GN", _IMAGE + "global_img_feature_extensor"),
    (_IMAGE + "sub_GN", _IMAGE + "sub_img_feature_extensor"),
)

# The layers that both LoRAs of the original are on, written `.base_layer` there.
_ADAPTED = r"model\.layers\.\d+\.(?:self_attn\.(?:qkv|o)_proj|mlp\.(?:gate_up|down)_proj)"
_ADAPTED_WEIGHT = re.compile(rf"({_ADAPTED})\.weight")


def is_tied(config: Mapping[str, Any]) -> bool:
    """Return whether the head is the embeddings; the original layout's default is yes."""
    default = config.get("model_type") == ORIGINAL_MODEL_TYPE
    return bool(config.get("tie_word_embeddings", default))


def to_native(key: str) -> TensorName:
    """Return the native name of a tensor of either layout or of a PEFT file; see `parse_name`.

    A native name comes back as it is. Never fails: a foreign name is a base name that no model has.
    """
    name = parse_name(key)
    if name.kind == "lora":
        return name
    return TensorName("base", None, _rename(name.name, _TO_NATIVE))


def to_original(name: TensorName | str) -> str:
    """Return the name in the original layout of a tensor given by its native name.

    A string is a base weight. A LoRA without an adapter's name is the speech LoRA.
    `to_original(to_native(x)) == x` for every name x of the original layout.
    """
    if isinstance(name, str):
        name = TensorName("base", None, name)
    if name.kind == "lora":
        return name.name.removesuffix("weight") + f"{name.adapter or SPEECH}.weight"
    return _ADAPTED_WEIGHT.sub(r"\1.base_layer.weight", _rename(name.name, _TO_ORIGINAL))


def is_vision(name: TensorName) -> bool:
    """Return whether speech does without a tensor: the vision tower and the vision LoRA.

    The projector for speech beside images belongs to the audio part and is kept.
    """
    return name.name.startswith(_IMAGE) or (name.kind == "lora" and name.adapter == VISION)


def is_adapted(name: str) -> bool:
    """Return whether a native base name is a weight that has LoRAs."""
    return _ADAPTED_WEIGHT.fullmatch(name) is not None


def _compiled(pairs: list[tuple[str, str]]) -> list[tuple[re.Pattern[str], str]]:
    return [
        (re.compile(re.escape(old).replace(r"\#", r"(\d+)") + r"(?=\.|$)"), new.replace("#", r"\1"))
        for old, new in pairs
    ]


_TO_NATIVE = _compiled([(original, native) for original, native in RENAMES])
_TO_ORIGINAL = _compiled([(native, original) for original, native in RENAMES])


def _rename(name: str, table: list[tuple[re.Pattern[str], str]]) -> str:
    for pattern, replacement in table:
        if (match := pattern.match(name)) is not None:
            return match.expand(replacement) + name[match.end() :]
    return name
