"""A folder in the layout of the first release (`phi4mm`), which vLLM serves.

Both LoRAs are among the weights there, as in the official checkpoint, and once more in
`speech-lora/` and `vision-lora/`, from where vLLM takes them.
"""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from soritune.errors import UserError
from soritune.models import other_files
from soritune.models.checkpoint import ADAPTER_FOLDER, CONFIG_FILE, TensorName
from soritune.models.lora import Lora, merge_into
from soritune.models.phi4mm import layout
from soritune.models.phi4mm.configuration import (
    OFFICIAL_SPEECH_LORA,
    OFFICIAL_VISION_LORA,
    LoraShape,
    original_config,
)
from soritune.models.phi4mm.export_native import complete_generation
from soritune.models.phi4mm.export_processor import write_processor
from soritune.models.phi4mm.loading import VISION_FOLDER, read_config
from soritune.models.shards import Advance, write_weights
from soritune.models.stored import StoredModel
from soritune.models.tensors import LazyTensor


def merged(model: StoredModel, lora_weight: float) -> StoredModel:
    """Return the model with that share of its LoRA added to the weights, and so without LoRAs.

    The vision LoRA belongs to the weights as they were before. Raises UserError where there is no
    speech LoRA.
    """
    if model.lora is None:
        raise UserError(f"{model.name}: has no LoRA to merge; leave --lora-weight out")
    weights = merge_into(model.weights, model.lora, lora_weight)
    return replace(model, trained=weights, lora=None, own_lora=False, other_loras={})


def weights(model: StoredModel) -> dict[str, LazyTensor]:
    """Return all weights and both LoRAs by original name, in the base's dtypes."""
    tensors = {
        layout.to_original(name): tensor
        for name, tensor in model.in_base_dtype(model.weights).items()
    }
    for adapter, lora in _loras(model).items():
        for name, tensor in lora.tensors.items():
            base = model.base.weights[name.rsplit(".lora_", 1)[0] + ".weight"]
            key = layout.to_original(TensorName("lora", adapter, name))
            tensors[key] = tensor.to(base.dtype)
    return tensors


def _loras(model: StoredModel) -> dict[str, Lora]:
    own = {} if model.lora is None else {layout.SPEECH: model.lora}
    return {**own, **model.other_loras}


def write(
    model: StoredModel,
    tensors: dict[str, LazyTensor],
    folder: Path,
    max_shard_bytes: int,
    advance: Advance | None,
) -> None:
    """Write weights, configuration and adapters; copy the other files of the base."""
    base = model.base.folder
    new_lora = model.lora is not None and not model.own_lora
    replaced = [ADAPTER_FOLDER] if new_lora or model.lora is None else []
    if layout.VISION not in model.other_loras:
        replaced.append(VISION_FOLDER)
    if model.base.layout == layout.NATIVE or new_lora:
        replaced.append(CONFIG_FILE)
        text = json.dumps(_config(model), indent=2, ensure_ascii=False) + "\n"
        (folder / CONFIG_FILE).write_text(text, encoding="utf-8")
    other_files.copy_all(base, folder, leave_out=replaced)
    if not any((folder / name).is_file() for name in other_files.PROCESSOR_FILES):
        write_processor(folder, layout.NATIVE)  # of a base that has none: that of transformers
    complete_generation(read_config(dict(model.base.config), base), folder)
    folders = {layout.SPEECH: ADAPTER_FOLDER, layout.VISION: VISION_FOLDER}
    for adapter, lora in _loras(model).items():
        if not (folder / folders[adapter]).is_dir():
            model.write_adapter(lora, folder / folders[adapter])
    write_weights(tensors, folder, max_shard_bytes=max_shard_bytes, advance=advance)


def _config(model: StoredModel) -> dict[str, Any]:
    """Return the base's config.json with the size of the speech LoRA among the weights now."""
    if model.base.layout == layout.NATIVE:
        return original_config(
            read_config(dict(model.base.config), model.base.folder),
            speech_lora=_shape(model.lora) or OFFICIAL_SPEECH_LORA,
            vision_lora=_shape(model.other_loras.get(layout.VISION)) or OFFICIAL_VISION_LORA,
        )
    record = copy.deepcopy(dict(model.base.config))
    shape = _shape(model.lora)
    if shape is not None:
        size = {"r": shape.r, "lora_alpha": shape.alpha, "dp": shape.dropout}
        record["speech_lora"] = {**record.get("speech_lora", {}), **size}
    return record


def _shape(lora: Lora | None) -> LoraShape | None:
    return None if lora is None else LoraShape(lora.r, int(lora.alpha), lora.dropout)
