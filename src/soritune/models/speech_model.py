"""What the other rooms ask of a loaded model, and what they hand it.

`SpeechModel` has the weights, its `Processor` turns clips and text into tensors and back;
`loaded.py` and `causal.py` hold what families share of them. Nothing here imports torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from soritune.tasks import Answer, Request

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch
    from torch import nn

    from soritune.models.family import ClipLimits, Family

IGNORE = -100  # label that the loss leaves out

Batch = dict[str, "torch.Tensor"]


def longest_answer(duration_s: float) -> int:
    """Return the most tokens of an answer to a clip of this length; there is no fixed cap.

    Zeroth's Korean needs about 4 tokens a second in the official vocabulary; chain of thought
    writes two texts. 25 tokens a second and 32 at least leave a wide margin and still end a
    model that never stops.
    """
    return 32 + math.ceil(25 * duration_s)


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
        tokens: ids of the generated tokens, the end token included.
        logprobs: log-probability of each of `tokens`, in nats; empty with beams.
    """

    text: str
    mean_logprob: float
    tokens: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = field(default=(), compare=False)


# Called after each step with the answers so far; returns which of them nobody waits for.
Watch = Callable[[Sequence[str]], Sequence[bool]]


class Processor(Protocol):
    """Turns clips and answers into model inputs, and token ids into text.

    Each family subclasses this.
    """

    def encode(
        self, samples: npt.NDArray[np.float32], request: Request, answer: Answer | None = None
    ) -> ModelInput:
        """Encode one clip (16 kHz mono); an answer makes it a training example.

        Raises ValueError for a clip that the model cannot hear, UserError for what it cannot do.
        """
        return self.encode_features(self.features(samples), request, answer)

    def features(self, samples: npt.NDArray[np.float32]) -> torch.Tensor:
        """Return the features of a clip, float32 of shape (frames, mels)."""

    def encode_features(
        self, features: torch.Tensor, request: Request, answer: Answer | None = None
    ) -> ModelInput:
        """Encode a clip from its features, so that they can be kept from epoch to epoch."""

    def num_tokens(self, duration_s: float, request: Request, answer: Answer | None = None) -> int:
        """Return what a clip costs in a batch, in tokens, without reading its audio."""

    def max_new_tokens(self, duration_s: float) -> int:
        """Return the most tokens that an answer to a clip of this length may have."""

    def collate(self, inputs: Sequence[ModelInput]) -> Batch:
        """Make a training batch; `labels` are IGNORE except on targets."""

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of token ids, without special tokens."""

    def parse(self, request: Request, text: str) -> Answer:
        """Split generated text into transcript and translation."""


class SpeechModel(Protocol):
    """A loaded model with its processor."""

    base: str  # what `load` was given for the base: hub id, folder or "builtin:…"

    @property
    def family(self) -> Family: ...

    @property
    def module(self) -> nn.Module: ...

    @property
    def processor(self) -> Processor: ...

    @property
    def clip_limits(self) -> ClipLimits:
        """Those of its family, and the longest clip that it was trained on."""

    @property
    def device(self) -> torch.device: ...

    @property
    def feature_fill(self) -> torch.Tensor:
        """Value of masked features (SpecAugment), float32 of shape (mels,) on the CPU."""

    def part_of(self, parameter_name: str) -> str:
        """Return the part that a parameter belongs to ("audio encoder", LORA, …)."""

    def parts_of_mode(self, mode: str) -> frozenset[str]:
        """Return the parts that a training mode, or a sum of modes, trains."""

    def add_lora(
        self, *, r: int, alpha: float, dropout: float, seed: int, mode: str = "lora"
    ) -> None:
        """Add a fresh LoRA to the layers that a mode adapts, or keep the one of the base."""

    def checkpoint_layers(self) -> None:
        """Recompute activations in the backward pass, those of the encoder included."""

    def num_targets(self, batch: Batch) -> int:
        """Return the number of target tokens in a batch of `collate`."""

    def loss(
        self, batch: Batch, num_targets: float, *, module: nn.Module | None = None
    ) -> torch.Tensor:
        """Return the cross-entropy summed over the batch's targets, divided by `num_targets`.

        `module` takes the place of `self.module`: its wrapper for several processes.
        """

    def row_losses(self, batch: Batch) -> torch.Tensor:
        """Return the mean cross-entropy of each row's target tokens, in nats, shape (rows,)."""

    def generate(
        self,
        inputs: Sequence[ModelInput],
        limits: Sequence[int],
        *,
        beams: int = 1,
        watch: Watch | None = None,
    ) -> list[Generated]:
        """Generate an answer to each prompt, in order; the batch must leave no trace.

        Args:
            limits: most new tokens of each answer.
            beams: 1 is greedy.
            watch: see `Watch`; greedy decoding only.
        """

    def align(
        self, inputs: Sequence[ModelInput], tokens: Sequence[Sequence[int]]
    ) -> list[list[tuple[float, float]]]:
        """Return from when to when each token that was generated is spoken, in seconds of its clip.

        Args:
            tokens: of each prompt, as `Generated` has them.

        Raises UserError where the family cannot tell.
        """

    def save(self, folder: Path, *, trained: Sequence[str], about: Mapping[str, Any]) -> None:
        """Write what differs from the base (the named parameters) so that `load` finds it."""
