# Copied from src/soritune/models/tensors.py by tools/copy_to_vllm.py: change it there.
"""Tensors that are read when they are written, one at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from soritune_vllm.soritune.errors import UserError
from soritune_vllm.soritune.models.checkpoint import Entry, read_tensor

# Names of the safetensors format (https://github.com/huggingface/safetensors).
DTYPE_NAMES: dict[torch.dtype, str] = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
_DTYPES = {name: dtype for dtype, name in DTYPE_NAMES.items()}


@dataclass(frozen=True)
class LazyTensor:
    """A tensor whose shape and dtype are known and whose values come when `read` is called."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    read: Callable[[], torch.Tensor]

    @classmethod
    def of(cls, entry: Entry) -> LazyTensor:
        """Make one of a tensor in a file. Raises UserError for a quantised one."""
        dtype = _DTYPES.get(entry.dtype)
        if dtype is None:
            raise UserError(
                f"{entry.file}: tensor {entry.key} has dtype {entry.dtype}; soritune reads "
                "checkpoints that are not quantised"
            )
        return cls(entry.shape, dtype, lambda: read_tensor(entry))

    @classmethod
    def holding(cls, tensor: torch.Tensor) -> LazyTensor:
        """Make one of a tensor in memory."""
        return cls(tuple(tensor.shape), tensor.dtype, lambda: tensor)

    @property
    def num_bytes(self) -> int:
        """Size in a file."""
        return int(torch.Size(self.shape).numel()) * self.dtype.itemsize

    def to(self, dtype: torch.dtype) -> LazyTensor:
        """Return the same values in another dtype."""
        if dtype == self.dtype:
            return self
        return LazyTensor(self.shape, dtype, lambda: self.read().to(dtype))
