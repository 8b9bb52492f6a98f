"""A folder in the native layout, which transformers and soritune read; with or without LoRA."""

from __future__ import annotations

from pathlib import Path

from soritune.errors import UserError
from soritune.export import beside
from soritune.export.lazy import LazyTensor
from soritune.export.lora import Lora, merge_into, write_lora
from soritune.export.processor import write_processor
from soritune.export.shards import Advance, write_weights
from soritune.export.source import VISION_FOLDER, Source
from soritune.models.phi4mm.checkpoint import CONFIG_FILE
from soritune.models.phi4mm.constants import AUDIO_TOKEN, IMAGE_TOKEN
from soritune.models.phi4mm.loading import read_config, read_tokenizer
from soritune.models.record import ADAPTER_FOLDER

NO_VISION_LORA = (
    "the vision LoRA was left out: it belongs to the weights as they were before merging"
)


def weights(source: Source, lora_weight: float | None) -> dict[str, LazyTensor]:
    """All weights by native name in the base's dtypes; with a share of the LoRA added to them."""
    found = source.weights
    if lora_weight is not None:
        assert source.lora is not None
        found = merge_into(found, source.lora, lora_weight)
    return source.in_base_dtype(found)


def notes(source: Source, *, merged: bool) -> tuple[str, ...]:
    """What the user should know about the folder."""
    told = ["vLLM does not serve the native layout; for vLLM use --to original"]
    if merged and source.vision_lora is not None:
        told.append(NO_VISION_LORA)
    return tuple(told)


def write(
    source: Source,
    tensors: dict[str, LazyTensor],
    lora: Lora | None,
    folder: Path,
    max_shard_bytes: int,
    advance: Advance | None,
    *,
    vision_lora: bool = True,
) -> None:
    """Write weights, configuration and tokenizer, `lora` as speech-lora/ and the vision LoRA."""
    base = source.base_folder
    if source.layout == "native":
        # Adapters are written below: the model's, not the base's.
        beside.copy_all(base, folder, leave_out=(ADAPTER_FOLDER, VISION_FOLDER))
    else:
        beside.copy_tokenizer(base, folder)
        write_processor(folder)
        (folder / CONFIG_FILE).write_text(_config_text(source), encoding="utf-8")
    beside.complete_generation(read_config(dict(source.config), base), folder)
    write_weights(tensors, folder, max_shard_bytes=max_shard_bytes, advance=advance)
    unchanged = source.own_lora and lora is source.lora
    if lora is not None and not (unchanged and beside.copied(base, folder, ADAPTER_FOLDER)):
        write_lora(lora, folder / ADAPTER_FOLDER, source.base_name, source.base_revision)
    if source.vision_lora is None or not vision_lora:
        return
    if not beside.copied(base, folder, VISION_FOLDER):
        write_lora(
            source.vision_lora, folder / VISION_FOLDER, source.base_name, source.base_revision
        )


def _config_text(source: Source) -> str:
    config = read_config(dict(source.config), source.base_folder)
    # The original names the tokens that stand for sound and image in its code only.
    vocabulary = read_tokenizer(source.base_folder).get_vocab()
    for part, token in ((config.audio_config, AUDIO_TOKEN), (config.vision_config, IMAGE_TOKEN)):
        if token not in vocabulary:
            raise UserError(f"{source.base_folder}: the tokenizer has no {token}")
        name = "audio_token_id" if token == AUDIO_TOKEN else "image_token_id"
        setattr(part, name, vocabulary[token])
    return str(config.to_json_string(use_diff=False))
