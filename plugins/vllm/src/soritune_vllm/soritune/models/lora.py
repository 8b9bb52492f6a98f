# Copied from src/soritune/models/lora.py by tools/copy_to_vllm.py: change it there.
"""A LoRA on disk: read, merged into weights, joined with another.

A layer's delta is scale · B A, with A of shape (r, in), B of shape (out, r), scale = alpha / r
(Hu et al. 2021, https://arxiv.org/abs/2106.09685). All sums are done in fp32.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from soritune_vllm.soritune.errors import UserError
from soritune_vllm.soritune.models.checkpoint import (
    ADAPTER_CONFIG_FILE,
    ADAPTER_WEIGHTS_FILE,
    Entry,
    check_unique,
    read_header,
    read_json,
)
from soritune_vllm.soritune.models.tensors import LazyTensor

# PEFT's options that make another delta than scale · B A.
_OTHER_DELTAS = ("use_dora", "lora_bias", "rank_pattern", "alpha_pattern", "modules_to_save")


@dataclass(frozen=True)
class Lora:
    """An adapter, its tensors not read yet.

    Attributes:
        tensors: by native name (`model.layers.0.mlp.down_proj.lora_A.weight`).
        where: folder that it was read from, for messages.
        target_modules: layers that its adapter_config.json names (a pattern or names); None where
            nothing does.
    """

    r: int
    alpha: float
    dropout: float
    tensors: Mapping[str, LazyTensor]
    where: Path = field(default=Path(), compare=False)
    target_modules: str | tuple[str, ...] | None = None

    @property
    def scale(self) -> float:
        """Factor of B A."""
        return self.alpha / self.r

    @property
    def layers(self) -> list[str]:
        """Names of the adapted layers, such as `model.layers.0.mlp.down_proj`."""
        return sorted({name.rsplit(".lora_", 1)[0] for name in self.tensors})

    def matrices(self, layer: str) -> tuple[LazyTensor, LazyTensor]:
        """Return A and B of a layer."""
        return self.tensors[f"{layer}.lora_A.weight"], self.tensors[f"{layer}.lora_B.weight"]

    def delta(self, layer: str) -> torch.Tensor:
        """Return what the adapter adds to a layer's weight, fp32 of shape (out, in)."""
        a, b = self.matrices(layer)
        return (b.read().float() @ a.read().float()).mul_(self.scale)

    def check(self, weights: Mapping[str, LazyTensor], where: str) -> None:
        """Raise UserError where a matrix is missing or does not fit the weights."""
        for layer in self.layers:
            weight = weights.get(f"{layer}.weight")
            if weight is None:
                raise UserError(f"{where}: the LoRA is on {layer}, which the base model lacks")
            out_size, in_size = weight.shape
            for name, shape in (
                (f"{layer}.lora_A.weight", (self.r, in_size)),
                (f"{layer}.lora_B.weight", (out_size, self.r)),
            ):
                found = self.tensors[name].shape if name in self.tensors else None
                if found != shape:
                    raise UserError(
                        f"{where}: tensor {name} has shape {found}, but the base model and "
                        f"rank {self.r} need {shape}; take the base that it was trained on"
                    )

    def equals(self, other: Lora) -> bool:
        """Return whether an adapter is this one, up to the dtype that it was saved in."""
        if (self.r, self.alpha) != (other.r, other.alpha) or self.tensors.keys() != (
            other.tensors.keys()
        ):
            return False
        return all(
            torch.equal(tensor.read().to(other.tensors[name].dtype), other.tensors[name].read())
            for name, tensor in self.tensors.items()
        )


def read_lora(folder: Path) -> Lora:
    """Open the adapter of a PEFT folder, under either key prefix.

    Raises UserError for anything but a plain LoRA in safetensors.
    """
    entries = read_header(folder / ADAPTER_WEIGHTS_FILE)
    check_unique(entries)
    return configured_lora(folder, entries)


