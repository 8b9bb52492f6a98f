"""Prompts, targets and batches of Whisper, built as token ids.

The tokenizer's own special tokens are never added: a prompt is put together here, once, so that
no start token is doubled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerBase, WhisperFeatureExtractor

from soritune.errors import UserError
from soritune.models.speech_model import IGNORE, Batch, ModelInput, Processor
from soritune.models.tokenizers import special_ids, text_ids
from soritune.models.whisper import constants as c
from soritune.models.whisper import prompts
from soritune.models.whisper.features import fill_window, log_mel
from soritune.tasks import Answer, Request, Task

DETECT = -1
"""In a prompt: the model is to find out which language is spoken."""


@dataclass(frozen=True)
class TokenIds:
    """Ids of the special tokens.

    Attributes:
        end: also the padding token of every published checkpoint, so it must not mark padding.
        languages: by code in the token; empty in a checkpoint that knows English only.
        previous: begins what was said before; None where the tokenizer has no such token.
    """

    start: int
    end: int
    no_timestamps: int
    tasks: Mapping[Task, int]
    languages: Mapping[str, int]
    previous: int | None


class WhisperProcessor(Processor):
    """Turns clips and text into model inputs and token ids into text.

    `language` is the language of a clip where the request names none: the one that the model was
    trained for. None: the model detects it.

    Raises UserError where the tokenizer lacks one of the family's special tokens.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        extractor: WhisperFeatureExtractor,
        *,
        multilingual: bool,
        max_positions: int,
    ) -> None:
        self.tokenizer = tokenizer
        self.extractor = extractor
        self.max_positions = max_positions
        self.language: str | None = None
        vocabulary = tokenizer.get_vocab()
        languages = {code: vocabulary.get(f"<|{code}|>") for code in sorted(c.LANGUAGES)}
        start, end, no_timestamps, asr, ast = special_ids(
            tokenizer,
            "Whisper",
            c.START_TOKEN,
            c.END_TOKEN,
            c.NO_TIMESTAMPS_TOKEN,
            c.TRANSCRIBE_TOKEN,
            c.TRANSLATE_TOKEN,
        )
        self.ids = TokenIds(
            start=start,
            end=end,
            no_timestamps=no_timestamps,
            tasks={Task.ASR: asr, Task.AST: ast},
            languages={
                code: index
                for code, index in languages.items()
                if multilingual and index is not None
            },
            previous=vocabulary.get(c.PREVIOUS_TOKEN),
        )

    def prompt_ids(self, request: Request) -> list[int]:
        """Return the ids that the decoder starts from; DETECT stands for an unknown language.

        Raises UserError where the checkpoint cannot do what is asked.
        """
        prompts.check_request(request)
        return [*self._context_ids(request), *self._task_ids(request)]

    def _context_ids(self, request: Request) -> list[int]:
        """Return the end of what was said before, as openai/whisper has it: half of the decoder."""
        if not request.context:
            return []
        if self.ids.previous is None:
            raise UserError(
                f"this Whisper checkpoint has no token {c.PREVIOUS_TOKEN}: it takes neither a "
                "prompt nor keywords. Leave them out"
            )
        kept = self.max_positions // 2 - 1
        return [self.ids.previous, *text_ids(self.tokenizer, f" {request.context}")[-kept:]]

    def _task_ids(self, request: Request) -> list[int]:
        language = request.source_language or self.language
        if not self.ids.languages:
            if request.task is not Task.ASR or language not in (None, "en"):
                raise UserError(
                    "this Whisper checkpoint transcribes English only. Take a multilingual one "
                    "(a name without .en)"
                )
            return [self.ids.start, self.ids.no_timestamps]
        spoken = DETECT
        if language is not None:
            code = prompts.language_code(language)
            if code not in self.ids.languages:
                raise UserError(
                    f"this Whisper checkpoint has no token <|{code}|>. Take a newer one (yue is "
                    "there from large-v3 on), or a related language"
                )
            spoken = self.ids.languages[code]
        return [self.ids.start, spoken, self.ids.tasks[request.task], self.ids.no_timestamps]

    def target_ids(self, request: Request, answer: Answer) -> list[int]:
        """Return the ids of an answer with the end token.

        Raises UserError where it does not fit into the decoder after the prompt.
        """
        text = prompts.target_text(request, answer)
        ids = text_ids(self.tokenizer, text)
        # The end token is predicted, never read.
        length = len(self.prompt_ids(request)) + len(ids)
        if length > self.max_positions:
            raise UserError(
                f'transcript "{text.strip()[:40]}…": {length} tokens with its prompt, but Whisper '
                f"reads {self.max_positions} at most. Leave the utterance out, or cut it in two"
            )
        return [*ids, self.ids.end]

    def num_tokens(self, duration_s: float, request: Request, answer: Answer | None = None) -> int:
        """Return what a clip costs: the encoder's positions, always of 30 s, and the decoder's."""
        length = c.ENCODER_POSITIONS + len(self.prompt_ids(request))
        return length if answer is None else length + len(self.target_ids(request, answer)) - 1

    def max_new_tokens(self, duration_s: float) -> int:
        """Return the room that the decoder has after the longest prompt, as in transformers."""
        return self.max_positions - 4

    def features(self, samples: npt.NDArray[np.float32]) -> torch.Tensor:
        """Return the features of a clip, shape (frames, mels); see `log_mel`."""
        return log_mel(self.extractor, samples)

    def encode_features(
        self, features: torch.Tensor, request: Request, answer: Answer | None = None
    ) -> ModelInput:
        """As `encode`, for features that were made before."""
        prompt = self.prompt_ids(request)
        if answer is not None and DETECT in prompt:
            raise UserError(
                "an example without a language cannot be trained on: Whisper's prompt names it. "
                "Give the corpus a language"
            )
        target = None if answer is None else self.target_ids(request, answer)
        return ModelInput(features, prompt, target)

    def collate(self, inputs: Sequence[ModelInput]) -> Batch:
        """Make a training batch, padded on the right; masks come from lengths, never from ids.

        Returns tensors: input_features (batch, mels, 3000); decoder_input_ids and labels (batch,
        tokens), of which position t is to be followed by labels[t].
        """
        rows, labels = [], []
        for item in inputs:
            target = item.target_ids or []
            rows.append(torch.tensor(item.prompt_ids + target[:-1]))
            labels.append(torch.tensor([IGNORE] * (len(item.prompt_ids) - 1) + target))
        return {
            "input_features": self.windows(inputs),
            # The decoder is causal: what stands after the last target is never seen.
            "decoder_input_ids": pad_sequence(rows, batch_first=True, padding_value=self.ids.end),
            "labels": pad_sequence(labels, batch_first=True, padding_value=IGNORE),
        }

    def windows(self, inputs: Sequence[ModelInput]) -> torch.Tensor:
        """Return the features of a batch as the encoder takes them, (batch, mels, 3000)."""
        return torch.stack([fill_window(item.features) for item in inputs])

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of generated ids up to the end token.

        The ids of text come before all special ones, timestamps included (openai/whisper does the
        same); a tokenizer may not have timestamps in its vocabulary.
        """
        kept: list[int] = []
        for index in ids:
            if index == self.ids.end:
                break
            if index < self.ids.end:
                kept.append(int(index))
        return str(self.tokenizer.decode(kept)).strip()

    def parse(self, request: Request, text: str) -> Answer:
        """Return generated text as the answer to a request."""
        return prompts.parse(request, text)
