"""The LoRA alone: a PEFT folder that PEFT and vLLM take as it is."""

from __future__ import annotations

from pathlib import Path

from soritune.errors import UserError
from soritune.export.lora import Lora, write_lora
from soritune.export.source import Source
from soritune.models.phi4mm.parts import part_of

# MaxLoRARanks of vllm/config/lora.py, vLLM 0.33.0: what `--max-lora-rank` may be. An adapter of
# any rank up to it is taken.
VLLM_MAX_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)


def vllm_max_rank(r: int) -> int | None:
    """The smallest `--max-lora-rank` that takes an adapter of rank r; None above them all."""
    return next((rank for rank in VLLM_MAX_RANKS if rank >= r), None)


def check(source: Source) -> Lora:
    """The LoRA, if it is all that tells the model from its base.

    Raises UserError where there is none, or where the adapter alone would lose what was trained.
    """
    if source.trained:
        parts = sorted({part_of(name) for name in source.trained})
        raise UserError(
            f"{source.name}: {' and '.join(parts)} changed too ({len(source.trained)} tensors), "
            "which an adapter cannot carry; use --to original (for vLLM) or --to native or merged "
            "(for transformers)"
        )
    if source.lora is None:
        raise UserError(f"{source.name}: has no speech LoRA; use --to native or --to original")
    return source.lora


def notes(lora: Lora) -> tuple[str, ...]:
    """What the user should know about the adapter."""
    if vllm_max_rank(lora.r) is None:
        return (
            f"rank {lora.r} is above vLLM's largest --max-lora-rank, {VLLM_MAX_RANKS[-1]}: PEFT "
            f"takes this adapter, vLLM does not; for vLLM add --rank {VLLM_MAX_RANKS[-1]} (the "
            "nearest LoRA of that rank) or use --to original (the LoRA in the weights)",
        )
    return ()


def write(source: Source, lora: Lora, folder: Path) -> None:
    """Write the PEFT folder."""
    write_lora(lora, folder, source.base_name, source.base_revision)
