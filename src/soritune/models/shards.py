"""Writes tensors as safetensors files of limited size, one tensor in memory at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from soritune.errors import UserError
from soritune.models.checkpoint import INDEX_FILE, WEIGHTS_FILE
from soritune.models.tensors import DTYPE_NAMES, LazyTensor

MAX_SHARD_BYTES = 5_000_000_000
_ALIGNMENT = 8  # of the header, by the format

Advance = Callable[[int], object]  # called with the bytes that were written


def write_weights(
    tensors: Mapping[str, LazyTensor],
    folder: Path,
    *,
    max_shard_bytes: int = MAX_SHARD_BYTES,
    advance: Advance | None = None,
) -> list[str]:
    """Write `model.safetensors`, or several shards with their index where one is not enough.

    A tensor above `max_shard_bytes` has a shard of its own. Returns the names of the files.
    """
    shards = _split(tensors, max_shard_bytes)
    if len(shards) == 1:
        write_file(shards[0], folder / WEIGHTS_FILE, advance=advance)
        return [WEIGHTS_FILE]
    files = [
        f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        for number in range(1, len(shards) + 1)
    ]
    for file, shard in zip(files, shards, strict=True):
        write_file(shard, folder / file, advance=advance)
    index = {
        "metadata": {"total_size": sum(tensor.num_bytes for tensor in tensors.values())},
        "weight_map": {
            name: file for file, shard in zip(files, shards, strict=True) for name in sorted(shard)
        },
    }
    (folder / INDEX_FILE).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    return [*files, INDEX_FILE]


def write_file(
    tensors: Mapping[str, LazyTensor], path: Path, *, advance: Advance | None = None
) -> None:
    """Write one safetensors file; the same bytes for the same tensors."""
    # Wide dtypes first keep every tensor aligned to its own width.
    order = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name in order:
        tensor = tensors[name]
        start, end = end, end + tensor.num_bytes
        header[name] = {
            "dtype": DTYPE_NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % _ALIGNMENT)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for name in order:
            file.write(_bytes(name, tensors[name]))
            if advance is not None:
                advance(tensors[name].num_bytes)


def _bytes(name: str, lazy: LazyTensor) -> Any:
    tensor = lazy.read().detach().cpu().contiguous()
    if tuple(tensor.shape) != lazy.shape or tensor.dtype != lazy.dtype:
        raise AssertionError(f"{name}: announced {lazy.shape}, {lazy.dtype}")
    return tensor.reshape(-1).view(torch.uint8).numpy()  # a buffer; no copy


def _split(tensors: Mapping[str, LazyTensor], max_bytes: int) -> list[dict[str, LazyTensor]]:
    if not tensors:
        raise UserError("there is no tensor to write: the model is empty")
    shards: list[dict[str, LazyTensor]] = [{}]
    size = 0
    for name, tensor in tensors.items():
        if shards[-1] and size + tensor.num_bytes > max_bytes:
            shards.append({})
            size = 0
        shards[-1][name] = tensor
        size += tensor.num_bytes
    return shards
