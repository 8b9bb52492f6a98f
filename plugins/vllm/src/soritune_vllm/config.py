"""The configuration of a checkpoint in the original layout, without its Python file."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from transformers import Phi4MultimodalConfig

from soritune_vllm.soritune.models.phi4mm import layout
from soritune_vllm.soritune.models.phi4mm.configuration import native_config, original_config


class OriginalConfig(Phi4MultimodalConfig):
    """What config.json of the original layout means, in the terms of transformers.

    vLLM reads longrope from `rope_parameters`, as in a native folder; declared under its old name,
    `rope_scaling`, it would be ignored silently.
    """

    model_type = layout.ORIGINAL_MODEL_TYPE

    @classmethod
    def from_dict(cls, config_dict: Mapping[str, Any], **kwargs: Any) -> OriginalConfig:
        """See `PreTrainedConfig`. Raises UserError for what the model cannot express."""
        record = dict(config_dict)
        if "audio_processor" in record:
            record = native_config(record).to_dict() | {
                "model_type": layout.ORIGINAL_MODEL_TYPE,
                "architectures": [layout.ORIGINAL_ARCHITECTURE],
            }
        return super().from_dict(record, **kwargs)


def audio_settings(config: Phi4MultimodalConfig) -> tuple[SimpleNamespace, dict[str, Any]]:
    """Return what vLLM's `AudioEmbedding` takes: a configuration in original terms, and options."""
    original = original_config(config)
    settings = SimpleNamespace(
        audio_processor=original["audio_processor"],
        hidden_size=config.hidden_size,
        vocab_size=config.vocab_size,
    )
    return settings, original["embd_layer"]["audio_embd_layer"]
