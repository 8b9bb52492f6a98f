"""Phi-4-multimodal for speech in vLLM: its own encoder and language model, no vision tower."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import torch
from torch import nn
from vllm.config import ModelConfig, SpeechToTextConfig, VllmConfig
from vllm.config.speech_to_text import SpeechToTextParams
from vllm.inputs import PromptType, TokensPrompt
from vllm.model_executor.layers.logits_processor import LogitsProcessor
from vllm.model_executor.layers.vocab_parallel_embedding import ParallelLMHead
from vllm.model_executor.models.interfaces import MultiModalEmbeddings, SupportsTranscription
from vllm.model_executor.models.llama import LlamaModel
from vllm.model_executor.models.module_mapping import MultiModelKeys
from vllm.model_executor.models.phi4mm import Phi4MMForCausalLM
from vllm.model_executor.models.phi4mm_audio import AudioEmbedding
from vllm.model_executor.models.utils import AutoWeightsLoader, WeightsMapper, maybe_prefix
from vllm.model_executor.models.whisper import ISO639_1_SUPPORTED_LANGS
from vllm.multimodal import MULTIMODAL_REGISTRY
from vllm.tokenizers import cached_tokenizer_from_config

from soritune_vllm import processing
from soritune_vllm.config import audio_settings
from soritune_vllm.soritune.models.phi4mm import constants
from soritune_vllm.soritune.models.phi4mm.prompts import instruction
from soritune_vllm.soritune.models.tokenizers import special_ids, text_ids
from soritune_vllm.soritune.tasks import Request, Task
from soritune_vllm.weights import renamed, speech_lora

_TITLE = "Phi-4-multimodal"
_TASKS = {"transcribe": Task.ASR, "translate": Task.AST}


@MULTIMODAL_REGISTRY.register_processor(
    processing.SpeechProcessor,
    info=processing.SpeechInfo,
    dummy_inputs=processing.SpeechDummyInputs,
)
class SpeechModel(Phi4MMForCausalLM, SupportsTranscription):
    """vLLM's model of the same name without its vision tower, and with what it lacks for speech.

    Folders of both layouts, the speech LoRA added to the weights unless vLLM serves adapters,
    `/v1/audio/transcriptions` and `/v1/audio/translations`.
    """

    # Names of weights are translated in `weights`; those of adapters are vLLM's own already.
    hf_to_vllm_mapper = WeightsMapper()
    supported_languages = ISO639_1_SUPPORTED_LANGS
    supports_transcription: ClassVar[Any] = True

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        nn.Module.__init__(self)
        self.vllm_config = vllm_config
        self.config = config = vllm_config.model_config.hf_config
        _check_positions(config, vllm_config.model_config.max_model_len)
        self.multimodal_config = vllm_config.model_config.multimodal_config
        self.quant_config = vllm_config.quant_config
        settings, options = audio_settings(config)
        with self._mark_tower_model(vllm_config, "audio"):
            self.embed_tokens_extend = AudioEmbedding(settings, **options)
        _normalise_in_float32(self.embed_tokens_extend.encoder)
        with self._mark_language_model(vllm_config):
            self.model = LlamaModel(vllm_config=vllm_config, prefix=maybe_prefix(prefix, "model"))
        self.lm_head = ParallelLMHead(
            config.vocab_size,
            config.hidden_size,
            quant_config=self.quant_config,
            prefix=maybe_prefix(prefix, "lm_head"),
        )
        if config.tie_word_embeddings:
            self.lm_head = self.lm_head.tie_weights(self.model.embed_tokens)
        self.logits_processor = LogitsProcessor(config.vocab_size)
        self.placeholder_ids = _placeholder_ids(vllm_config.model_config)

    @classmethod
    def get_placeholder_str(cls, modality: str, i: int) -> str | None:
        """Return what vLLM puts before the text of a chat that names no clip."""
        if modality != "audio":
            raise ValueError(f"the model hears audio; it takes no {modality}")
        return processing.placeholder(i)

    def embed_multimodal(self, **kwargs: object) -> MultiModalEmbeddings:
        """Encode clips, one by one, so that none depends on what it is batched with."""
        clips = kwargs.get(processing.FEATURES)
        if clips is None:
            return []
        assert isinstance(clips, torch.Tensor | list)
        return tuple(self.embed_tokens_extend(features) for features in clips)

    def compute_logits(self, hidden_states: torch.Tensor) -> torch.Tensor | None:
        """Return logits in which the tokens that stand for sounds and images never win."""
        logits = super().compute_logits(hidden_states)
        if logits is not None:
            logits[..., self.placeholder_ids] = -torch.inf
        return logits

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]]) -> set[str]:
        """Load a folder of either layout; every tensor of the model must be there."""
        lora = None
        if self.vllm_config.lora_config is None:
            lora = speech_lora(self.vllm_config.model_config, self.vllm_config.load_config)
        return AutoWeightsLoader(self).load_weights(
            renamed(weights, lora, tied=self.config.tie_word_embeddings)
        )

    def get_mm_mapping(self) -> MultiModelKeys:
        """Return which modules belong to which part."""
        return MultiModelKeys.from_string_field(
            language_model="model.",
            connector=["embed_tokens_extend.audio_projection"],
            tower_model=["embed_tokens_extend.encoder"],
        )

    @classmethod
    def get_speech_to_text_config(
        cls, model_config: ModelConfig, task_type: str
    ) -> SpeechToTextConfig:
        """Recordings are cut at quiet places into clips of at most 30 s, as in training."""
        return SpeechToTextConfig(
            sample_rate=constants.SAMPLE_RATE_HZ, max_audio_clip_s=int(constants.MAX_CLIP_S)
        )

    @classmethod
    def get_num_audio_tokens(
        cls, audio_duration_s: float, stt_config: SpeechToTextConfig, model_config: ModelConfig
    ) -> int | None:
        """Return the tokens that a clip takes in the prompt."""
        return constants.num_audio_tokens(round(audio_duration_s * constants.SAMPLE_RATE_HZ))

    @classmethod
    def get_generation_prompt(cls, stt_params: SpeechToTextParams) -> PromptType:
        """Return the prompt of training as token ids, whatever the text of the request.

        Raises ValueError for a request with a `prompt`, which the model has no place for.
        """
        if stt_params.request_prompt:
            raise ValueError("this model has no place for a `prompt`; leave it out")
        task = _TASKS[stt_params.task_type]
        target = (stt_params.to_language or "en") if task is Task.AST else None
        tokenizer = cached_tokenizer_from_config(stt_params.model_config)
        user, audio, end, assistant = special_ids(
            tokenizer,
            _TITLE,
            constants.USER_TOKEN,
            constants.AUDIO_TOKEN,
            constants.END_TOKENS[0],
            constants.ASSISTANT_TOKEN,
        )
        words = text_ids(tokenizer, instruction(Request(task, target_language=target)))
        return TokensPrompt(
            prompt_token_ids=[user, audio, *words, end, assistant],
            multi_modal_data={"audio": stt_params.audio},
        )

    @classmethod
    def post_process_output(cls, text: str) -> str:
        """Return the text as soritune gives it."""
        return text.strip()


def _check_positions(config: Any, max_model_len: int) -> None:
    """Raise ValueError where vLLM would take the long factors of longrope for every request."""
    positions = config.original_max_position_embeddings
    if config.rope_parameters.get("rope_type") == "longrope" and max_model_len > positions:
        raise ValueError(
            f"--max-model-len is {max_model_len}: above {positions}, vLLM takes the factors for "
            f"long texts in every request, and texts change. Add --max-model-len {positions}"
        )


def _normalise_in_float32(encoder: nn.Module) -> None:
    """Let an encoder take its features in float32 and round them after their mean is taken off.

    Rounding log-mel features (7 to 25) to bfloat16 first triples the error of the encoding.
    """
    dtype = encoder.embed.out.weight.dtype
    normalisation = encoder.encoder_embedding.float()
    normalisation.register_forward_hook(lambda module, args, normalised: normalised.to(dtype))


def _placeholder_ids(model_config: ModelConfig) -> list[int]:
    vocabulary = cached_tokenizer_from_config(model_config).get_vocab()
    tokens = (constants.AUDIO_TOKEN, constants.IMAGE_TOKEN)
    return [vocabulary[token] for token in tokens if token in vocabulary]
