"""Writes a LoRA as a PEFT folder, which PEFT and vLLM take as it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from soritune.models.checkpoint import ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE, PEFT_PREFIX
from soritune.models.family import LoraDefaults
from soritune.models.lora import Lora, whole_if_possible
from soritune.models.shards import write_file


def write_lora(
    lora: Lora,
    folder: Path,
    defaults: LoraDefaults,
    base: str | None,
    revision: str | None = None,
    *,
    weights: Iterable[str] = (),
) -> None:
    """Write a PEFT folder that PEFT and vLLM take as it is.

    Args:
        defaults: of the family, for the names of the adapted layers.
        base: hub id or folder of the base, which the adapter names.
        revision: of a base on the hub.
        weights: names of the base's weights, by which layers without a LoRA are known.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {PEFT_PREFIX + name: tensor for name, tensor in lora.tensors.items()}
    write_file(tensors, folder / ADAPTER_WEIGHTS_FILE)
    config = {
        "base_model_name_or_path": base,
        "bias": "none",
        "exclude_modules": defaults.exclude_modules,
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "lora_alpha": whole_if_possible(lora.alpha),
        "lora_dropout": lora.dropout,
        "modules_to_save": None,
        "peft_type": "LORA",
        "r": lora.r,
        "revision": revision,
        "target_modules": _target_modules(lora, defaults, weights),
        "task_type": defaults.task_type,
        "use_dora": False,
        "use_rslora": False,
    }
    text = json.dumps(config, indent=2) + "\n"
    (folder / ADAPTER_CONFIG_FILE).write_text(text, encoding="utf-8")


def _target_modules(lora: Lora, defaults: LoraDefaults, weights: Iterable[str]) -> list[str]:
    """Return the short names of the adapted layers, full ones where others have the same short."""
    full = set(lora.layers)
    adapted = {layer.rsplit(".", 1)[-1] for layer in full}
    short = [name for name in defaults.target_modules if name in adapted]
    others = {name.removesuffix(".weight") for name in weights} - full
    ambiguous = any(
        layer.rsplit(".", 1)[-1] in adapted and re.fullmatch(defaults.layers, layer)
        for layer in others
    )
    return short if short and not ambiguous else lora.layers
