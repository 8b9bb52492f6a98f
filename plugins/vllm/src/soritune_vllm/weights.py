"""The weights of a folder of either layout by the names of vLLM's model, with the LoRA in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from vllm.config import LoadConfig, ModelConfig

from soritune_vllm.soritune.errors import UserError
from soritune_vllm.soritune.models.checkpoint import (
    ADAPTER_FOLDER,
    ADAPTER_WEIGHTS_FILE,
    CONFIG_FILE,
    TensorName,
    read_checkpoint,
    read_json,
)
from soritune_vllm.soritune.models.lora import Lora, lora_of_entries, merge, read_lora
from soritune_vllm.soritune.models.phi4mm import layout
from soritune_vllm.soritune.models.phi4mm.configuration import lora_shape

Weights = Iterable[tuple[str, torch.Tensor]]


def vllm_name(native: str) -> str:
    """Return the name of a tensor in vLLM's model, given by its native name."""
    name = layout.to_original(native).replace(".base_layer.", ".")
    for start, vllm_start in _STARTS:
        if name.startswith(start):
            return vllm_start + name.removeprefix(start)
    return name


_AUDIO = "model.embed_tokens_extend.audio_embed."
# First match wins.
_STARTS = (
    (f"{_AUDIO}audio_projection.speech.", "embed_tokens_extend.audio_projection."),
    (f"{_AUDIO}audio_projection.vision.", "embed_tokens_extend.audio_projection_for_vision."),
    (_AUDIO, "embed_tokens_extend."),
)


def renamed(
    weights: Weights, lora: Lora | None, *, tied: bool
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the base weights by vLLM's names, without vision and without a head that is tied.

    Args:
        weights: by the names of either layout.
        lora: is added to them, as soritune does it: in float32, rounded once.
    """
    layers = set() if lora is None else set(lora.layers)
    for key, tensor in weights:
        name = layout.to_native(key)
        if (
            name.kind == "lora"
            or layout.is_vision(name)
            or (tied and name.name == layout.TIED_HEAD)
        ):
            continue
        layer = name.name.removesuffix(".weight")
        if lora is not None and layer in layers:
            a, b = lora.matrices(layer)
            tensor = merge(tensor, a.read(), b.read(), lora.scale)  # noqa: PLW2901
            layers.remove(layer)
        yield vllm_name(name.name), tensor
    if layers:
        raise UserError(f"the LoRA is on {sorted(layers)[0]}, which the model lacks")


def speech_lora(model: ModelConfig, load: LoadConfig) -> Lora | None:
    """Return the speech LoRA beside or among the weights of a model; None where there is none.

    Raises UserError for a damaged one.
    """
    folder = _folder(model, load)
    entries = [
        entry
        for entry in read_checkpoint(folder, layout.to_native, optional=layout.is_vision)
        if _is_speech_lora(entry.native)
    ]
    if not entries:
        beside = folder / ADAPTER_FOLDER
        return read_lora(beside) if (beside / ADAPTER_WEIGHTS_FILE).is_file() else None
    shape = lora_shape(read_json(folder / CONFIG_FILE), layout.SPEECH)
    if shape is None:
        raise UserError(f"{folder}: a LoRA among the weights, but no speech_lora in {CONFIG_FILE}")
    return lora_of_entries(
        entries, r=shape.r, alpha=shape.alpha, dropout=shape.dropout, where=folder
    )


def _is_speech_lora(name: TensorName) -> bool:
    return name.kind == "lora" and not layout.is_vision(name)


def _folder(model: ModelConfig, load: LoadConfig) -> Path:
    if Path(model.model).is_dir():
        return Path(model.model)
    patterns = ["*.json", "*.safetensors", f"{ADAPTER_FOLDER}/*"]
    found = snapshot_download(
        model.model, revision=model.revision, cache_dir=load.download_dir, allow_patterns=patterns
    )
    return Path(found)
