"""Phi-4-multimodal for speech: the native model without its vision tower, encoder exact."""

from __future__ import annotations

from typing import Any

from transformers import Phi4MultimodalForCausalLM
from transformers.models.phi4_multimodal.configuration_phi4_multimodal import Phi4MultimodalConfig

from soritune.models.phi4mm import encoder

NATIVE_ARCHITECTURE = "Phi4MultimodalForCausalLM"

# Attention of the LM is free to choose; in the encoder flex attention takes the bias of head 0
# for all heads and flash attention takes none at all, so there it is always SDPA.
ATTENTION = {"": "sdpa", "audio_config": "sdpa", "vision_config": "eager"}


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
        encoder.install(extend.audio_embed.encoder)

    @property
    def audio_encoder(self) -> encoder.ExactAudioEncoder:
        """The conformer encoder (without the projector)."""
        audio_encoder: encoder.ExactAudioEncoder = (
            self.model.embed_tokens_extend.audio_embed.encoder
        )
        return audio_encoder
