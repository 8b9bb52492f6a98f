"""Phi-4-multimodal speech models of either layout for vLLM, without code of the checkpoint.

Tested with vLLM 0.32.0 (`make test-vllm` of the soritune repository).
"""

from __future__ import annotations


def register() -> None:
    """Make the model known to transformers and vLLM; may be called several times."""
    from transformers import AutoConfig
    from vllm import ModelRegistry

    from soritune_vllm.config import OriginalConfig
    from soritune_vllm.soritune.models.phi4mm import layout

    AutoConfig.register(layout.ORIGINAL_MODEL_TYPE, OriginalConfig, exist_ok=True)
    for architecture in (layout.ORIGINAL_ARCHITECTURE, layout.NATIVE_ARCHITECTURE):
        ModelRegistry.register_model(architecture, "soritune_vllm.model:SpeechModel")
