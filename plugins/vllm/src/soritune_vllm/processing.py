"""From clips and prompts to what the model takes: log-mel features and one token per 80 ms."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from transformers import BatchFeature
from vllm.config.multimodal import MultiModalDummyOptions
from vllm.inputs import MultiModalDataDict
from vllm.multimodal.inputs import MultiModalFieldConfig, MultiModalKwargsItems
from vllm.multimodal.parse import AudioProcessorItems, MultiModalDataItems, MultiModalDataParser
from vllm.multimodal.processing import (
    BaseDummyInputsBuilder,
    BaseMultiModalProcessor,
    BaseProcessingInfo,
    PromptReplacement,
    PromptUpdate,
)
from vllm.multimodal.processing.processor import MultiModalPromptUpdates, PlaceholderFeaturesInfo

from soritune_vllm.soritune.models.phi4mm import constants
from soritune_vllm.soritune.models.phi4mm.features import log_mel
from soritune_vllm.soritune.models.tokenizers import special_ids

# What a client writes, and vLLM puts before a text without it, with a newline after it.
_PLACEHOLDER = re.compile(r"<\|audio_(\d+)\|>\n?")
FEATURES = "audio_features"


def placeholder(number: int) -> str:
    """Return what stands for clip `number`, counted from 1, in the text of a chat."""
    return f"<|audio_{number}|>"


class SpeechInfo(BaseProcessingInfo):
    """What vLLM asks about the model's inputs before it reads any."""

    def get_supported_mm_limits(self) -> Mapping[str, int | None]:
        """Any number of clips in a prompt, nothing else."""
        return {"audio": None}

    def get_data_parser(self) -> MultiModalDataParser:
        """Clips become 16 kHz mono, resampled as soritune does it.

        The default method needs torchaudio and answers HTTP 500 without it.
        """
        return MultiModalDataParser(
            target_sr=constants.SAMPLE_RATE_HZ,
            target_channels=1,
            audio_resample_method="soxr",
            expected_hidden_size=self._get_expected_hidden_size(),
        )

    @property
    def audio_token_id(self) -> int:
        """Of the tokenizer, since a small model has another vocabulary than the official one."""
        (found,) = special_ids(self.get_tokenizer(), "Phi-4-multimodal", constants.AUDIO_TOKEN)
        return found


class SpeechDummyInputs(BaseDummyInputsBuilder[SpeechInfo]):
    """The largest inputs, by which vLLM measures the memory it needs."""

    def get_dummy_text(self, mm_counts: Mapping[str, int]) -> str:
        """One audio token for each clip."""
        return constants.AUDIO_TOKEN * mm_counts.get("audio", 0)

    def get_dummy_mm_data(
        self,
        seq_len: int,
        mm_counts: Mapping[str, int],
        mm_options: MultiModalDummyOptions,
    ) -> MultiModalDataDict:
        """Clips of 40 s, the longest that the encoder takes in one piece."""
        frames = constants.MAX_AUDIO_TOKENS * constants.FRAMES_PER_TOKEN
        return {
            "audio": self._get_dummy_audios(
                length=(frames - 1) * constants.HOP_SAMPLES + constants.WINDOW_SAMPLES,
                num_audios=mm_counts.get("audio", 0),
                overrides=mm_options.get("audio"),
            )
        }


class SpeechProcessor(BaseMultiModalProcessor[SpeechInfo]):
    """Log-mel features and the prompt of training."""

    def _call_hf_processor(
        self, hf_data: Mapping[str, object], hf_kwargs: Mapping[str, object]
    ) -> BatchFeature:
        clips = hf_data.get("audio") or []
        assert isinstance(clips, Sequence)
        return BatchFeature({FEATURES: [_features(clip) for clip in clips]})

    def _get_mm_fields_config(
        self, hf_inputs: BatchFeature, hf_processor_mm_kwargs: Mapping[str, object]
    ) -> Mapping[str, MultiModalFieldConfig]:
        return {FEATURES: MultiModalFieldConfig.batched("audio")}

    def _postprocess_prompt(self, prompt: list[int]) -> list[int]:
        """Put the audio token where a placeholder stands, so that the prompt is that of training.

        Raises ValueError where the placeholders are not numbered in their order.
        """
        tokenizer = self.info.get_tokenizer()
        text = tokenizer.decode(prompt, skip_special_tokens=False)
        numbers = [int(number) for number in _PLACEHOLDER.findall(text)]
        if not numbers:
            return prompt
        if numbers != list(range(1, len(numbers) + 1)):
            raise ValueError(
                f"the prompt names the clips {numbers}: number {placeholder(1)}, {placeholder(2)} "
                "and so on in the order of the clips"
            )
        text = _PLACEHOLDER.sub(constants.AUDIO_TOKEN, text)
        return list(tokenizer.encode(text, add_special_tokens=False))

    def _apply_prompt_updates(
        self, token_ids: list[int], mm_prompt_updates: MultiModalPromptUpdates
    ) -> tuple[list[int], Mapping[str, list[PlaceholderFeaturesInfo]]]:
        """Put clips in their places. Raises ValueError where there are not as many as clips.

        The audio token can be typed, and would be taken for the place of a clip.
        """
        places = token_ids.count(self.info.audio_token_id)
        clips = len(mm_prompt_updates.get("audio", []))
        if places != clips:
            raise ValueError(
                f"the prompt has {places} places for {clips} clip{'' if clips == 1 else 's'}: "
                f"write {placeholder(1)} and so on once for each, or none, and never "
                f"{constants.AUDIO_TOKEN}"
            )
        return super()._apply_prompt_updates(token_ids, mm_prompt_updates)

    def _get_prompt_updates(
        self,
        mm_items: MultiModalDataItems,
        hf_processor_mm_kwargs: Mapping[str, Any],
        out_mm_kwargs: MultiModalKwargsItems,
    ) -> Sequence[PromptUpdate]:
        token = self.info.audio_token_id

        def tokens(index: int) -> list[int]:
            clips = mm_items.get_items("audio", AudioProcessorItems)
            length = max(clips.get_audio_length(index), constants.WINDOW_SAMPLES)
            return [token] * constants.num_audio_tokens(length)

        return [PromptReplacement(modality="audio", target=[token], replacement=tokens)]


def _features(clip: Any) -> torch.Tensor:
    """Return log-mel features of a clip at 16 kHz; one under 25 ms is filled with silence.

    Such rests are what vLLM may leave of a long recording. Raises ValueError over 40 s.
    """
    samples = np.asarray(clip, dtype=np.float32)
    if constants.num_audio_tokens(len(samples)) > constants.MAX_AUDIO_TOKENS:
        raise ValueError(
            f"the clip of {len(samples) / constants.SAMPLE_RATE_HZ:.1f} s is over 40 s, the most "
            "that the model hears at once; /v1/audio/transcriptions cuts recordings of any length"
        )
    if len(samples) < constants.WINDOW_SAMPLES:
        samples = np.pad(samples, (0, constants.WINDOW_SAMPLES - len(samples)))
    return log_mel(samples)
