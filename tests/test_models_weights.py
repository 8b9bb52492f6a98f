"""Saved weights are files like any other."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from soritune.models.weights import save_tensors


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640)])
def test_weights_are_readable_by_whom_the_umask_lets_read(
    tmp_path: Path, umask: int, mode: int
) -> None:
    before = os.umask(umask)
    try:
        save_tensors({"a": torch.arange(3.0)}, tmp_path / "x.safetensors")
    finally:
        os.umask(before)
    assert (tmp_path / "x.safetensors").stat().st_mode & 0o777 == mode
    assert load_file(tmp_path / "x.safetensors")["a"].tolist() == [0.0, 1.0, 2.0]
