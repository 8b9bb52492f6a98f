"""Batched greedy and beam generation whose result does not depend on the batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from soritune.models.family import ModelInput, SpeechModel


@torch.inference_mode()
def generate(
    model: SpeechModel, inputs: Sequence[ModelInput], limits: Sequence[int], *, beams: int = 1
) -> list[str]:
    """Answers to a batch of prompts, in order.

    Args:
        inputs: clips with prompts (targets are not looked at).
        limits: most new tokens for each clip; a row that passes its own limit is cut there, even
            if its batch runs on, so that the batch leaves no trace.
        beams: 1 is greedy.
    """
    batch = model.processor.collate_prompts(inputs)
    batch = {name: tensor.to(model.device) for name, tensor in batch.items()}
    output = model.module.generate(  # type: ignore[operator]
        **batch,
        max_new_tokens=max(limits),
        num_beams=beams,
        do_sample=False,
        eos_token_id=list(model.end_token_ids),
        pad_token_id=model.pad_token_id,
    )
    start = batch["input_ids"].shape[1]
    rows = output[:, start:].tolist()
    return [model.processor.decode(row[:limit]) for row, limit in zip(rows, limits, strict=True)]
