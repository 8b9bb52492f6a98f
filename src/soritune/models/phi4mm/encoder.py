"""The native audio encoder, made exact under padding and able to checkpoint its conformer.

The native port adds its boolean padding mask to the attention bias instead of masking with it
and lets padded frames through the convolutional stem, so a clip's encoding depends on what it is
batched with. Here padding is zeroed after every activation of the stem and padded keys get the
smallest value of the dtype: a clip in a batch is encoded as it is alone.

The native port also rounds log-mel features (7 to 25) to the dtype of the weights before it takes
their mean off, which in bfloat16 triples the error of the encoding. Here they are normalised in
float32, by a mean and deviation kept in float32, and rounded afterwards.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers.models.phi4_multimodal.modeling_phi4_multimodal import (
    Phi4MultimodalAudioEmbedding,
    Phi4MultimodalAudioModel,
)

from soritune.models.phi4mm.constants import MAX_AUDIO_TOKENS

# In the names of the tensors that say how features are normalised.
FEATURE_STATISTICS = ".encoder_embedding."


class ExactAudioEncoder(Phi4MultimodalAudioModel):
    """Same weights and names as the native encoder; `install` puts it in place."""

    def forward(
        self, hidden_states: torch.Tensor, mask: torch.Tensor | None, **kwargs: Any
    ) -> torch.Tensor:
        """Encode log-mel features.

        Args:
            hidden_states: features of shape (batch, frames, 80), float32.
            mask: bool of shape (batch, frames), true for real frames; None if all are real.

        Returns:
            Shape (batch, ceil(frames / 8), hidden); rows past a clip's tokens are meaningless.

        Raises:
            ValueError: over 500 tokens (40 s), where the native encoder would cut the audio into
                chunks that do not see each other.
        """
        batch, frames, _ = hidden_states.shape
        tokens = -(-frames // self.config.time_reduction)
        if tokens > MAX_AUDIO_TOKENS:
            raise ValueError(f"{tokens} audio tokens, at most {MAX_AUDIO_TOKENS} (40 s) fit")
        device = hidden_states.device
        if mask is None:
            lengths = torch.full((batch,), frames, device=device)
        else:
            lengths = mask.sum(dim=1).to(device)

        normalised = self.encoder_embedding(hidden_states.float())
        hidden, lengths = self._stem(normalised.to(self.embed.out.weight.dtype), lengths)
        bias = self.relative_attention_bias_layer(hidden)  # (1, heads, tokens, tokens)
        real = torch.arange(hidden.shape[1], device=device)[None, :] < lengths[:, None]
        attention_mask = bias.masked_fill(~real[:, None, None, :], torch.finfo(bias.dtype).min)

        for layer in self.encoders:
            if self.gradient_checkpointing and self.training:
                # The native model checkpoints only its language model.
                hidden = checkpoint(layer, hidden, attention_mask, use_reentrant=False)
            else:
                hidden = layer(hidden, attention_mask)
        return hidden

    def _stem(
        self, features: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Convolutions ÷8 with padding zeroed after the input and after every activation."""
        hidden = _zero_past(features.unsqueeze(1), lengths)
        for module in self.embed.conv:
            hidden = module(hidden)
            if isinstance(module, nn.Conv2d) and module.stride[0] == 2:
                lengths = (lengths + 1) // 2
            elif not isinstance(module, nn.Conv2d):
                hidden = _zero_past(hidden, lengths)
        batch, _, tokens, _ = hidden.shape
        return self.embed.out(hidden.transpose(1, 2).reshape(batch, tokens, -1)), lengths


def _zero_past(hidden: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Zero (batch, channels, time, frequency) at and past each row's length."""
    real = torch.arange(hidden.shape[2], device=hidden.device)[None, :] < lengths[:, None]
    return hidden * real[:, None, :, None].to(hidden.dtype)


class ExactAudioEmbedding(Phi4MultimodalAudioEmbedding):
    """The native embedding of clips, which hands the encoder its features as they are."""

    def forward(  # type: ignore[override]
        self,
        input_ids: torch.Tensor,
        inputs_embeds: torch.Tensor,
        audio_input_features: torch.Tensor,
        audio_embed_sizes: torch.Tensor,
        audio_attention_mask: torch.Tensor | None = None,
        audio_projection_mode: str = "speech",
    ) -> torch.Tensor:
        """Return `inputs_embeds` (batch, tokens, hidden) with the clips at their audio tokens."""
        assert audio_projection_mode == "speech", "there are no images here"
        features = audio_input_features.to(self.up_proj_for_speech.weight.device)
        # While the projector alone trains, it is in float32 and the encoder is not.
        encoded = self.encoder(features, audio_attention_mask).to(self.up_proj_for_speech.weight)
        clips = self.down_proj_for_speech(nn.functional.gelu(self.up_proj_for_speech(encoded)))
        sizes = audio_embed_sizes.tolist()
        values = torch.cat([clip[:size] for clip, size in zip(clips, sizes, strict=True)])
        audio: Any = self.config.audio_config
        places = torch.where(input_ids == audio.audio_token_id)
        # Autocast promotes what index_put takes to unequal dtypes.
        with torch.autocast(inputs_embeds.device.type, enabled=False):
            embedded = inputs_embeds.index_put(places, values.to(inputs_embeds))
        result: torch.Tensor = self.drop(embedded)
        return result


def install(embedding: Phi4MultimodalAudioEmbedding) -> None:
    """Give a native embedding and its encoder the exact forwards, in place.

    Weights and names stay as they are.
    """
    embedding.__class__ = ExactAudioEmbedding
    embedding.encoder.__class__ = ExactAudioEncoder
