"""The size of a LoRA: what the recipe gives, completed by the base or the model family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from soritune.recipe import LoraConfig

if TYPE_CHECKING:
    from soritune.models.family import LoraDefaults


@dataclass(frozen=True)
class LoraSize:
    """Rank, alpha and dropout of a LoRA that is trained."""

    r: int
    alpha: float
    dropout: float


def lora_size(
    lora: LoraConfig, defaults: LoraDefaults, own: tuple[int, float] | None = None
) -> LoraSize:
    """Return the size that a recipe asks for, with the family's values for what it leaves out.

    Args:
        own: r and alpha of the LoRA that the base brings and that is trained on, if there is one;
            they come before the family's.
    """
    r, alpha = own or (defaults.r, defaults.alpha)
    return LoraSize(
        r=r if lora.r is None else lora.r,
        alpha=alpha if lora.alpha is None else lora.alpha,
        dropout=defaults.dropout if lora.dropout is None else lora.dropout,
    )
