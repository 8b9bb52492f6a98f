"""Exports of Qwen3-ASR."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from soritune.languages.names import known_language
from soritune.models import other_files
from soritune.models.checkpoint import ADAPTER_FOLDER
from soritune.models.family import ADAPTER, ExportPlan
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


def usage(model: StoredModel, target: str, lora: Lora | None) -> list[str]:
    """Return how transformers and vLLM use an export; see `Family.usage`."""
    code = model.record.get("language")
    name = "LANGUAGE" if code is None else known_language(code)
    asked = (
        f"`AutoProcessor.from_pretrained({'BASE' if target == ADAPTER else 'DIR'})"
        f".apply_transcription_request(audio, language={name!r})` makes its inputs"
    )
    whole = "Qwen3ASRForConditionalGeneration.from_pretrained"
    request = f"POST /v1/audio/transcriptions with `language={code or 'CODE'}`"
    if target != ADAPTER:
        return [
            f"transformers: `{whole}(DIR)`; {asked}",
            f"vLLM: `vllm serve DIR`, then {request}",
        ]
    lines = [f"PEFT: `PeftModel.from_pretrained({whole}(BASE), DIR)`; {asked}"]
    rank = None if lora is None else vllm_max_rank(lora.r)
    if rank is not None:
        lines.append(
            f"vLLM: `{vllm_command('BASE', 'DIR', rank)}`, then {request} and the model `speech`"
        )
    return lines
