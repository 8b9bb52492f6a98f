"""Weights on disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch


def save_tensors(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Write a safetensors file with the permissions that any new file of this process gets.

    safetensors 0.8 alone makes it readable by its owner only (mode 600), so that a server that
    runs as another user could not load the model.
    """
    from safetensors.torch import save_file

    path.touch()
    mode = path.stat().st_mode & 0o777
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(whole, path, metadata={"format": "pt"})
    path.chmod(mode)
