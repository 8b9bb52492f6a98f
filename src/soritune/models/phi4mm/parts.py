"""Which parameters belong to which part, and which parts a training mode trains."""

from __future__ import annotations

from collections.abc import Mapping

from soritune.models.family import LORA, Mode

# First match wins.
PATTERNS: Mapping[str, str] = {
    LORA: r"\.lora_[AB]\.",
    "audio encoder": r"embed_tokens_extend\.audio_embed\.encoder\.",
    "projector": r"embed_tokens_extend\.audio_embed\.(up|down)_proj_for_speech\.",
    "vision-speech projector": r"embed_tokens_extend\.audio_embed\..*for_vision_speech\.",
    "vision": r"embed_tokens_extend\.image_embed\.",
    "embeddings": r"(^|\.)(embed_tokens|lm_head)\.",
    "language model": r".",
}

AUDIO_PARTS = frozenset({"audio encoder", "projector"})
# The vision-speech projector never sees a clip without an image, so no mode trains it.
MODES: Mapping[str, Mode] = {
    "lora": Mode(frozenset({LORA}), "LoRA"),
    "audio": Mode(AUDIO_PARTS, "audio encoder unfrozen"),
    "projector": Mode(frozenset({"projector"}), "projector unfrozen"),
    "full": Mode(AUDIO_PARTS | {"language model", "embeddings"}, "all parameters", alone=True),
}

# Bare names would also hit the linear layers of encoder and projector.
LORA_LAYERS = r"model\.layers\.\d+\.((self_attn\.(qkv|o)_proj)|(mlp\.(gate_up|down)_proj))"
