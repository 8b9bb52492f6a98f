"""Prompts, targets and batches of Phi-4-multimodal, built as token ids.

One prompt form for training and inference:
`<|user|>` + one audio token per 80 ms + instruction + `<|end|><|assistant|>`, then the target
+ `<|end|><|endoftext|>`. Only the target is supervised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerBase

from soritune.models.causal import CausalProcessor
from soritune.models.phi4mm import constants as c
from soritune.models.phi4mm import prompts
from soritune.models.phi4mm.features import log_mel
from soritune.models.speech_model import Batch, ModelInput
from soritune.models.tokenizers import special_ids, text_ids
from soritune.tasks import Answer, Request


@dataclass(frozen=True)
class _SpecialIds:
    """Ids of special tokens; `placeholders` are those of sounds and images, never an answer's."""

    user: int
    assistant: int
    audio: int
    ends: tuple[int, ...]
    pad: int
    placeholders: tuple[int, ...]


class Phi4mmProcessor(CausalProcessor):
    """Turns clips and text into model inputs and token ids into text.

    Raises UserError where the tokenizer lacks one of the family's special tokens.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        user, assistant, audio, *ends = special_ids(
            tokenizer,
            "Phi-4-multimodal",
            c.USER_TOKEN,
            c.ASSISTANT_TOKEN,
            c.AUDIO_TOKEN,
            *c.END_TOKENS,
        )
        # Asked once: the official one's 200,000 tokens take half a second each time.
        vocabulary = tokenizer.get_vocab()
        self.ids = _SpecialIds(
            user,
            assistant,
            audio,
            ends=tuple(ends),
            pad=ends[-1],
            placeholders=tuple(
                vocabulary[token] for token in (c.AUDIO_TOKEN, c.IMAGE_TOKEN) if token in vocabulary
            ),
        )
        self._instructions: dict[str, list[int]] = {}

    def text_ids(self, text: str) -> list[int]:
        """Return the token ids of plain text; what looks like a special token stays plain text."""
        return text_ids(self.tokenizer, text)

    def instruction_ids(self, instruction: str) -> list[int]:
        """Return the ids of an instruction; the few that exist are encoded once."""
        if instruction not in self._instructions:
            self._instructions[instruction] = self.text_ids(instruction)
        return self._instructions[instruction]

    def prompt_ids(self, instruction: str, num_audio_tokens: int) -> list[int]:
        """Return the ids of the prompt for one clip."""
        return [
            self.ids.user,
            *[self.ids.audio] * num_audio_tokens,
            *self.instruction_ids(instruction),
            self.ids.ends[0],
            self.ids.assistant,
        ]

    def target_ids(self, request: Request, answer: Answer) -> list[int]:
        """Return the ids of an answer with both end tokens."""
        return [*self.text_ids(prompts.target_text(request, answer)), *self.ids.ends]

    def num_tokens(self, duration_s: float, request: Request, answer: Answer | None = None) -> int:
        """Return the length of the sequence that a clip makes, without reading its audio."""
        audio = c.num_audio_tokens(round(duration_s * c.SAMPLE_RATE_HZ))
        length = audio + len(self.instruction_ids(prompts.instruction(request))) + 3
        return length if answer is None else length + len(self.target_ids(request, answer))

    def encode(
        self,
        samples: npt.NDArray[np.float32],
        request: Request,
        answer: Answer | None = None,
    ) -> ModelInput:
        """Encode one clip (16 kHz mono, at least 400 samples); an answer makes it an example.

        Raises ValueError for a clip under 25 ms or over 40 s.
        """
        if c.num_audio_tokens(len(samples)) > c.MAX_AUDIO_TOKENS:
            raise ValueError(f"clip of {len(samples) / c.SAMPLE_RATE_HZ:.1f} s is over 40 s")
        return super().encode(samples, request, answer)

    def features(self, samples: npt.NDArray[np.float32]) -> torch.Tensor:
        """Return the features of one clip, shape (frames, 80); see `log_mel`."""
        return log_mel(samples)

    def encode_features(
        self, features: torch.Tensor, request: Request, answer: Answer | None = None
    ) -> ModelInput:
        """Encode as `encode` does, from features that were made before."""
        num_tokens = -(-len(features) // c.FRAMES_PER_TOKEN)
        return ModelInput(
            features=features,
            prompt_ids=self.prompt_ids(prompts.instruction(request), num_tokens),
            target_ids=None if answer is None else self.target_ids(request, answer),
        )

    def collate_audio(self, inputs: Sequence[ModelInput]) -> Batch:
        features = [item.features for item in inputs]
        frames = torch.tensor([len(f) for f in features])
        padded = pad_sequence(features, batch_first=True)
        return {
            "audio_input_features": padded,
            "audio_attention_mask": torch.arange(padded.shape[1])[None, :] < frames[:, None],
            "audio_embed_sizes": -(-frames // c.FRAMES_PER_TOKEN),
        }

    def parse(self, request: Request, text: str) -> Answer:
        """Split generated text into transcript and translation."""
        return prompts.parse(request, text)
