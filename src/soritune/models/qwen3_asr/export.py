"""Exports of Qwen3-ASR."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from soritune.languages.names import known_language
from soritune.models import other_files, snippets
from soritune.models.checkpoint import ADAPTER_FOLDER
from soritune.models.exporting import ADAPTER, ExportPlan
from soritune.models.lora import Lora
from soritune.models.qwen3_asr.serving import vllm_command
from soritune.models.serving import vllm_max_rank
from soritune.models.shards import Advance, write_weights
from soritune.models.stored import StoredModel
from soritune.models.tensors import LazyTensor


def plan(model: StoredModel, target: str, lora_weight: float | None) -> ExportPlan:
    """Plan an export to transformers; see `Family.plan_export`."""
    tensors, share = model.merged(lora_weight)
    return ExportPlan(tensors, None, (), partial(_write, model, tensors), share)


def _write(
    model: StoredModel,
    tensors: Mapping[str, LazyTensor],
    folder: Path,
    max_shard_bytes: int,
    advance: Advance | None,
) -> None:
    """Write weights, settings and tokenizer, the LoRA in the weights."""
    other_files.copy_all(model.base.folder, folder, leave_out=(ADAPTER_FOLDER,))
    write_weights(tensors, folder, max_shard_bytes=max_shard_bytes, advance=advance)


def snippet(model: StoredModel, target: str, lora: Lora | None) -> str:
    """Return Python that transcribes with an export; see `Family.snippet`."""
    code = model.record.get("language")
    asked = "" if code is None else f", language={known_language(code)!r}"
    body = f"""\
processor = AutoProcessor.from_pretrained(folder)
inputs = processor.apply_transcription_request(samples{asked}).to(model.device, model.dtype)
most = 32 + 25 * len(samples) // 16_000  # tokens, so that a model that never stops does
ids = model.generate(**inputs, max_new_tokens=most)[0, inputs["input_ids"].shape[1] :]
print(processor.decode(ids, skip_special_tokens=True).strip())
"""
    return snippets.snippet(
        "Qwen3ASRForConditionalGeneration", "AutoProcessor", body, adapter=target == ADAPTER
    )


def write_processor(model: StoredModel, folder: Path) -> None:
    """Write tokenizer and feature extractor beside an adapter, those of the base."""
    other_files.copy_files(
        model.base.folder, folder, (*other_files.TOKENIZER_FILES, *other_files.PROCESSOR_FILES)
    )


def usage(model: StoredModel, target: str, lora: Lora | None) -> list[str]:
    """Return how vLLM uses an export; see `Family.usage`."""
    code = model.record.get("language")
    request = f"POST /v1/audio/transcriptions with `language={code or 'CODE'}`"
    if target != ADAPTER:
        return [f"vLLM: `vllm serve DIR`, then {request}"]
    rank = None if lora is None else vllm_max_rank(lora.r)
    if rank is None:
        return []
    command = vllm_command("BASE", "DIR", rank)
    return [f"vLLM: `{command}`, then {request} and the model `speech`"]
