"""Losses of encoder–decoder families, where the decoder reads the prompt and then the target.

Position t of `labels` is what the decoder predicts at position t: nothing is shifted here.
"""

from __future__ import annotations

import torch
from torch import nn

from soritune.models.loaded import LoadedModel
from soritune.models.speech_model import IGNORE, Batch


class EncoderDecoderModel(LoadedModel):
    """Implements the losses of `SpeechModel` for an encoder–decoder."""

    def num_targets(self, batch: Batch) -> int:
        """See `SpeechModel`."""
        return int((batch["labels"] != IGNORE).sum())

    def loss(
        self, batch: Batch, num_targets: float, *, module: nn.Module | None = None
    ) -> torch.Tensor:
        """See `SpeechModel`."""
        return _losses(module or self.module, batch).sum() / num_targets

    @torch.inference_mode()
    def row_losses(self, batch: Batch) -> torch.Tensor:
        """See `SpeechModel`."""
        keep = batch["labels"] != IGNORE
        each = _losses(self.module, batch)
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
