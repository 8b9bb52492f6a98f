"""Tensors in memory to disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from soritune.errors import UserError
from soritune.models.shards import write_file
from soritune.models.tensors import LazyTensor


def save_tensors(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Write a safetensors file with the permissions that any new file of this process gets.

    safetensors 0.8 alone makes it readable by its owner only (mode 600), so that a server that
    runs as another user could not load the model.

    Raises UserError, and writes nothing, where a value is not finite.
    """
    for name, tensor in tensors.items():
        if not bool(tensor.isfinite().all()):
            raise UserError(
                f"{path}: not written, because {name} holds values that are not finite. Train "
                "again with a lower learning_rate"
            )
    write_file(
        {name: LazyTensor.holding(tensor.detach()) for name, tensor in tensors.items()}, path
    )
