"""A folder in the layout of the first release (`phi4mm`), which vLLM serves.

Both LoRAs lie among the weights there, as in the official checkpoint, and once more in
`speech-lora/` and `vision-lora/`, from where vLLM takes them.
"""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from soritune.errors import UserError
from soritune.export import beside
from soritune.export.lazy import LazyTensor
from soritune.export.lora import Lora, merge_into, write_lora
from soritune.export.shards import Advance, write_weights
from soritune.export.source import VISION_FOLDER, Source
from soritune.models.phi4mm import layout
from soritune.models.phi4mm.checkpoint import CONFIG_FILE
from soritune.models.phi4mm.configuration import (
    OFFICIAL_SPEECH_LORA,
    OFFICIAL_VISION_LORA,
    LoraShape,
    original_config,
)
from soritune.models.phi4mm.loading import read_config
from soritune.models.record import ADAPTER_FOLDER

# What vLLM 0.33 needs beside the weights, because transformers does not know this layout.
CODE_FILES = ("configuration_phi4mm.py", "processing_phi4mm.py")
OFFICIAL = "microsoft/Phi-4-multimodal-instruct"


def merged(source: Source, lora_weight: float) -> Source:
    """The model with that share of its LoRA added to the weights, and so without LoRAs.

    The vision LoRA belongs to the weights as they were before. Raises UserError where there is no
    speech LoRA.
    """
    if source.lora is None:
        raise UserError(f"{source.name}: has no speech LoRA to merge; leave --lora-weight out")
    weights = merge_into(source.weights, source.lora, lora_weight)
    return replace(source, trained=weights, lora=None, own_lora=False, vision_lora=None)


def weights(source: Source) -> dict[str, LazyTensor]:
    """All weights and both LoRAs by original name, in the base's dtypes."""
    tensors = {
        layout.to_original(name): tensor
        for name, tensor in source.in_base_dtype(source.weights).items()
    }
    for lora, adapter in ((source.lora, layout.SPEECH), (source.vision_lora, layout.VISION)):
        for name, tensor in lora.tensors.items() if lora else ():
            base = source.base_weights[name.rsplit(".lora_", 1)[0] + ".weight"]
            key = layout.to_original(layout.NativeName("lora", adapter, name))
            tensors[key] = tensor.to(base.dtype)
    return tensors


def has_vision(source: Source) -> bool:
    """Whether the base's weights hold the vision tower."""
    return any(layout.is_vision(layout.to_native(name)) for name in source.base_weights)


def lacks_code(source: Source) -> list[str]:
    """Files that vLLM wants and that the base's folder does not have."""
    return [name for name in CODE_FILES if not (source.base_folder / name).is_file()]


def notes(source: Source) -> tuple[str, ...]:
    """What the user should know about the folder."""
    told = []
    if lacks_code(source):
        told.append(
            f"the base has no {' and no '.join(lacks_code(source))}: to serve this folder with "
            f"vLLM, copy *.py, preprocessor_config.json and processor_config.json from {OFFICIAL}"
        )
    if not has_vision(source):
        told.append(
            "the base has no vision tower: vLLM needs --limit-mm-per-prompt "
            "'{\"image\": 0}' to do without"
        )
    return tuple(told)


def write(
    source: Source,
    tensors: dict[str, LazyTensor],
    folder: Path,
    max_shard_bytes: int,
    advance: Advance | None,
) -> None:
    """Write weights, configuration and adapters; hand on what lies beside the base's weights."""
    base = source.base_folder
    new_lora = source.lora is not None and not source.own_lora
    replaced = [ADAPTER_FOLDER] if new_lora or source.lora is None else []
    if source.vision_lora is None:
        replaced.append(VISION_FOLDER)
    if source.layout == "native" or new_lora:
        replaced.append(CONFIG_FILE)
        text = json.dumps(_config(source), indent=2, ensure_ascii=False) + "\n"
        (folder / CONFIG_FILE).write_text(text, encoding="utf-8")
    beside.copy_all(base, folder, leave_out=tuple(replaced))
    beside.complete_generation(read_config(dict(source.config), base), folder)
    for lora, name in ((source.lora, ADAPTER_FOLDER), (source.vision_lora, VISION_FOLDER)):
        if lora is not None and not (folder / name).is_dir():
            write_lora(lora, folder / name, source.base_name, source.base_revision)
    write_weights(tensors, folder, max_shard_bytes=max_shard_bytes, advance=advance)


def _config(source: Source) -> dict[str, Any]:
    """The base's config.json with the size of the speech LoRA that is among the weights now."""
    if source.layout == "native":
        return original_config(
            read_config(dict(source.config), source.base_folder),
            speech_lora=_shape(source.lora) or OFFICIAL_SPEECH_LORA,
            vision_lora=_shape(source.vision_lora) or OFFICIAL_VISION_LORA,
        )
    record = copy.deepcopy(dict(source.config))
    shape = _shape(source.lora)
    if shape is not None:
        size = {"r": shape.r, "lora_alpha": shape.alpha, "dp": shape.dropout}
        record["speech_lora"] = {**record.get("speech_lora", {}), **size}
    return record


def _shape(lora: Lora | None) -> LoraShape | None:
    return None if lora is None else LoraShape(lora.r, int(lora.alpha), lora.dropout)
