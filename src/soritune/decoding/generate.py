"""Batched greedy and beam generation whose result does not depend on the batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import StoppingCriteria, StoppingCriteriaList

from soritune.models.family import ModelInput, SpeechModel


class _OwnLimit(StoppingCriteria):
    """Ends each row at its own limit, where beam search then chooses among its beams as it would
    if the row were alone."""

    def __init__(self, prompt_length: int, limits: torch.Tensor) -> None:
        self.lengths = prompt_length + limits

    def __call__(
        self, input_ids: torch.Tensor, scores: object, **kwargs: object
    ) -> torch.BoolTensor:
        # Beam search asks about several continuations of each row.
        lengths = self.lengths.repeat_interleave(len(input_ids) // len(self.lengths))
        return input_ids.shape[1] >= lengths  # type: ignore[return-value]


@torch.inference_mode()
def generate(
    model: SpeechModel, inputs: Sequence[ModelInput], limits: Sequence[int], *, beams: int = 1
) -> list[str]:
    """Answers to a batch of prompts, in order.

    Args:
        inputs: clips with prompts (targets are not looked at).
        limits: most new tokens for each clip; a row ends at its own limit, even if its batch runs
            on, so that the batch leaves no trace.
        beams: 1 is greedy.
    """
    batch = model.processor.collate_prompts(inputs)
    batch = {name: tensor.to(model.device) for name, tensor in batch.items()}
    output = model.module.generate(  # type: ignore[operator]
        **batch,
        max_new_tokens=max(limits),
        stopping_criteria=StoppingCriteriaList(
            [_OwnLimit(batch["input_ids"].shape[1], torch.tensor(limits, device=model.device))]
        ),
        num_beams=beams,
        do_sample=False,
        eos_token_id=list(model.end_token_ids),
        pad_token_id=model.pad_token_id,
    )
    start = batch["input_ids"].shape[1]
    rows = output[:, start:].tolist()
    return [model.processor.decode(row[:limit]) for row, limit in zip(rows, limits, strict=True)]
