"""A LoRA of a smaller rank: the nearest one, by truncated singular values.

What a LoRA adds to a weight is scale · B A. Of all matrices of rank N the nearest to it in the
Frobenius norm is that of its N largest singular values (Eckart and Young 1936, "The approximation
of one matrix by another of lower rank", Psychometrika 1). With B = Q₁R₁ and Aᵀ = Q₂R₂ they are
those of the small matrix R₁R₂ᵀ, so B A itself, which may have 150 million values, is never made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from soritune.errors import UserError
from soritune.models.lora import Lora
from soritune.models.tensors import LazyTensor


@dataclass(frozen=True)
class Reduced:
    """A LoRA of smaller rank and what was lost.

    `errors` are by layer: the Frobenius norm of what is missing over that of all that the LoRA
    added (0: nothing is lost, 1: everything).
    """

    lora: Lora
    errors: Mapping[str, float]

    @property
    def worst(self) -> tuple[str, float]:
        """The layer that lost most, and how much."""
        layer = max(self.errors, key=lambda name: self.errors[name])
        return layer, self.errors[layer]

    @property
    def mean(self) -> float:
        """Mean of the layers' errors."""
        return sum(self.errors.values()) / len(self.errors)


def reduce_rank(lora: Lora, rank: int) -> Reduced:
    """Return the nearest LoRA of rank `rank`, fp32, alpha equal to the rank (a scale of 1).

    Exact up to rounding where the true rank of each layer's delta is `rank` or less. Raises
    UserError where `rank` is not below the LoRA's own.
    """
    if not 1 <= rank < lora.r:
        raise UserError(
            f"--rank {rank}: the LoRA has rank {lora.r}; give a smaller one, or leave --rank out"
        )
    tensors: dict[str, LazyTensor] = {}
    errors = {}
    for layer in lora.layers:
        old_a, old_b = lora.matrices(layer)
        a, b, errors[layer] = _reduced(old_a.read(), old_b.read(), lora.scale, rank)
        for name, tensor in ((f"{layer}.lora_A.weight", a), (f"{layer}.lora_B.weight", b)):
            tensors[name] = LazyTensor.holding(tensor)
    return Reduced(Lora(rank, rank, lora.dropout, tensors), errors)


def _reduced(
    a: torch.Tensor, b: torch.Tensor, scale: float, rank: int
) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Return A (rank, in), B (out, rank) with B A nearest to scale · b a, and the error."""
    q_b, r_b = torch.linalg.qr(b.double())
    q_a, r_a = torch.linalg.qr(a.double().T)
    left, values, right = torch.linalg.svd(scale * (r_b @ r_a.T))
    # Fewer values than `rank` where a layer is narrower: the rest is zeros.
    keep = min(rank, len(values))
    root = values[:keep].sqrt()
    new_a = torch.zeros(rank, a.shape[1])
    new_b = torch.zeros(b.shape[0], rank)
    new_a[:keep] = (root[:, None] * (right[:keep] @ q_a.T)).float()
    new_b[:, :keep] = ((q_b @ left[:, :keep]) * root).float()
    whole = float(values.norm())
    return new_a, new_b, float(values[keep:].norm()) / whole if whole else 0.0
