"""Batched generation whose result does not depend on the batch, for every family."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
    SuppressTokensLogitsProcessor,
)


class _RowLimit(StoppingCriteria):
    """Ends each row at its own limit; beam search then chooses as if the row were alone."""

    def __init__(self, prompt_length: int, limits: torch.Tensor) -> None:
        self.lengths = prompt_length + limits

    def __call__(
        self, input_ids: torch.Tensor, scores: object, **kwargs: object
    ) -> torch.BoolTensor:
        # Beam search asks about several continuations of each row.
        lengths = self.lengths.repeat_interleave(len(input_ids) // len(self.lengths))
        return input_ids.shape[1] >= lengths  # type: ignore[return-value]


class _Watched(StoppingCriteria):
    """Shows each answer so far and ends the rows that nobody waits for."""

    def __init__(self, show: Callable[[list[list[int]]], Sequence[bool]], cut: _Cut) -> None:
        self.show = show
        self.cut = cut
        self.stopped: dict[int, int] = {}  # row: length of its answer when it was ended

    def __call__(
        self, input_ids: torch.Tensor, scores: object, **kwargs: object
    ) -> torch.BoolTensor:
        rows = self.cut(input_ids)
        unwanted = self.show(rows)
        for index, row in enumerate(rows):
            if unwanted[index]:
                self.stopped.setdefault(index, len(row))
        return torch.tensor(unwanted, device=input_ids.device)  # type: ignore[return-value]


@dataclass(frozen=True)
class _Cut:
    """Takes answers out of generated rows: no prompt, and nothing behind the end token."""

    prompt_length: int
    limits: Sequence[int]
    end_ids: Sequence[int]

    def __call__(self, sequences: torch.Tensor) -> list[list[int]]:
        rows = []
        for ids, limit in zip(
            sequences[:, self.prompt_length :].tolist(), self.limits, strict=True
        ):
            stops = [index for index, token in enumerate(ids) if token in self.end_ids]
            rows.append(ids[: min([*(stop + 1 for stop in stops[:1]), limit])])
        return rows


@dataclass(frozen=True)
class Written:
    """Ids that were generated for one row.

    Attributes:
        ids: up to and with the end token.
        mean_logprob: in nats; with beams, the score of the chosen beam.
        logprobs: of each id, in nats; empty with beams.
    """

    ids: list[int]
    mean_logprob: float
    logprobs: tuple[float, ...] = ()


class _GreedyLogprobs(LogitsProcessor):
    """Keeps the log-probability of the token that each row takes in each step."""

    def __init__(self, never_ids: Sequence[int]) -> None:
        self.never_ids = list(never_ids)
        self.steps: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        scores = scores.float()
        total = torch.logsumexp(scores, dim=-1)
        if self.never_ids:
            scores = scores.clone()
            scores[:, self.never_ids] = -torch.inf
        self.steps.append(scores.max(dim=-1).values - total)
        return scores


@torch.inference_mode()
def generate_ids(
    generate: Callable[..., Any],
    inputs: dict[str, torch.Tensor],
    *,
    prompt_length: int,
    limits: Sequence[int],
    end_ids: Sequence[int],
    pad_id: int,
    never_ids: Sequence[int] = (),
    beams: int = 1,
    show: Callable[[list[list[int]]], Sequence[bool]] | None = None,
    **options: Any,
) -> list[Written]:
    """Generate token ids without the prompt, and the log-probability of each row.

    Args:
        generate: transformers' `generate` of the model.
        inputs: keyword tensors of `generate`, on the model's device.
        prompt_length: length of the prompts, padding included.
        limits: most new tokens of each row.
        never_ids: tokens that are never generated, such as the one that stands for sound.
        beams: 1 is greedy; with more, the mean is the score of the chosen beam.
        show: called after each step with the answers so far; returns which rows to end. Greedy
            decoding only.
    """
    device = next(iter(inputs.values())).device
    logprobs = _GreedyLogprobs(never_ids)
    processors = LogitsProcessorList(options.pop("logits_processor", []))
    if beams == 1:
        processors.append(logprobs)
    elif never_ids:
        processors.append(SuppressTokensLogitsProcessor(list(never_ids), str(device)))
    cut = _Cut(prompt_length, limits, end_ids)
    criteria = StoppingCriteriaList([_RowLimit(prompt_length, torch.tensor(limits, device=device))])
    watched = None if show is None else _Watched(show, cut)
    if watched is not None:
        criteria.append(watched)
    output = generate(
        **inputs,
        max_new_tokens=max(limits),
        stopping_criteria=criteria,
        logits_processor=processors,
        num_beams=beams,
        do_sample=False,
        eos_token_id=list(end_ids),
        pad_token_id=pad_id,
        return_dict_in_generate=True,
        output_scores=beams > 1,
        **options,
    )
    stopped = {} if watched is None else watched.stopped
    rows = [row[: stopped.get(index, len(row))] for index, row in enumerate(cut(output.sequences))]
    if beams > 1:
        scores = output.sequences_scores.tolist()
        return [Written(row, score) for row, score in zip(rows, scores, strict=True)]
    steps = torch.stack(logprobs.steps, dim=1)
    return [
        Written(row, float(step[: len(row)].mean()), tuple(step[: len(row)].tolist()))
        for step, row in zip(steps, rows, strict=True)
    ]
