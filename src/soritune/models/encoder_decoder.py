"""Loss of encoder–decoder families, where the decoder reads the prompt and then the target.

Position t of `labels` is what the decoder predicts at position t: nothing is shifted here.
"""

from __future__ import annotations

import torch
from torch import nn

from soritune.models.family import IGNORE, Batch


def num_targets(batch: Batch) -> int:
    """Return the number of target tokens in a batch."""
    return int((batch["labels"] != IGNORE).sum())


def loss(module: nn.Module, batch: Batch, targets: float) -> torch.Tensor:
    """Return the cross-entropy summed over the batch's targets, divided by `targets`."""
    return _losses(module, batch).sum() / targets


@torch.inference_mode()
def row_losses(module: nn.Module, batch: Batch) -> torch.Tensor:
    """Return the mean cross-entropy of each row's targets in nats, shape (rows,)."""
    keep = batch["labels"] != IGNORE
    each = _losses(module, batch)
    sums = torch.zeros(len(keep), device=each.device)
    return sums.index_add_(0, keep.nonzero()[:, 0], each) / keep.sum(dim=1)


def _losses(module: nn.Module, batch: Batch) -> torch.Tensor:
    """Return the cross-entropy of each target in nats, in reading order."""
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    labels = batch["labels"]
    keep = labels != IGNORE
    # Keys and values that no later step needs would be kept beside those of checkpointing.
    logits = module(**inputs, use_cache=False).logits[keep]
    return nn.functional.cross_entropy(logits.float(), labels[keep], reduction="none")
