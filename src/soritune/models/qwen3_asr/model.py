"""A loaded Qwen3-ASR with its processor."""

from __future__ import annotations

import torch

from soritune.models.causal import CausalModel
from soritune.models.qwen3_asr import constants as c
from soritune.models.speech_model import Batch


class Qwen3Asr(CausalModel):
    """Implements `SpeechModel` for Qwen3-ASR."""

    @property
    def feature_fill(self) -> torch.Tensor:
        """Zero, what follows a clip in its last chunk; (mels,)."""
        return torch.zeros(c.MELS)

    def embed(self, prompts: Batch) -> torch.Tensor:
        """See `CausalModel`."""
        model, ids = self.module.model, prompts["input_ids"]
        text = model.get_input_embeddings()(ids)
        sound = model.get_audio_features(
            prompts["input_features"], prompts["input_features_mask"], return_dict=True
        ).pooler_output
        places = model.get_placeholder_mask(ids, inputs_embeds=text, audio_features=sound)
        embedded: torch.Tensor = text.masked_scatter(places, sound.to(text))
        return embedded

    def checkpoint_layers(self) -> None:
        """Recompute activations of all layers, the encoder's included, in the backward pass."""
        self.module.activation_checkpointing_enable({"use_reentrant": False})
