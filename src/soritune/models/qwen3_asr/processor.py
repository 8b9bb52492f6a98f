"""Prompts, targets and batches of Qwen3-ASR, built as token ids.

The checkpoint's chat template gives the prompt: a system turn without text, the user's turn with
one audio token per 80 ms or less, and the beginning of the assistant's turn. The target is the
transcript and `<|im_end|>`; only it is supervised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedTokenizerBase

from soritune.errors import UserError
from soritune.models.causal import CausalProcessor
from soritune.models.qwen3_asr import constants as c
from soritune.models.qwen3_asr import prompts
from soritune.models.qwen3_asr.features import log_mel
from soritune.models.speech_model import Batch, ModelInput
from soritune.models.tokenizers import rendered, special_ids, text_ids
from soritune.tasks import Answer, Request

_MESSAGES: list[dict[str, Any]] = [{"role": "user", "content": [{"type": "audio"}]}]
_PLACE = "CONTEXT-STANDS-HERE"
_CONTEXT: dict[str, Any] = {"role": "system", "content": [{"type": "text", "text": _PLACE}]}


@dataclass(frozen=True)
class TokenIds:
    """Ids of the special tokens.

    Attributes:
        ends: a transcript is trained with the first one; generation ends with any.
        pad: an end token too, so nothing may be told by it.
        timestamp: where an aligner of the same tokenizer puts a time; plain text to `decode`.
    """

    audio: int
    ends: tuple[int, int]
    timestamp: int | None

    @property
    def pad(self) -> int:
        """Id of padding."""
        return self.ends[0]

    @property
    def placeholders(self) -> tuple[int, ...]:
        """Ids that stand for sounds or times, never those of an answer."""
        return (self.audio,) if self.timestamp is None else (self.audio, self.timestamp)


class Qwen3AsrProcessor(CausalProcessor):
    """Turns clips and text into model inputs and token ids into text.

    Raises UserError where the tokenizer lacks one of the family's special tokens or its template.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        audio, *ends, _ = special_ids(
            tokenizer,
            "Qwen3-ASR",
            c.AUDIO_TOKEN,
            c.END_TOKEN,
            c.DOCUMENT_END_TOKEN,
            c.TEXT_TOKEN,
        )
        timestamp = tokenizer.get_vocab().get(c.TIMESTAMP_TOKEN)
        self.ids = TokenIds(audio, (ends[0], ends[1]), timestamp)
        if tokenizer.chat_template is None:
            raise UserError(
                "the tokenizer has no chat template. Take chat_template.jinja from the base "
                "model's folder"
            )
        self._turns = rendered(tokenizer, _MESSAGES)
        self._prompts: dict[str, tuple[list[int], list[int]]] = {}

    def prompt_ids(self, request: Request, num_audio_tokens: int) -> list[int]:
        """Return the ids of the prompt for one clip. Raises UserError for an unknown request."""
        prompts.check_request(request)
        prefill = prompts.prefill(request)
        if prefill not in self._prompts:  # there are few
            ids = self.tokenizer.encode(self._turns + prefill, add_special_tokens=False)
            place = ids.index(self.ids.audio)
            self._prompts[prefill] = (ids[:place], ids[place + 1 :])
        before, after = self._prompts[prefill]
        if request.context:
            before = self._context_ids(request.context)
        return [*before, *[self.ids.audio] * num_audio_tokens, *after]

    def _context_ids(self, context: str) -> list[int]:
        """Return the ids before the sound where the system turn says what it is about.

        What looks like a special token in it stays plain text.
        """
        turns = rendered(self.tokenizer, [_CONTEXT, *_MESSAGES])
        head, place, tail = turns.partition(_PLACE)
        if not place:
            raise UserError(
                "the chat template of this Qwen3-ASR has no system turn: it takes neither a prompt "
                "nor keywords. Leave them out"
            )
        first, last = (self.tokenizer.encode(t, add_special_tokens=False) for t in (head, tail))
        return [*first, *text_ids(self.tokenizer, context), *last[: last.index(self.ids.audio)]]

    def target_ids(self, request: Request, answer: Answer) -> list[int]:
        """Return the ids of a transcript with the end token."""
        return [*text_ids(self.tokenizer, prompts.target_text(request, answer)), self.ids.ends[0]]

    def num_tokens(self, duration_s: float, request: Request, answer: Answer | None = None) -> int:
        """Return the length of the sequence that a clip makes, without reading its audio."""
        frames = c.num_frames(round(duration_s * c.SAMPLE_RATE_HZ))
        length = len(self.prompt_ids(request, c.num_audio_tokens(frames)))
        return length if answer is None else length + len(self.target_ids(request, answer))

    def features(self, samples: npt.NDArray[np.float32]) -> torch.Tensor:
        """Return the features of a clip, shape (frames, mels); see `log_mel`."""
        return log_mel(samples)

    def encode_features(
        self, features: torch.Tensor, request: Request, answer: Answer | None = None
    ) -> ModelInput:
        """As `encode`, for features that were made before."""
        return ModelInput(
            features,
            self.prompt_ids(request, c.num_audio_tokens(len(features))),
            None if answer is None else self.target_ids(request, answer),
        )

    def collate_audio(self, inputs: Sequence[ModelInput]) -> Batch:
        """Return features padded with zeros, as transformers pads a clip alone.

        The convolutions see what follows a clip in its last chunk, so it must be the same in every
        batch.
        """
        lengths = torch.tensor([len(item.features) for item in inputs])
        chunks = -(-int(lengths.max()) // c.CHUNK_FRAMES)
        padded = torch.zeros(len(inputs), c.MELS, chunks * c.CHUNK_FRAMES)
        for row, item in zip(padded, inputs, strict=True):
            row[:, : len(item.features)] = item.features.T
        mask = torch.arange(padded.shape[2])[None, :] < lengths[:, None]
        return {"input_features": padded, "input_features_mask": mask.long()}

    def parse(self, request: Request, text: str) -> Answer:
        """Return generated text as the answer to a request."""
        return prompts.parse(text)
