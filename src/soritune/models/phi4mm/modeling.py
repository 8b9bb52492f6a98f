"""Phi-4-multimodal for speech: the native model without its vision tower, encoder exact."""

from __future__ import annotations

from typing import Any

import torch
from transformers import Phi4MultimodalForCausalLM
from transformers.models.phi4_multimodal.configuration_phi4_multimodal import Phi4MultimodalConfig

from soritune.models import attention
from soritune.models.phi4mm import encoder

NATIVE_ARCHITECTURE = "Phi4MultimodalForCausalLM"

# In the encoder flex attention would take the bias of head 0 for all heads, and flash attention
# none at all.
ATTENTION = {"": attention.ATTENTION, "audio_config": attention.ATTENTION, "vision_config": "eager"}


class Phi4SpeechForCausalLM(Phi4MultimodalForCausalLM):
    """The native model with the vision tower absent and the encoder exact under padding.

    Tensor names are the native ones, so the weights of a native checkpoint load as they are; those
    of the vision tower are dropped by name.
    """

    _keys_to_ignore_on_load_unexpected = [r"embed_tokens_extend\.image_embed\."]  # noqa: RUF012

    def __init__(self, config: Phi4MultimodalConfig, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        extend = self.model.embed_tokens_extend
        extend.image_embed = None
        encoder.install(extend.audio_embed)

    @property
    def audio_encoder(self) -> encoder.ExactAudioEncoder:
        """The conformer encoder (without the projector)."""
        audio_encoder: encoder.ExactAudioEncoder = (
            self.model.embed_tokens_extend.audio_embed.encoder
        )
        return audio_encoder

    def embed(
        self,
        input_ids: torch.Tensor,
        audio_input_features: torch.Tensor,
        audio_attention_mask: torch.Tensor,
        audio_embed_sizes: torch.Tensor,
    ) -> torch.Tensor:
        """Return what the language model reads for prompts and clips, (batch, tokens, hidden)."""
        embedded: torch.Tensor = self.model.embed_tokens_extend(
            input_ids,
            self.model.embed_tokens(input_ids),
            audio_input_features=audio_input_features,
            audio_attention_mask=audio_attention_mask,
            audio_embed_sizes=audio_embed_sizes,
        )
        return embedded
