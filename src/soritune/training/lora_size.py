"""The size of a LoRA: what the recipe gives, completed by the model family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from soritune.recipe import LoraConfig

if TYPE_CHECKING:
    from soritune.models.family import LoraDefaults


@dataclass(frozen=True)
class LoraSize:
    """Rank, alpha and dropout of a fresh LoRA."""

    r: int
    alpha: float
    dropout: float


def lora_size(lora: LoraConfig, defaults: LoraDefaults) -> LoraSize:
    """Return the size that a recipe asks for, with the family's values for what it leaves out."""
    return LoraSize(
        r=defaults.r if lora.r is None else lora.r,
        alpha=defaults.alpha if lora.alpha is None else lora.alpha,
        dropout=defaults.dropout if lora.dropout is None else lora.dropout,
    )
