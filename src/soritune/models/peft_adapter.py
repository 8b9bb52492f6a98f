"""The LoRA on a model in memory: put on fresh or as saved, read off, merged.

There is one adapter on a model at a time, so none can be there without effect; each tensor of a
saved one must be taken, where PEFT itself goes on silently with an adapter that does nothing.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import regex
import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import nn

from soritune.errors import UserError
from soritune.models.checkpoint import ADAPTER_CONFIG_FILE, check_match
from soritune.models.lora import Lora, merge, whole_if_possible

ADAPTER_NAME = "speech"
PATTERN_TIMEOUT_S = 5.0  # for all layers; a good pattern takes milliseconds
NOT_OF_THIS_BASE = (
    "it does not belong to this base model; load it with the base that it was trained on"
)


def put_fresh(
    module: nn.Module, layers: str, *, r: int, alpha: float, dropout: float, seed: int
) -> LoraConfig:
    """Put a new LoRA, of no effect yet, on the layers whose full names match a pattern."""
    config = LoraConfig(
        r=r, lora_alpha=whole_if_possible(alpha), lora_dropout=dropout, target_modules=layers
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        inject_adapter_in_model(config, module, adapter_name=ADAPTER_NAME)
    module.train(module.training)  # the new layers begin in training mode: with dropout
    return config


def put_saved(module: nn.Module, lora: Lora, layers: str) -> LoraConfig:
    """Put a saved LoRA on a model; every tensor must be taken.

    Args:
        layers: pattern of the layers that may have one.

    Raises UserError naming the first tensor that is missing, extra or of another shape.
    """
    config = LoraConfig(
        r=lora.r,
        lora_alpha=whole_if_possible(lora.alpha),
        lora_dropout=lora.dropout,
        target_modules=_targets(module, lora, layers),
    )
    inject_adapter_in_model(config, module, adapter_name=ADAPTER_NAME, low_cpu_mem_usage=True)
    check_match(
        {name: tuple(tensor.shape) for name, tensor in tensors(module).items()},
        {name: tensor.shape for name, tensor in lora.tensors.items()},
        lora.where,
        NOT_OF_THIS_BASE,
    )
    for name, tensor in lora.tensors.items():
        path = name.removesuffix(".weight")
        layer = module.get_submodule(f"{path}.{ADAPTER_NAME}")
        base = module.get_submodule(path.rsplit(".", 1)[0]).get_base_layer()  # type: ignore[operator]
        value = tensor.read().to(device=base.weight.device, dtype=base.weight.dtype)
        layer.weight = nn.Parameter(value)
    module.train(module.training)  # the new layers begin in training mode: with dropout
    return config


def set_dropout(module: nn.Module, dropout: float) -> None:
    """Give the LoRA that is on a model another dropout."""
    for layer in module.modules():
        if isinstance(layer, LoraLayer):
            made = nn.Dropout(dropout) if dropout > 0 else nn.Identity()
            layer.lora_dropout[ADAPTER_NAME] = made.train(module.training)


def tensors(module: nn.Module) -> dict[str, nn.Parameter]:
    """Return the tensors of the LoRA on a model, by their names in a PEFT file without its prefix.

    PEFT's own function for this asks the hub about the base model.
    """
    return {
        name.replace(f".{ADAPTER_NAME}.weight", ".weight"): parameter
        for name, parameter in module.named_parameters()
        if f".{ADAPTER_NAME}.weight" in name and ".lora_" in name
    }


def merge_adapter(module: nn.Module) -> None:
    """Add the LoRA to the weights and take it off.

    The sum is made in float32 whatever the dtype of the weights is; only the result is rounded.
    """
    for name, layer in list(module.named_modules()):
        if isinstance(layer, LoraLayer):
            wrapped: Any = layer
            base = wrapped.get_base_layer()
            with torch.no_grad():
                a, b = (m[ADAPTER_NAME].weight for m in (wrapped.lora_A, wrapped.lora_B))
                base.weight.copy_(merge(base.weight, a, b, wrapped.scaling[ADAPTER_NAME]))
            module.set_submodule(name, base)
    # PEFT would take the next adapter for a second one.
    if hasattr(module, "peft_config"):
        del module.peft_config


def _targets(module: nn.Module, lora: Lora, pattern: str) -> str | list[str]:
    """Return the layers that a saved LoRA names: a pattern for all that may have one, or a list.

    Bare names, as many a saved configuration has them, would also hit layers outside the pattern.
    """
    layers = [name for name, _ in module.named_modules() if re.fullmatch(pattern, name)]
    target = lora.target_modules
    deadline_s = time.monotonic() + PATTERN_TIMEOUT_S

    def is_named(layer: str) -> bool:
        if isinstance(target, str):
            # Some patterns begin below the first part, `model.`.
            names = (layer, layer.partition(".")[2])
            return any(_matches(target, name, deadline_s, lora.where) for name in names)
        return any(f".{layer}".endswith(f".{name}") for name in target or ())

    found = [layer for layer in layers if is_named(layer)]
    return found if 0 < len(found) < len(layers) else pattern


def _matches(pattern: str, name: str, deadline_s: float, where: Path) -> bool:
    """Return whether a pattern of a configuration matches a whole name.

    Raises UserError for one that is not a pattern, or that takes too long: some take years.
    """
    left_s = deadline_s - time.monotonic()
    try:
        # `re` cannot be stopped.
        if left_s <= 0:
            raise TimeoutError("it takes too long")
        return bool(regex.fullmatch(pattern, name, timeout=left_s))
    except (regex.error, TimeoutError) as error:
        raise UserError(
            f'{where / ADAPTER_CONFIG_FILE}: "target_modules" is not a pattern that can be used '
            f"({error}); write the names of the layers there"
        ) from None
