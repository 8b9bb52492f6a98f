"""Batches, loss and generation of decoder-only families, where the prompt precedes the target."""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerBase

from soritune.models.generation import generate_ids
from soritune.models.loaded import LoadedModel
from soritune.models.speech_model import (
    IGNORE,
    Batch,
    Generated,
    ModelInput,
    Processor,
    Watch,
    longest_answer,
)


class CausalProcessor(Processor):
    """Implements `Processor` for a decoder-only family, but for what each does in its own way.

    Attributes:
        ids: of special tokens, among them those of the end tokens, of padding, and of the tokens
            that stand for sounds or images: `ends`, `pad` and `placeholders`.
    """

    tokenizer: PreTrainedTokenizerBase
    ids: Any

    @abstractmethod
    def collate_audio(self, inputs: Sequence[ModelInput]) -> Batch:
        """Return the features of a batch as the model takes them, with their masks."""

    def max_new_tokens(self, duration_s: float) -> int:
        """See `longest_answer`."""
        return longest_answer(duration_s)

    def collate(self, inputs: Sequence[ModelInput]) -> Batch:
        """Make a training batch, padded on the right.

        Masks come from lengths, never from ids: padding may be an end token.

        Returns tensors: input_ids, attention_mask, labels of shape (batch, tokens), and those of
        `collate_audio`.
        """
        rows, labels = [], []
        for item in inputs:
            target = item.target_ids or []
            rows.append(torch.tensor(item.prompt_ids + target))
            labels.append(torch.tensor([IGNORE] * len(item.prompt_ids) + target))
        return {
            **_padded(rows, self.ids.pad, "right"),
            "labels": pad_sequence(labels, batch_first=True, padding_value=IGNORE),
            **self.collate_audio(inputs),
        }

    def collate_prompts(self, inputs: Sequence[ModelInput]) -> Batch:
        """Make a batch for generation: prompts only, padded on the left."""
        rows = [torch.tensor(item.prompt_ids) for item in inputs]
        return _padded(rows, self.ids.pad, "left") | self.collate_audio(inputs)

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of generated ids up to the first end token, special tokens left out."""
        kept = itertools.takewhile(lambda index: index not in self.ids.ends, ids)
        return str(self.tokenizer.decode(list(kept), skip_special_tokens=True)).strip()


class CausalModel(LoadedModel):
    """Implements `SpeechModel` for a decoder-only family."""

    processor: CausalProcessor

    @abstractmethod
    def embed(self, prompts: Batch) -> torch.Tensor:
        """Return what the language model reads for prompts, (batch, tokens, hidden)."""

    def num_targets(self, batch: Batch) -> int:
        """See `SpeechModel`."""
        return num_targets(batch)

    def loss(
        self, batch: Batch, num_targets: float, *, module: nn.Module | None = None
    ) -> torch.Tensor:
        """See `SpeechModel`."""
        return loss(module or self.module, batch, num_targets)

    def row_losses(self, batch: Batch) -> torch.Tensor:
        """See `SpeechModel`."""
        return row_losses(self.module, batch)

    @torch.inference_mode()
    def generate(
        self,
        inputs: Sequence[ModelInput],
        limits: Sequence[int],
        *,
        beams: int = 1,
        watch: Watch | None = None,
    ) -> list[Generated]:
        """See `SpeechModel`.

        Clips are encoded here, once; transformers would encode them for each beam, and some
        families at each step in which a row writes the token of a sound.
        """
        collated = self.processor.collate_prompts(inputs)
        prompts = {name: tensor.to(self.device) for name, tensor in collated.items()}
        kept = {name: prompts[name] for name in ("input_ids", "attention_mask")}
        ids = self.processor.ids
        written = generate_ids(
            self.module.generate,
            kept | {"inputs_embeds": self.embed(prompts)},
            prompt_length=kept["input_ids"].shape[1],
            limits=limits,
            end_ids=ids.ends,
            pad_id=ids.pad,
            never_ids=ids.placeholders,
            beams=beams,
            show=self.show(watch),
        )
        return self.answers(written)


def _padded(rows: list[torch.Tensor], pad_id: int, side: str) -> Batch:
    def pad(sequences: list[torch.Tensor], value: int) -> torch.Tensor:
        return pad_sequence(sequences, batch_first=True, padding_value=value, padding_side=side)

    return {
        "input_ids": pad(rows, pad_id),
        "attention_mask": pad([torch.ones_like(row) for row in rows], 0),
    }


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