def configured_lora(folder: Path, entries: Sequence[Entry]) -> Lora:
    """Return the adapter of these tensors, with the settings of a PEFT folder.

    Raises UserError where the settings are not those of a plain LoRA.
    """
    where = folder / ADAPTER_CONFIG_FILE
    config = read_json(where)
    if config.get("peft_type", "LORA") != "LORA":
        raise UserError(
            f"{where}: an adapter of type {config['peft_type']}; soritune reads plain LoRA only"
        )
    for option in _OTHER_DELTAS:
        if config.get(option):
            raise UserError(f"{where}: {option} is set; soritune reads plain LoRA only")
    if config.get("bias", "none") != "none":
        raise UserError(f'{where}: bias is {config["bias"]!r}; soritune reads "none" only')
    try:
        r, alpha = int(config["r"]), float(config["lora_alpha"])
        dropout = float(config.get("lora_dropout") or 0.0)
        if r < 1 or r != float(config["r"]) or not (math.isfinite(alpha) and 0 <= dropout < 1):
            raise ValueError
    except (KeyError, TypeError, ValueError, OverflowError):
        raise UserError(
            f'{where}: needs a whole number "r" and numbers "lora_alpha" and "lora_dropout" '
            "(0 to 1); is it a LoRA?"
        ) from None
    targets = config.get("target_modules")
    lora = lora_of_entries(
        entries,
        r=r,
        alpha=alpha,
        dropout=dropout,
        where=folder,
        target_modules=tuple(targets) if isinstance(targets, list) else targets,
    )
    if config.get("use_rslora"):  # its scale is alpha / sqrt(r); written as one of 1 in B
        return scaled(replace(lora, alpha=alpha * math.sqrt(r)), 1.0)
    return lora


def lora_of_entries(
    entries: Sequence[Entry],
    *,
    r: int,
    alpha: float,
    dropout: float,
    where: Path,
    target_modules: str | tuple[str, ...] | None = None,
) -> Lora:
    """Return the adapter of these tensors. Raises UserError where one belongs to no LoRA."""
    for entry in entries:
        if entry.native.kind != "lora":
            raise UserError(
                f"{entry.file}: has an unknown tensor {entry.key}, which is not of a LoRA"
            )
    tensors = {entry.native.name: LazyTensor.of(entry) for entry in entries}
    return Lora(r, alpha, dropout, tensors, where, target_modules)


def whole_if_possible(alpha: float) -> Any:
    """Return an alpha as PEFT's files have it: an integer where it is one."""
    return int(alpha) if float(alpha).is_integer() else alpha


def merge(weight: torch.Tensor, a: torch.Tensor, b: torch.Tensor, scale: float) -> torch.Tensor:
    """Return weight + scale · b a, summed in fp32 and rounded once to the weight's dtype."""
    # In place on a copy: matrices of a full model take 200 MB each.
    whole = weight.to(torch.float32, copy=True)
    return whole.addmm_(b.float(), a.float(), alpha=scale).to(weight.dtype)


def merge_into(
    weights: Mapping[str, LazyTensor], lora: Lora, share: float = 1.0
) -> dict[str, LazyTensor]:
    """Return all weights, with `share` of the adapter added to those that it is on."""

    def merged(layer: str, weight: LazyTensor) -> LazyTensor:
        a, b = lora.matrices(layer)
        return replace(
            weight, read=lambda: merge(weight.read(), a.read(), b.read(), share * lora.scale)
        )

    adapted = {f"{layer}.weight": layer for layer in lora.layers}
    return {
        name: merged(adapted[name], weight) if name in adapted else weight
        for name, weight in weights.items()
    }


def scaled(lora: Lora, share: float) -> Lora:
    """Return the adapter whose delta is `share` of this one's, fp32, the same rank."""

    def times(tensor: LazyTensor) -> LazyTensor:
        return LazyTensor(
            tensor.shape, torch.float32, lambda: tensor.read().float() * (share * lora.scale)
        )

    tensors = {
        name: times(tensor) if ".lora_B." in name else tensor.to(torch.float32)
        for name, tensor in lora.tensors.items()
    }
    return replace(lora, alpha=lora.r, tensors=tensors)


def join(first: Lora, second: Lora) -> Lora:
    """Return the adapter whose delta is the sum of both, exactly; its rank is the sum of theirs.

    A of the sum is both A one above the other, B both B side by side, each times its scale. To
    average A and B themselves would be another thing: (A1 + A2)(B1 + B2) has cross terms.

    Raises UserError where they are on different layers.
    """
    if first.layers != second.layers:
        odd = sorted(set(first.layers) ^ set(second.layers))[0]
        raise UserError(f"only one of the two LoRAs is on {odd}; they cannot be joined")

    def joined(one: LazyTensor, other: LazyTensor, dim: int) -> LazyTensor:
        shape = list(one.shape)
        shape[dim] += other.shape[dim]
        return LazyTensor(
            tuple(shape), torch.float32, lambda: torch.cat([one.read(), other.read()], dim)
        )

    one, other = scaled(first, 1.0), scaled(second, 1.0)
    tensors = {
        name: joined(tensor, other.tensors[name], 1 if ".lora_B." in name else 0)
        for name, tensor in one.tensors.items()
    }
    rank = first.r + second.r
    return Lora(rank, rank, max(first.dropout, second.dropout), tensors, first.where)
