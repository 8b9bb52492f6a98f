"""Which parameters belong to which part, which parts a mode trains, and where its LoRA is."""

from __future__ import annotations

from collections.abc import Mapping

from soritune.models.family import LORA, Mode

ENCODER = "audio encoder"
PROJECTOR = "projector"
EMBEDDINGS = "embeddings"
LANGUAGE_MODEL = "language model"
TIED_HEAD = "lm_head.weight"  # the embeddings once more, in some files
# First match wins.
PATTERNS: Mapping[str, str] = {
    LORA: r"\.lora_[AB]\.",
    ENCODER: r"(^|\.)audio_tower\.",
    PROJECTOR: r"(^|\.)multi_modal_projector\.",
    EMBEDDINGS: r"(^|\.)(embed_tokens|lm_head)\.",
    LANGUAGE_MODEL: r".",
}

AUDIO_PARTS = frozenset({ENCODER, PROJECTOR})
MODES: Mapping[str, Mode] = {
    "lora": Mode(frozenset({LORA}), "LoRA"),
    "audio": Mode(AUDIO_PARTS, "audio encoder unfrozen"),
    "full": Mode(AUDIO_PARTS | {LANGUAGE_MODEL, EMBEDDINGS}, "all parameters", alone=True),
}

# The names that vLLM knows too: `hf_to_vllm_mapper` and `packed_modules_mapping` of its
# model_executor/models/qwen3_asr.py (documentation of 2026-09-23).
LORA_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
LORA_LAYERS = (
    r"model\.language_model\.layers\.\d+\."
    r"((self_attn\.(q|k|v|o)_proj)|(mlp\.(gate|up|down)_proj))"
)
