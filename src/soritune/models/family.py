"""What a speech LLM must offer so that the other rooms can train, decode and save it.

A new model is a folder beside `phi4mm/` with the same file names and one line in `__init__.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import nn


@dataclass(frozen=True)
class ModelInput:
    """One clip ready for a batch."""

    features: torch.Tensor  # (frames, mels), float32
    prompt_ids: list[int]
    target_ids: list[int] | None = None


class Processor(Protocol):
    """Clips and words to model inputs, token ids to words."""

    def encode(
        self, samples: npt.NDArray[np.float32], instruction: str, target: str | None = None
    ) -> ModelInput: ...

    def features(self, samples: npt.NDArray[np.float32]) -> torch.Tensor: ...

    def encode_features(
        self, features: torch.Tensor, instruction: str, target: str | None = None
    ) -> ModelInput: ...

    def num_tokens(self, duration_s: float, instruction: str, target: str | None = None) -> int: ...

    def max_new_tokens(self, duration_s: float) -> int: ...

    def collate(self, inputs: Sequence[ModelInput]) -> dict[str, torch.Tensor]: ...

    def collate_prompts(self, inputs: Sequence[ModelInput]) -> dict[str, torch.Tensor]: ...

    def decode(self, ids: Iterable[int]) -> str: ...


class SpeechModel(Protocol):
    """A loaded model with its processor."""

    family: str
    base: str  # what `load` was given for the base: hub id, folder or "builtin:…"

    @property
    def module(self) -> nn.Module: ...

    @property
    def processor(self) -> Processor: ...

    @property
    def end_token_ids(self) -> tuple[int, ...]: ...

    @property
    def pad_token_id(self) -> int: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def feature_mean(self) -> torch.Tensor:
        """What the model takes off its features, float32 of shape (mels,) on the CPU."""
        ...

    def part_of(self, parameter_name: str) -> str:
        """The named part that a parameter belongs to ("audio encoder", "speech LoRA", …)."""
        ...

    def parts_of_mode(self, mode: str) -> frozenset[str]:
        """Parts that a training mode sets free."""
        ...

    def add_lora(self, *, r: int, alpha: int, dropout: float, seed: int) -> None:
        """Put a fresh speech LoRA on the language model, or keep the base's own if it has one."""
        ...

    def checkpoint_layers(self) -> None:
        """Recompute activations in the backward pass, encoder included."""
        ...

    def save(self, folder: Path, *, trained: Sequence[str], about: Mapping[str, Any]) -> None:
        """Write what differs from the base (the named parameters) so that `load` finds it."""
        ...
