"""A LoRA on disk: read, merged into weights and taken out again, joined with another.

A layer's delta is scale · B A, with A of shape (r, in), B of shape (out, r), scale = alpha / r
(Hu et al. 2021, https://arxiv.org/abs/2106.09685). All sums are done in fp32.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from soritune.errors import UserError
from soritune.export.lazy import LazyTensor
from soritune.export.shards import write_file
from soritune.models.phi4mm.checkpoint import (
    ADAPTER_CONFIG_FILE,
    ADAPTER_WEIGHTS_FILE,
    Entry,
    check_unique,
    read_header,
    read_json,
)
from soritune.models.phi4mm.layout import NativeName, to_peft

# As in the official speech-lora/adapter_config.json.
TARGET_NAMES = ("qkv_proj", "o_proj", "gate_up_proj", "down_proj")
# In the native layout the encoder has layers of these names too, without a LoRA.
EXCLUDED = r".*embed_tokens_extend.*"
# PEFT's options that make another delta than scale · B A.
_FOREIGN = ("use_dora", "lora_bias", "rank_pattern", "alpha_pattern", "modules_to_save")


@dataclass(frozen=True)
class Lora:
    """An adapter: `tensors` by native name (`model.layers.0.mlp.down_proj.lora_A.weight`)."""

    r: int
    alpha: float
    dropout: float
    tensors: Mapping[str, LazyTensor]

    @property
    def scale(self) -> float:
        return self.alpha / self.r

    @property
    def layers(self) -> list[str]:
        """Names of the adapted layers, such as `model.layers.0.mlp.down_proj`."""
        return sorted({name.rsplit(".lora_", 1)[0] for name in self.tensors})

    def matrices(self, layer: str) -> tuple[LazyTensor, LazyTensor]:
        """A and B of a layer."""
        return self.tensors[f"{layer}.lora_A.weight"], self.tensors[f"{layer}.lora_B.weight"]

    def delta(self, layer: str) -> torch.Tensor:
        """What the adapter adds to a layer's weight, fp32 of shape (out, in)."""
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
                        f"{where}: tensor {name} has shape {found}, the base model and "
                        f"rank {self.r} want {shape}; take the base that it was trained on"
                    )


def read_lora(folder: Path) -> Lora:
    """The adapter of a PEFT folder, under either key prefix.

    Raises UserError for anything but a plain LoRA in safetensors.
    """
    where = folder / ADAPTER_CONFIG_FILE
    config = read_json(where)
    for option in _FOREIGN:
        if config.get(option):
            raise UserError(f"{where}: {option} is set, which soritune cannot export")
    if config.get("bias", "none") != "none":
        raise UserError(f'{where}: bias is {config["bias"]!r}; soritune exports "none" only')
    try:
        r, alpha = int(config["r"]), float(config["lora_alpha"])
    except (KeyError, TypeError, ValueError):
        raise UserError(f'{where}: needs numbers "r" and "lora_alpha"; is it a LoRA?') from None
    entries = read_header(folder / ADAPTER_WEIGHTS_FILE)
    check_unique(entries)
    for entry in entries:
        if entry.native.kind != "lora":
            raise UserError(f"{entry.file}: tensor {entry.key} belongs to no LoRA")
    lora = of_entries(entries, r=r, alpha=alpha, dropout=float(config.get("lora_dropout") or 0.0))
    if config.get("use_rslora"):  # its scale is alpha / sqrt(r); written as one of 1 in B
        return scaled(replace(lora, alpha=alpha * math.sqrt(r)), 1.0)
    return lora


def of_entries(entries: Sequence[Entry], *, r: int, alpha: float, dropout: float) -> Lora:
    """The adapter whose tensors are these."""
    return Lora(r, alpha, dropout, {e.native.name: LazyTensor.of(e) for e in entries})


def write_lora(lora: Lora, folder: Path, base: str | None, revision: str | None = None) -> None:
    """Write a PEFT folder that PEFT and vLLM take as it is; `revision` is of a base on the hub."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {to_peft(NativeName("lora", None, name)): t for name, t in lora.tensors.items()}
    write_file(tensors, folder / ADAPTER_WEIGHTS_FILE)
    alpha = int(lora.alpha) if float(lora.alpha).is_integer() else lora.alpha
    config = {
        "base_model_name_or_path": base,
        "bias": "none",
        "exclude_modules": EXCLUDED,
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "lora_alpha": alpha,
        "lora_dropout": lora.dropout,
        "modules_to_save": None,
        "peft_type": "LORA",
        "r": lora.r,
        "revision": revision,
        "target_modules": list(TARGET_NAMES),
        "task_type": "CAUSAL_LM",
        "use_dora": False,
        "use_rslora": False,
    }
    text = json.dumps(config, indent=2) + "\n"
    (folder / ADAPTER_CONFIG_FILE).write_text(text, encoding="utf-8")


def merge(weight: torch.Tensor, delta: torch.Tensor, share: float = 1.0) -> torch.Tensor:
    """weight + share · delta, in fp32, cast back to the weight's dtype.

    `merge(merged, delta, -share)` takes it out again: exactly up to fp32's rounding where the
    merged weight is kept in fp32, up to the rounding of its dtype otherwise.
    """
    # In place on a copy: matrices of the full model take 200 MB each.
    return weight.to(torch.float32, copy=True).add_(delta, alpha=share).to(weight.dtype)


def unmerge(weight: torch.Tensor, delta: torch.Tensor, share: float = 1.0) -> torch.Tensor:
    """The weight before `merge`, up to rounding."""
    return merge(weight, delta, -share)


def merge_into(
    weights: Mapping[str, LazyTensor], lora: Lora, share: float = 1.0
) -> dict[str, LazyTensor]:
    """All weights, with `share` of the adapter added to those that it is on."""

    def merged(layer: str, weight: LazyTensor) -> LazyTensor:
        return replace(weight, read=lambda: merge(weight.read(), lora.delta(layer), share))

    adapted = {f"{layer}.weight": layer for layer in lora.layers}
    return {
        name: merged(adapted[name], weight) if name in adapted else weight
        for name, weight in weights.items()
    }


def scaled(lora: Lora, share: float) -> Lora:
    """The adapter whose delta is `share` of this one's, fp32, the same rank."""

    def times(tensor: LazyTensor) -> LazyTensor:
        return LazyTensor(
            tensor.shape, torch.float32, lambda: tensor.read().float() * (share * lora.scale)
        )

    tensors = {
        name: times(tensor) if ".lora_B." in name else tensor.to(torch.float32)
        for name, tensor in lora.tensors.items()
    }
    return Lora(lora.r, lora.r, lora.dropout, tensors)


def join(first: Lora, second: Lora) -> Lora:
    """The adapter whose delta is the sum of both, exactly; its rank is the sum of the ranks.

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
    return Lora(rank, rank, max(first.dropout, second.dropout), tensors)
