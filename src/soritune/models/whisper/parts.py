"""Which parameters belong to which part, which parts a mode trains, and where its LoRA is."""

from __future__ import annotations

from collections.abc import Mapping

from soritune.models.family import LORA, Mode

ENCODER = "encoder"
DECODER = "decoder"
POSITIONS = "encoder positions"
TIED_HEAD = "proj_out.weight"  # the embeddings once more, in some files
# First match wins.
PATTERNS: Mapping[str, str] = {
    LORA: r"\.lora_[AB]\.",
    POSITIONS: r"(^|\.)encoder\.embed_positions\.",
    ENCODER: r"(^|\.)encoder\.",
    DECODER: r".",  # the head is its embeddings once more
}

_ATTENTION = r"\.layers\.\d+\.(self_attn|encoder_attn)\.(q|k|v|out)_proj"
# All that adapters of other programs are put on.
LORA_LAYERS = r"model\.(encoder|decoder)\.layers\.\d+\.((\w+_attn\.(q|k|v|out)_proj)|fc1|fc2)"

# The sinusoids of the encoder stay what they are, so no mode trains them.
MODES: Mapping[str, Mode] = {
    "lora": Mode(frozenset({LORA}), "LoRA", lora_layers=rf"model\.decoder{_ATTENTION}"),
    "encoder-lora": Mode(
        frozenset({LORA}), "LoRA on the encoder", lora_layers=rf"model\.encoder{_ATTENTION}"
    ),
    "encoder": Mode(frozenset({ENCODER}), "encoder unfrozen"),
    "decoder": Mode(frozenset({DECODER}), "decoder unfrozen"),
    "full": Mode(frozenset({ENCODER, DECODER}), "all parameters", alone=True),
}
