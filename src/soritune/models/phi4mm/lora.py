"""The speech LoRA on a model: put on fresh or as saved, read off, merged.

There is one adapter on a model at a time, so none can be there without effect; each tensor of a
saved one must be taken, where PEFT itself goes on silently with an adapter that does nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import nn

from soritune.errors import UserError
from soritune.models.phi4mm import parts
from soritune.models.phi4mm.checkpoint import (
    ADAPTER_CONFIG_FILE,
    ADAPTER_WEIGHTS_FILE,
    Entry,
    check_match,
    check_unique,
    read_header,
    read_json,
    read_tensor,
)
from soritune.models.phi4mm.configuration import LoraShape

ADAPTER = "speech"
_ADVICE = "it does not belong to this base model; load it with the base that it was trained on"


@dataclass(frozen=True)
class SavedLora:
    """A LoRA on disk: its settings and where its tensors lie."""

    config: LoraConfig
    entries: tuple[Entry, ...]
    where: Path


def read_settings(folder: Path) -> LoraConfig:
    """adapter_config.json of a PEFT folder. Raises UserError where it is none of a plain LoRA."""
    record = read_json(folder / ADAPTER_CONFIG_FILE)
    if record.get("peft_type") != "LORA" or record.get("use_dora"):
        kind = "DORA" if record.get("use_dora") else record.get("peft_type")
        raise UserError(f"{folder}: an adapter of type {kind}; soritune knows plain LoRA")
    config: LoraConfig = LoraConfig.from_pretrained(str(folder))
    return config


def in_folder(folder: Path) -> SavedLora:
    """The adapter of a PEFT folder. Raises UserError where there is none that can be read."""
    config = read_settings(folder)
    entries = tuple(read_header(folder / ADAPTER_WEIGHTS_FILE))
    check_unique(entries)
    return SavedLora(config, entries, folder)


def among_weights(entries: Sequence[Entry], shape: LoraShape, folder: Path) -> SavedLora:
    """The adapter whose tensors lie among a checkpoint's own."""
    config = LoraConfig(
        r=shape.r,
        lora_alpha=shape.alpha,
        lora_dropout=shape.dropout,
        target_modules=parts.LORA_TARGETS,
    )
    return SavedLora(config, tuple(entries), folder)


def put_fresh(module: nn.Module, *, r: int, alpha: int, dropout: float, seed: int) -> LoraConfig:
    """Put a new LoRA, of no effect yet, on all layers of the language model."""
    config = LoraConfig(
        r=r, lora_alpha=alpha, lora_dropout=dropout, target_modules=parts.LORA_TARGETS
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        inject_adapter_in_model(config, module, adapter_name=ADAPTER)
    return config


def put_saved(module: nn.Module, saved: SavedLora) -> LoraConfig:
    """Put a saved LoRA on the language model; every tensor must be taken.

    Raises UserError naming the first tensor that is missing, extra or of another shape.
    """
    config = saved.config
    # Bare names, as many a saved configuration has them, would also hit the layers of encoder
    # and projector.
    config.target_modules = _targets(module, config)
    config.modules_to_save = None  # their tensors are extra ones, and told below
    config.inference_mode = False
    inject_adapter_in_model(config, module, adapter_name=ADAPTER, low_cpu_mem_usage=True)
    check_match(
        {name: tuple(tensor.shape) for name, tensor in tensors(module).items()},
        saved.entries,
        saved.where,
        _ADVICE,
    )
    for entry in saved.entries:
        path = entry.native.name.removesuffix(".weight")
        layer = module.get_submodule(f"{path}.{ADAPTER}")
        base = module.get_submodule(path.rsplit(".", 1)[0]).get_base_layer()  # type: ignore[operator]
        tensor = read_tensor(entry).to(device=base.weight.device, dtype=base.weight.dtype)
        layer.weight = nn.Parameter(tensor)
    return config


def tensors(module: nn.Module) -> dict[str, nn.Parameter]:
    """The tensors of the LoRA on a model, by their names in a PEFT file without its prefix.

    PEFT's own function for this asks the hub about the base model.
    """
    return {
        name.replace(f".{ADAPTER}.weight", ".weight"): parameter
        for name, parameter in module.named_parameters()
        if f".{ADAPTER}.weight" in name and ".lora_" in name
    }


def merge(module: nn.Module) -> None:
    """Add the LoRA to the weights and take it off.

    The sum is made in float32 whatever the dtype of the weights is; only the result is rounded.
    """
    for name, layer in list(module.named_modules()):
        if isinstance(layer, LoraLayer):
            wrapped: Any = layer
            base = wrapped.get_base_layer()
            with torch.no_grad():
                a = wrapped.lora_A[ADAPTER].weight.float()
                b = wrapped.lora_B[ADAPTER].weight.float()
                merged = base.weight.float().addmm_(b, a, alpha=wrapped.scaling[ADAPTER])
                base.weight.copy_(merged)
            module.set_submodule(name, base)
    # PEFT would take the next adapter for a second one.
    if hasattr(module, "peft_config"):
        del module.peft_config


def _targets(module: nn.Module, config: LoraConfig) -> str | list[str]:
    """Layers of the language model that a configuration means: a pattern for all, or a list."""
    layers = [name for name, _ in module.named_modules() if re.fullmatch(parts.LORA_TARGETS, name)]
    target = config.target_modules

    def meant(layer: str) -> bool:
        if isinstance(target, str):
            # The original's pattern begins below `model.`.
            return any(re.fullmatch(target, name) for name in (layer, layer.removeprefix("model.")))
        return any(f".{layer}".endswith(f".{name}") for name in target or ())

    found = [layer for layer in layers if meant(layer)]
    return found if 0 < len(found) < len(layers) else parts.LORA_TARGETS
