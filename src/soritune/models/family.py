"""What a model family must offer so that the other rooms can train, decode, score and export it.

A family is a folder beside `phi4mm/` with the same file names and one line in `registry.py`.
No other room knows which family it has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from soritune.tasks import Answer, Request

IGNORE = -100  # label that the loss leaves out
LORA = "LoRA"  # name of the part that holds the adapter, in every family

Batch = dict[str, torch.Tensor]


@dataclass(frozen=True)
class ModelInput:
    """One clip with its prompt, ready for a batch.

    Attributes:
        features: (frames, mels), float32.
        prompt_ids: token ids of the prompt, those of the decoder in an encoder–decoder.
        target_ids: token ids of the answer with its end token; None where it is to be generated.
    """

    features: torch.Tensor
    prompt_ids: list[int]
    target_ids: list[int] | None = None


@dataclass(frozen=True)
class Generated:
    """What a model wrote for one clip.

    Attributes:
        text: without special tokens.
        mean_logprob: mean log-probability of the generated tokens, the end token included, in
            nats; with beams, the score of the chosen beam.
    """

    text: str
    mean_logprob: float


class Processor(Protocol):
    """Turns clips and answers into model inputs, and token ids into text."""

    def encode(
        self, samples: npt.NDArray[np.float32], request: Request, answer: Answer | None = None
    ) -> ModelInput:
        """Encode one clip (16 kHz mono); an answer makes it a training example."""
        ...

    def features(self, samples: npt.NDArray[np.float32]) -> torch.Tensor:
        """Return the features of a clip, float32 of shape (frames, mels)."""
        ...

    def encode_features(
        self, features: torch.Tensor, request: Request, answer: Answer | None = None
    ) -> ModelInput:
        """Encode a clip from its features, so that they can be kept from epoch to epoch."""
        ...

    def num_tokens(self, duration_s: float, request: Request, answer: Answer | None = None) -> int:
        """Return what a clip costs in a batch, in tokens, without reading its audio."""
        ...

    def max_new_tokens(self, duration_s: float) -> int:
        """Return the most tokens that an answer to a clip of this length may have."""
        ...

    def collate(self, inputs: Sequence[ModelInput]) -> Batch:
        """Make a training batch; `labels` are IGNORE except on targets."""
        ...

    def parse(self, request: Request, text: str) -> Answer:
        """Split generated text into transcript and translation."""
        ...


class SpeechModel(Protocol):
    """A loaded model with its processor."""

    family: str
    base: str  # what `load` was given for the base: hub id, folder or "builtin:…"

    @property
    def module(self) -> nn.Module: ...

    @property
    def processor(self) -> Processor: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def feature_fill(self) -> torch.Tensor:
        """Value of masked features (SpecAugment), float32 of shape (mels,) on the CPU."""
        ...

    def part_of(self, parameter_name: str) -> str:
        """Return the part that a parameter belongs to ("audio encoder", LORA, …)."""
        ...

    def parts_of_mode(self, mode: str) -> frozenset[str]:
        """Return the parts that a training mode, or a sum of modes, trains."""
        ...

    def add_lora(self, *, r: int, alpha: int, dropout: float, seed: int) -> None:
        """Add a fresh LoRA, or keep the one that the base brings."""
        ...

    def checkpoint_layers(self) -> None:
        """Recompute activations in the backward pass, those of the encoder included."""
        ...

    def num_targets(self, batch: Batch) -> int:
        """Return the number of target tokens in a batch of `collate`."""
        ...

    def loss(
        self, batch: Batch, num_targets: float, *, module: nn.Module | None = None
    ) -> torch.Tensor:
        """Return the cross-entropy summed over the batch's targets, divided by `num_targets`.

        `module` takes the place of `self.module`: its wrapper for several processes.
        """
        ...

    def row_losses(self, batch: Batch) -> torch.Tensor:
        """Return the mean cross-entropy of each row's target tokens, in nats, shape (rows,)."""
        ...

    def generate(
        self, inputs: Sequence[ModelInput], limits: Sequence[int], *, beams: int = 1
    ) -> list[Generated]:
        """Generate an answer to each prompt, in order; the batch must leave no trace.

        Args:
            limits: most new tokens of each answer.
            beams: 1 is greedy.
        """
        ...

    def save(self, folder: Path, *, trained: Sequence[str], about: Mapping[str, Any]) -> None:
        """Write what differs from the base (the named parameters) so that `load` finds it."""
        ...
