"""How transformers and vLLM take Qwen3-ASR; without torch, for `soritune inspect`."""

from __future__ import annotations

from soritune.models.serving import VLLM_MAX_RANKS, vllm_max_rank
from soritune.models.summary import ADAPTER_LAYOUT, TRAINED_LAYOUT, Summary

TARGET = "transformers"


def serving(summary: Summary) -> dict[str, str]:
    """Return how servers take a folder, or what to export first; see `Family.serving`."""
    path = summary.path
    to = f"no; first: soritune export {path} --out DIR --to"
    if summary.layout not in (ADAPTER_LAYOUT, TRAINED_LAYOUT):
        return {
            "transformers": f"yes: Qwen3ASRForConditionalGeneration.from_pretrained({path!r})",
            "vllm": f"yes: vllm serve {path}, then POST /v1/audio/transcriptions",
        }
    place = summary.adapter_path
    if place is None:
        return dict.fromkeys(
            ("transformers", "vllm"), f"{to} {TARGET} (more than the LoRA was trained)"
        )
    rank = vllm_max_rank(summary.adapters[0].r)
    vllm = f"{to} {TARGET} (vLLM takes ranks up to {VLLM_MAX_RANKS[-1]})"
    if rank is not None:
        vllm = f"yes: {vllm_command('BASE', place, rank)} (BASE: its base)"
    return {
        "transformers": f"yes, on its base: PeftModel.from_pretrained(base, {place!r})",
        "vllm": vllm,
    }


def vllm_command(base: str, adapter: str, rank: int) -> str:
    """Return the command that serves a base with its adapter."""
    return f"vllm serve {base} --enable-lora --max-lora-rank {rank} --lora-modules speech={adapter}"
