"""A loaded Qwen3-ASR with its processor."""

from __future__ import annotations

import torch

from soritune.models.causal import CausalModel
from soritune.models.qwen3_asr import constants as c


class Qwen3Asr(CausalModel):
    """Implements `SpeechModel` for Qwen3-ASR."""

    @property
    def feature_fill(self) -> torch.Tensor:
        """Zero, what follows a clip in its last chunk; (mels,)."""
        return torch.zeros(c.MELS)

    def checkpoint_layers(self) -> None:
        """Recompute activations of all layers, the encoder's included, in the backward pass."""
        self.module.activation_checkpointing_enable({"use_reentrant": False})
