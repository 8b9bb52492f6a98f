"""A loaded Phi-4-multimodal with its processor."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from soritune.models import causal
from soritune.models.family import Batch, Generated, ModelInput
from soritune.models.loaded import LoadedModel
from soritune.models.phi4mm.modeling import Phi4SpeechForCausalLM
from soritune.models.phi4mm.processor import Phi4mmProcessor


class Phi4mm(LoadedModel):
    """Implements `SpeechModel` for Phi-4-multimodal."""

    module: Phi4SpeechForCausalLM
    processor: Phi4mmProcessor

    @property
    def feature_fill(self) -> torch.Tensor:
        """Mean of each mel channel, which the encoder subtracts first; (mels,), on the CPU."""
        mean = self.module.audio_encoder.encoder_embedding.global_mean
        return mean.detach().to("cpu", torch.float32)

    def checkpoint_layers(self) -> None:
        """Recompute activations of LM and conformer layers in the backward pass."""
        self.module.activation_checkpointing_enable({"use_reentrant": False})
        self.module.audio_encoder.gradient_checkpointing = True

    def num_targets(self, batch: Batch) -> int:
        """See `SpeechModel`."""
        return causal.num_targets(batch)

    def loss(
        self, batch: Batch, num_targets: float, *, module: nn.Module | None = None
    ) -> torch.Tensor:
        """See `SpeechModel`."""
        return causal.loss(module or self.module, batch, num_targets)

    def row_losses(self, batch: Batch) -> torch.Tensor:
        """See `SpeechModel`."""
        return causal.row_losses(self.module, batch)

    @torch.inference_mode()
    def generate(
        self, inputs: Sequence[ModelInput], limits: Sequence[int], *, beams: int = 1
    ) -> list[Generated]:
        """See `SpeechModel`."""
        collated = self.processor.collate_prompts(inputs)
        prompts = {name: tensor.to(self.device) for name, tensor in collated.items()}
        # Encoded here, once: in `generate` each beam would be, and each token anew that is the
        # one of a clip.
        mask = prompts.pop("attention_mask")
        embedded = self.module.embed(**prompts)
        ids = self.processor.ids
        rows, logprobs = causal.generate(
            self.module,
            {
                "input_ids": prompts["input_ids"],
                "attention_mask": mask,
                "inputs_embeds": embedded,
            },
            limits,
            end_ids=ids.ends,
            pad_id=ids.pad,
            never_ids=ids.placeholders,
            beams=beams,
        )
        return [
            Generated(self.processor.decode(row), logprob)
            for row, logprob in zip(rows, logprobs, strict=True)
        ]
