"""Loss and generation of decoder-only families, where the prompt precedes the target."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from soritune.models.family import IGNORE, Batch
from soritune.models.generation import generate_ids


def shifted_labels(labels: torch.Tensor) -> torch.Tensor:
    """Return labels of shape (batch, tokens), moved so that position t holds what t predicts."""
    return nn.functional.pad(labels[:, 1:], (0, 1), value=IGNORE)


def num_targets(batch: Batch) -> int:
    """Return the number of target tokens in a batch."""
    return int((shifted_labels(batch["labels"]) != IGNORE).sum())


def loss(module: nn.Module, batch: Batch, targets: float) -> torch.Tensor:
    """Return the cross-entropy summed over the batch's targets, divided by `targets`.

    Logits are computed only where a target stands: of 16 × 500 positions with a vocabulary of
    200,064, all logits in fp32 would take 6.4 GB before the loss begins.
    """
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    labels = shifted_labels(batch["labels"])
    keep = labels != IGNORE
    output = module(
        **inputs,
        labels=batch["labels"],
        shift_labels=labels[keep],
        logits_to_keep=keep,
        num_items_in_batch=targets,
        use_cache=False,
    )
    result: torch.Tensor = output.loss
    return result


@torch.inference_mode()
def row_losses(module: nn.Module, batch: Batch) -> torch.Tensor:
    """Return the mean cross-entropy of each row's targets in nats, shape (rows,)."""
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    labels = shifted_labels(batch["labels"])
    keep = labels != IGNORE
    logits = module(**inputs, logits_to_keep=keep, use_cache=False).logits
    targets = labels[keep]
    each = nn.functional.cross_entropy(
        logits.float().reshape(len(targets), -1), targets, reduction="none"
    )
    sums = torch.zeros(len(labels), device=each.device)
    return sums.index_add_(0, keep.nonzero()[:, 0], each) / keep.sum(dim=1)


def generate(
    module: nn.Module,
    prompts: Batch,
    limits: Sequence[int],
    *,
    end_ids: Sequence[int],
    pad_id: int,
    never_ids: Sequence[int] = (),
    beams: int = 1,
) -> tuple[list[list[int]], list[float]]:
    """Generate answers to prompts that are padded on the left; see `generate_ids`."""
    return generate_ids(
        module.generate,  # type: ignore[arg-type]
        prompts,
        prompt_length=prompts["input_ids"].shape[1],
        limits=limits,
        end_ids=end_ids,
        pad_id=pad_id,
        never_ids=never_ids,
        beams=beams,
    )
