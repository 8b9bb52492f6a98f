"""A folder in the native layout, which transformers and soritune read; with or without LoRA."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from transformers import Phi4MultimodalConfig, PreTrainedTokenizerFast

from soritune.models import other_files
from soritune.models.checkpoint import ADAPTER_FOLDER, CONFIG_FILE
from soritune.models.lora import Lora
from soritune.models.other_files import GENERATION_FILE
from soritune.models.phi4mm import layout
from soritune.models.phi4mm.constants import AUDIO_TOKEN, IMAGE_TOKEN
from soritune.models.phi4mm.export_processor import write_processor
from soritune.models.phi4mm.loading import VISION_FOLDER, read_config, set_token_ids
from soritune.models.shards import Advance, write_weights
from soritune.models.stored import StoredModel
from soritune.models.tensors import LazyTensor
from soritune.models.tokenizers import read_tokenizer, special_ids


def write(
    model: StoredModel,
    tensors: Mapping[str, LazyTensor],
    lora: Lora | None,
    folder: Path,
    max_shard_bytes: int,
    advance: Advance | None,
    *,
    vision_lora: bool = True,
) -> None:
    """Write weights, configuration and tokenizer, `lora` as speech-lora/ and the vision LoRA."""
    base = model.base.folder
    if model.base.layout == layout.NATIVE:
        # Adapters are written below: the model's, not the base's.
        other_files.copy_all(base, folder, leave_out=(ADAPTER_FOLDER, VISION_FOLDER))
    else:
        other_files.copy_files(base, folder)
        (folder / CONFIG_FILE).write_text(_config_text(model), encoding="utf-8")
    write_processor(folder, model.base.layout)
    complete_generation(read_config(dict(model.base.config), base), folder)
    write_weights(tensors, folder, max_shard_bytes=max_shard_bytes, advance=advance)
    unchanged = model.own_lora and lora is model.lora
    if lora is not None and not (
        unchanged and other_files.copy_folder(base, folder, ADAPTER_FOLDER)
    ):
        model.write_adapter(lora, folder / ADAPTER_FOLDER)
    vision = model.other_loras.get(layout.VISION)
    if vision is None or not vision_lora:
        return
    if not other_files.copy_folder(base, folder, VISION_FOLDER):
        model.write_adapter(vision, folder / VISION_FOLDER)


def complete_generation(config: Phi4MultimodalConfig, to: Path) -> None:
    """Write generation_config.json where the base has none.

    It names both end tokens, of which an original config.json names only one: without it vLLM
    goes on where an answer has ended.
    """
    path = to / GENERATION_FILE
    if path.is_file():
        return
    names = ("bos_token_id", "eos_token_id", "pad_token_id")
    record = {"_from_model_config": True, **{name: getattr(config, name) for name in names}}
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _config_text(model: StoredModel) -> str:
    base = model.base
    config = read_config(dict(base.config), base.folder)
    tokenizer = read_tokenizer(PreTrainedTokenizerFast, base.folder)
    special_ids(tokenizer, model.family.title, AUDIO_TOKEN, IMAGE_TOKEN)
    set_token_ids(config, tokenizer)
    return str(config.to_json_string(use_diff=False))
