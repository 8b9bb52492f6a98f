"""A loaded Phi-4-multimodal with its processor."""

from __future__ import annotations

import torch

from soritune.models.causal import CausalModel
from soritune.models.phi4mm.modeling import Phi4SpeechForCausalLM
from soritune.models.phi4mm.processor import Phi4mmProcessor
from soritune.models.speech_model import Batch


class Phi4mm(CausalModel):
    """Implements `SpeechModel` for Phi-4-multimodal."""

    module: Phi4SpeechForCausalLM
    processor: Phi4mmProcessor

    @property
    def feature_fill(self) -> torch.Tensor:
        """Mean of each mel channel, which the encoder subtracts first; (mels,), on the CPU."""
        mean = self.module.audio_encoder.encoder_embedding.global_mean
        return mean.detach().to("cpu", torch.float32)

    def embed(self, prompts: Batch) -> torch.Tensor:
        """See `CausalModel`."""
        return self.module.embed(
            prompts["input_ids"],
            prompts["audio_input_features"],
            prompts["audio_attention_mask"],
            prompts["audio_embed_sizes"],
        )

    def checkpoint_layers(self) -> None:
        """Recompute activations of LM and conformer layers in the backward pass."""
        self.module.activation_checkpointing_enable({"use_reentrant": False})
        self.module.audio_encoder.gradient_checkpointing = True
