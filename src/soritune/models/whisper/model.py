"""A loaded Whisper with its processor: loss and generation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from transformers import GenerationMixin
from transformers.modeling_outputs import BaseModelOutput

from soritune.models.alignment import Looks, Span, token_spans
from soritune.models.encoder_decoder import EncoderDecoderModel
from soritune.models.generation import generate_ids
from soritune.models.record import read_record
from soritune.models.speech_model import Batch, Generated, ModelInput, Watch
from soritune.models.whisper import constants as c
from soritune.models.whisper.processor import DETECT


@dataclass
class Whisper(EncoderDecoderModel):
    """Implements `SpeechModel` for Whisper.

    Attributes:
        alignment_heads: layers and heads of the decoder that follow the sound, as the checkpoint
            names them; empty where it does not.
    """

    alignment_heads: tuple[tuple[int, int], ...] = ()

    @property
    def feature_fill(self) -> torch.Tensor:
        """Zero, near the mean of the features and what transformers masks with; (mels,)."""
        return torch.zeros(self.module.config.num_mel_bins)

    def checkpoint_layers(self) -> None:
        """Recompute activations of all layers in the backward pass, which excludes a cache."""
        self.module.activation_checkpointing_enable({"use_reentrant": False})
        self.module.config.use_cache = False  # the call does not tell the encoder

    def row_losses(self, batch: Batch) -> torch.Tensor:
        """See `SpeechModel`."""
        windows = batch["input_features"].to(self._encoder_dtype)
        return super().row_losses(batch | {"input_features": windows})

    @property
    def _encoder_dtype(self) -> torch.dtype:
        dtype: torch.dtype = self.module.model.encoder.conv1.weight.dtype
        return dtype

    @torch.inference_mode()
    def generate(
        self,
        inputs: Sequence[ModelInput],
        limits: Sequence[int],
        *,
        beams: int = 1,
        watch: Watch | None = None,
    ) -> list[Generated]:
        """See `SpeechModel`.

        Whisper's own `generate` is left out: it cuts long recordings into windows and sets
        languages and tasks for a whole batch.
        """
        encoder = self.module.model.encoder
        windows = self.processor.windows(inputs).to(self.device, self._encoder_dtype)
        encoded = encoder(windows).last_hidden_state
        prompts = torch.tensor([item.prompt_ids for item in inputs], device=self.device)
        prompts = self._with_languages(prompts, encoded)
        length = prompts.shape[1]
        end = self.processor.ids.end
        written = generate_ids(
            partial(
                GenerationMixin.generate,
                self.module,
                encoder_outputs=BaseModelOutput(last_hidden_state=encoded),
            ),
            # The encoder hears all of its window; transformers warns where no mask says so.
            {
                "decoder_input_ids": prompts,
                "attention_mask": torch.ones(encoded.shape[:2], device=self.device),
            },
            prompt_length=length,
            limits=[min(limit, self.processor.max_positions - length) for limit in limits],
            end_ids=[end],
            pad_id=end,
            beams=beams,
            show=self.show(watch),
        )
        return self.answers(written)

    @torch.inference_mode()
    def align(
        self, inputs: Sequence[ModelInput], tokens: Sequence[Sequence[int]]
    ) -> list[list[Span]]:
        """See `SpeechModel`: cross-attention of the steps that write, over the frames of sound."""
        windows = self.processor.windows(inputs).to(self.device, self._encoder_dtype)
        encoded = self.module.model.encoder(windows).last_hidden_state
        prompts = torch.tensor([item.prompt_ids for item in inputs], device=self.device)
        prompts = self._with_languages(prompts, encoded)
        before = prompts.shape[1] - 1  # the position that writes the first token
        longest = max(map(len, tokens))
        written = torch.full((len(tokens), longest), self.processor.ids.end)
        for row, ids in zip(written, tokens, strict=True):
            row[: len(ids)] = torch.tensor(ids)
        looks = Looks(
            [layer.encoder_attn for layer in self.module.model.decoder.layers],
            [range(before, before + len(ids)) for ids in tokens],
        )
        with looks.kept():
            self.module.model.decoder(
                input_ids=torch.cat([prompts, written[:, :-1].to(prompts)], dim=1),
                encoder_hidden_states=encoded,
                use_cache=False,
            )
        spans = []
        for clip, item in enumerate(inputs):
            frames = max(1, len(item.features) // c.FRAMES_PER_POSITION)
            weights = looks.weights(clip)[..., :frames]
            spans.append(token_spans(weights, c.POSITION_S, self.alignment_heads))
        return spans

    def _with_languages(self, prompts: torch.Tensor, encoded: torch.Tensor) -> torch.Tensor:
        """Return prompts in which the model has put the language of the rows that name none."""
        unknown = prompts == DETECT
        if not unknown.any():
            return prompts
        languages = torch.tensor(
            sorted(self.processor.ids.languages.values()), device=prompts.device
        )
        logits = self.module(
            encoder_outputs=BaseModelOutput(last_hidden_state=encoded),
            # The start token, without what a prompt says: it may be in another language.
            decoder_input_ids=torch.full_like(prompts[:, :1], self.processor.ids.start),
            use_cache=False,
        ).logits[:, -1, languages]
        return torch.where(unknown, languages[logits.argmax(dim=-1)][:, None], prompts)

    def load_trained(self, folder: Path, *, with_lora: bool = True) -> None:
        """See `LoadedModel`. The language that was trained is taken where a request names none."""
        super().load_trained(folder, with_lora=with_lora)
        record = read_record(folder) or {}
        self.processor.language = record.get("language", self.processor.language)
