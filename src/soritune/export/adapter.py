"""The LoRA alone: a PEFT folder that PEFT and vLLM take as it is."""

from __future__ import annotations

from pathlib import Path

from soritune.errors import UserError
from soritune.export.reduce import reduce_rank
from soritune.models.exporting import ExportPlan
from soritune.models.family import Family
from soritune.models.lora import Lora
from soritune.models.serving import VLLM_MAX_RANKS, vllm_max_rank
from soritune.models.shards import Advance
from soritune.models.stored import StoredModel


def plan_adapter(model: StoredModel, rank: int | None) -> ExportPlan:
    """Plan the export of the LoRA alone, or of the nearest one of a smaller rank."""
    lora = the_lora(model)
    notes: tuple[str, ...] = ()
    if rank is not None:
        reduced = reduce_rank(lora, rank)
        layer, worst = reduced.worst
        notes = (
            f"reduced from rank {lora.r} to {rank}: of what the LoRA adds to a layer "
            f"{reduced.mean:.2%} is lost in the mean (Frobenius norm), {worst:.2%} at worst "
            f"({layer}); measure it on your evaluations",
        )
        lora = reduced.lora

    def write(folder: Path, _max_shard_bytes: int, _advance: Advance | None) -> None:
        model.write_adapter(lora, folder)
        model.family.write_processor(model, folder)

    return ExportPlan({}, lora, (*notes, *_rank_notes(lora)), write)


def the_lora(model: StoredModel) -> Lora:
    """Return the LoRA, if it is all in which the model differs from its base.

    Raises UserError where there is none, or where the adapter alone would lose what was trained.
    """
    if model.trained:
        parts = sorted(model.trained_parts())
        raise UserError(
            f"{model.name}: {' and '.join(parts)} changed too ({len(model.trained)} tensors), "
            f"which an adapter cannot carry; use {other_targets(model.family)}"
        )
    if model.lora is None:
        raise UserError(f"{model.name}: has no LoRA; use {other_targets(model.family)}")
    return model.lora


def other_targets(family: Family) -> str:
    """Return the targets besides the adapter as options, with who reads them."""
    return " or ".join(
        f"--to {name} (for {target.reader})" for name, target in family.targets.items()
    )


def _rank_notes(lora: Lora) -> tuple[str, ...]:
    if vllm_max_rank(lora.r) is not None:
        return ()
    largest = VLLM_MAX_RANKS[-1]
    return (
        f"rank {lora.r} is above vLLM's largest --max-lora-rank, {largest}: PEFT takes this "
        f"adapter, vLLM does not; for vLLM add --rank {largest} (the nearest LoRA of that rank) or "
        "export to a layout with the LoRA in the weights",
    )
