"""Attention of all models: PyTorch's, without what is wrong for speech on some GPUs.

- cuDNN's kernels are left out. PyTorch prefers them on H100 and later GPUs, where they refuse an
  attention bias that is trained (some audio encoders have one), and their gradients
  under a mask were reported to be NaN at some lengths.
- A query that would see no key, as padding on the left has, sees itself. Some kernels give NaN
  for it, which would spread to all rows of its clip.

`ATTENTION` is its name in transformers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock, local
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

ATTENTION = "soritune_sdpa"

# Called with the attention module, its queries, its keys and their scale.
Watcher = Callable[[torch.nn.Module, torch.Tensor, torch.Tensor, float | None], None]
_watching = local()


class _WithoutCudnn:
    """Turns cuDNN's kernels off while any thread attends: the switch is of the whole process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._before = True

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._before = bool(torch.backends.cuda.cudnn_sdp_enabled())  # type: ignore[no-untyped-call]
                torch.backends.cuda.enable_cudnn_sdp(False)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                torch.backends.cuda.enable_cudnn_sdp(self._before)


_without_cudnn = _WithoutCudnn()


@contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """Show `watcher` all that is attended to meanwhile, in this thread."""
    _watching.by = watcher
    try:
        yield
    finally:
        _watching.by = None


def attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attend as transformers' SDPA does, but never in cuDNN; its backward follows the forward."""
    watcher: Watcher | None = getattr(_watching, "by", None)
    if watcher is not None:
        watcher(module, query, key, options.get("scaling"))
    with _without_cudnn:
        result: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, **options
        )
    return result


def mask(
    batch_size: int,
    q_length: int,
    kv_length: int,
    q_offset: int = 0,
    kv_offset: int = 0,
    **options: Any,
) -> torch.Tensor | None:
    """Return the mask of transformers' SDPA, true where a query sees a key; each sees some."""
    seen = sdpa_mask(batch_size, q_length, kv_length, q_offset, kv_offset, **options)
    if seen is None or q_length == 1:  # the last token of a row is never padding
        return seen
    queries = torch.arange(q_length, device=seen.device) + q_offset
    keys = torch.arange(kv_length, device=seen.device) + kv_offset
    itself = queries[:, None] == keys[None, :]
    return seen | (itself & ~seen.any(dim=-1, keepdim=True))


AttentionInterface.register(ATTENTION, attention)
AttentionMaskInterface.register(ATTENTION, mask)
