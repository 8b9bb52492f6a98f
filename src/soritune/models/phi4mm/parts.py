"""Which parameters belong to which part, and which parts a training mode sets free."""

from __future__ import annotations

import re

from soritune.models.family import LORA

# First match wins.
_PARTS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        (LORA, r"\.lora_[AB]\."),
        ("audio encoder", r"embed_tokens_extend\.audio_embed\.encoder\."),
        ("projector", r"embed_tokens_extend\.audio_embed\.(up|down)_proj_for_speech\."),
        ("vision-speech projector", r"embed_tokens_extend\.audio_embed\..*for_vision_speech\."),
        ("vision", r"embed_tokens_extend\.image_embed\."),
        ("embeddings", r"(^|\.)(embed_tokens|lm_head)\."),
        ("language model", r"."),
    )
)

# The vision-speech projector never sees a clip without an image, so no mode trains it.
MODES: dict[str, frozenset[str]] = {
    "lora": frozenset({LORA}),
    "audio": frozenset({"audio encoder", "projector"}),
    "projector": frozenset({"projector"}),
    "full": frozenset({"audio encoder", "projector", "language model", "embeddings"}),
}

# Bare names would also hit the linear layers of encoder and projector.
LORA_TARGETS = r"model\.layers\.\d+\.((self_attn\.(qkv|o)_proj)|(mlp\.(gate_up|down)_proj))"


def part_of(parameter_name: str) -> str:
    """The part that a parameter belongs to, by its name in the native model."""
    return next(part for part, pattern in _PARTS if pattern.search(parameter_name))


def parts_of_mode(mode: str) -> frozenset[str]:
    """Parts that train in a mode or a sum of modes ("lora+audio").

    Raises ValueError for an unknown mode.
    """
    parts: set[str] = set()
    for single in mode.split("+"):
        if single not in MODES:
            raise ValueError(f'unknown mode "{single}"; modes are {", ".join(MODES)} and sums')
        parts |= MODES[single]
    return frozenset(parts)
