"""A Whisper base in the layout of transformers as a speech model, tensor by tensor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperTokenizer,
)
from transformers.models.whisper.tokenization_whisper import TO_LANGUAGE_CODE

from soritune.errors import UserError
from soritune.models.attention import ATTENTION
from soritune.models.checkpoint import read_json
from soritune.models.family import Family
from soritune.models.loaded import fill_module
from soritune.models.other_files import GENERATION_FILE
from soritune.models.stored import StoredBase
from soritune.models.tokenizers import read_tokenizer
from soritune.models.whisper import constants as c
from soritune.models.whisper import parts
from soritune.models.whisper.model import Whisper
from soritune.models.whisper.processor import WhisperProcessor


def build(family: Family, base: StoredBase, *, dtype: torch.dtype, device: torch.device) -> Whisper:
    """Make the model of a base, without its LoRA.

    Raises UserError for a checkpoint that is not complete.
    """
    config = WhisperConfig.from_dict(dict(base.config))
    if not config.tie_word_embeddings:
        raise UserError(
            f"{base.folder}: a Whisper whose head is not its embeddings (tie_word_embeddings is "
            "false). Take one of the published layout"
        )
    # Training masks features itself (augment), once and by the recipe's seed.
    config.apply_spec_augment = False
    with torch.device("meta"):
        module: Any = WhisperForConditionalGeneration._from_config(
            config, dtype=dtype, attn_implementation=ATTENTION
        )
    fill_module(
        module,
        base.weights,
        base.folder,
        dtype=dtype,
        device=device,
        tied=frozenset({parts.TIED_HEAD}),
    )
    module.eval()

    generation = generation_settings(base.folder)
    processor = WhisperProcessor(
        read_tokenizer(WhisperTokenizer, base.folder),
        WhisperFeatureExtractor(feature_size=config.num_mel_bins),
        multilingual=is_multilingual(generation, base.config),
        max_positions=config.max_target_positions,
    )
    processor.language = fixed_language(generation)
    # Nothing else of a checkpoint's settings counts: no forced tokens, no lengths, no timestamps.
    module.generation_config = GenerationConfig(
        decoder_start_token_id=processor.ids.start,
        suppress_tokens=generation.get("suppress_tokens"),
        begin_suppress_tokens=generation.get("begin_suppress_tokens"),
    )
    return Whisper(family, module, processor, alignment_heads=_alignment_heads(generation, config))


def _alignment_heads(
    generation: Mapping[str, Any], config: WhisperConfig
) -> tuple[tuple[int, int], ...]:
    """Return the heads that a checkpoint names for word times; none where they do not fit it."""
    named = generation.get("alignment_heads")
    layers, heads = range(config.decoder_layers), range(config.decoder_attention_heads)
    try:
        found = tuple((layer, head) for layer, head in named or ())
    except (TypeError, ValueError):
        return ()
    return found if all(layer in layers and head in heads for layer, head in found) else ()


def generation_settings(folder: Path) -> dict[str, Any]:
    """Return generation_config.json; empty where there is none.

    The settings of the same names in config.json are not used: its defaults are of the English
    vocabulary.
    """
    path = folder / GENERATION_FILE
    return read_json(path) if path.is_file() else {}


def is_multilingual(generation: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    """Return whether a checkpoint knows languages; the tokenizers of all have their tokens."""
    by_size = int(config.get("vocab_size", 0)) >= c.MULTILINGUAL_VOCABULARY
    return bool(generation.get("is_multilingual", by_size))


def fixed_language(generation: Mapping[str, Any]) -> str | None:
    """Return the code of the language that a fine-tuned checkpoint names, if it names one."""
    named = generation.get("language")
    if not isinstance(named, str):
        return None
    plain = named.strip("<|>").lower()
    return TO_LANGUAGE_CODE.get(plain, plain)
