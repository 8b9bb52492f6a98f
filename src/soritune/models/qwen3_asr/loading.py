"""A Qwen3-ASR base in the layout of transformers as a speech model, tensor by tensor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    GenerationConfig,
    Qwen2Tokenizer,
    Qwen3ASRConfig,
    Qwen3ASRForConditionalGeneration,
)

from soritune.errors import UserError
from soritune.models.attention import ATTENTION
from soritune.models.checkpoint import CONFIG_FILE
from soritune.models.family import Family
from soritune.models.loaded import fill_module
from soritune.models.qwen3_asr import constants as c
from soritune.models.qwen3_asr import parts
from soritune.models.qwen3_asr.features import check_extractor
from soritune.models.qwen3_asr.model import Qwen3Asr
from soritune.models.qwen3_asr.processor import Qwen3AsrProcessor
from soritune.models.stored import StoredBase
from soritune.models.tokenizers import read_tokenizer


def build(
    family: Family, base: StoredBase, *, dtype: torch.dtype, device: torch.device
) -> Qwen3Asr:
    """Make the model of a base, without its LoRA.

    Raises UserError for a checkpoint that is not complete or not of this layout.
    """
    config = read_config(dict(base.config), base.folder / CONFIG_FILE)
    check_extractor(base.folder)
    processor = Qwen3AsrProcessor(read_tokenizer(Qwen2Tokenizer, base.folder))
    config.audio_token_id = processor.ids.audio
    with torch.device("meta"):
        module: Any = Qwen3ASRForConditionalGeneration._from_config(
            config, dtype=dtype, attn_implementation=ATTENTION
        )
    tied = frozenset({parts.TIED_HEAD})
    fill_module(module, base.weights, base.folder, dtype=dtype, device=device, tied=tied)
    # Not in any file, because they follow from the configuration.
    language_model, encoder = module.model.language_model, module.model.audio_tower
    language_model.rotary_emb = type(language_model.rotary_emb)(config.text_config).to(device)
    positions = encoder.positional_embedding
    encoder.positional_embedding = type(positions)(positions.length, positions.channels).to(device)
    encoder.register_forward_pre_hook(_in_own_dtype, with_kwargs=True)
    # Nothing else of a checkpoint's settings counts: no sampling, no lengths.
    module.generation_config = GenerationConfig()
    module.eval()
    return Qwen3Asr(family, module, processor)


def read_config(record: dict[str, Any], where: Path) -> Qwen3ASRConfig:
    """Return the configuration of a base. Raises UserError where the family does not open it."""
    if "thinker_config" in record:
        raise UserError(
            f"{where}: the layout of the first release, which transformers does not read. Take the "
            "repository whose name ends with -hf, such as Qwen/Qwen3-ASR-0.6B-hf"
        )
    config: Qwen3ASRConfig = Qwen3ASRConfig.from_dict(record)
    if not config.tie_word_embeddings:
        raise UserError(
            f"{where}: a Qwen3-ASR whose head is not its embeddings (tie_word_embeddings is "
            "false). Take one of the published layout"
        )
    audio: Any = config.audio_config
    for name, expected in (
        ("num_mel_bins", c.MELS),
        ("n_window", c.HALF_CHUNK),
        ("n_window_infer", c.WINDOW_FRAMES),
        ("max_position_embeddings", c.CHUNK_TOKENS),
    ):
        if getattr(audio, name) != expected:
            raise UserError(
                f"{where}: {name} of audio_config is {getattr(audio, name)}, but Qwen3-ASR has "
                f"{expected}; with another a clip would have another number of tokens than its "
                "prompt. Take config.json from the base model's folder"
            )
    return config


def _in_own_dtype(
    encoder: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Give the encoder its features in the dtype of its weights; they are made in float32."""
    dtype = next(encoder.parameters()).dtype
    return args, {**kwargs, "input_features": kwargs["input_features"].to(dtype)}
