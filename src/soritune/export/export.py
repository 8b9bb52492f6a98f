"""`export`: a model from start to end in a layout that others read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

from soritune import __version__
from soritune.errors import UserError
from soritune.export import adapter, beside, native, original
from soritune.export.card import card
from soritune.export.folder import check_out, whole_folder, write_checksums
from soritune.export.lazy import LazyTensor
from soritune.export.lora import Lora
from soritune.export.reduce import reduce_rank
from soritune.export.shards import MAX_SHARD_BYTES, Advance
from soritune.export.source import Source, open_source
from soritune.models.phi4mm.parts import part_of
from soritune.models.record import EXPORT_FILE

_HEADROOM_BYTES = 50_000_000  # for the files beside the weights


class Target(StrEnum):
    """What an export is for."""

    NATIVE = "native"  # transformers' own layout, with speech-lora/
    ORIGINAL = "original"  # the layout of the first release, which vLLM serves
    ADAPTER = "adapter"  # the LoRA alone, for PEFT and vLLM
    MERGED = "merged"  # native, the LoRA added to the weights


@dataclass(frozen=True)
class Exported:
    """What was written, and what the user should know about it."""

    out: Path
    target: Target
    num_bytes: int
    notes: tuple[str, ...]


def export(
    model: str,
    target: Target,
    out: Path,
    *,
    revision: str | None = None,
    base: str | None = None,
    lora_weight: float | None = None,
    rank: int | None = None,
    force: bool = False,
    max_shard_bytes: int = MAX_SHARD_BYTES,
    progress: Callable[[int], Advance] | None = None,
) -> Exported:
    """Write a model as `target` into the folder `out`, whole or not at all.

    Args:
        model: folder, hub id or `builtin:NAME`: a base, or what soritune trained on one.
        target: see `Target`.
        out: must be empty or not exist.
        revision: of a hub id.
        base: of an adapter or a trained model, in place of the one that it names.
        lora_weight: share of the LoRA that is merged into the weights: `Target.MERGED` (default 1)
            and `Target.ORIGINAL` (default: not merged, or 1 for a rank that vLLM does not take).
        rank: of the nearest smaller LoRA that is written instead; for `Target.ADAPTER` only.
        force: replace what is in `out`.
        max_shard_bytes: of a file of weights.
        progress: called with the bytes to write; gives what is called with bytes written.

    Raises:
        UserError: no such model, a target that would lose something, a folder that cannot be
            written, a disk that is full.
    """
    if lora_weight is not None and target not in (Target.MERGED, Target.ORIGINAL):
        raise UserError(
            f"--lora-weight is for --to merged or original; with --to {target.value} leave it out"
        )
    if rank is not None and target is not Target.ADAPTER:
        raise UserError(f"--rank is for --to adapter; with --to {target.value} leave it out")

    # 1. What there is, by headers alone, and what of it will be written.
    source = open_source(model, revision, base)
    check_out(out, force, (source.folder, source.base_folder))
    plan = _plan(source, target, lora_weight, rank)

    # 2. Write it beside its place; give it its name when it is whole.
    num_bytes = sum(tensor.num_bytes for tensor in plan.all_tensors())
    with whole_folder(out, num_bytes + _HEADROOM_BYTES) as folder:
        advance = progress(sum(t.num_bytes for t in plan.weights.values())) if progress else None
        plan.write(folder, max_shard_bytes, advance)
        record = _record(source, target, plan)
        text = json.dumps(record, ensure_ascii=False, indent=2) + "\n"
        (folder / EXPORT_FILE).write_text(text, encoding="utf-8")
        about = card(source, target.value, plan.lora, plan.notes)
        (folder / "README.md").write_text(about, encoding="utf-8")
        write_checksums(folder)
    return Exported(out, target, num_bytes, plan.notes)


@dataclass(frozen=True)
class _Plan:
    weights: dict[str, LazyTensor]
    lora: Lora | None
    notes: tuple[str, ...]
    write: Callable[[Path, int, Advance | None], None]
    merged: float | None = None  # share of the LoRA that is in the weights

    def all_tensors(self) -> list[LazyTensor]:
        return [*self.weights.values(), *(self.lora.tensors.values() if self.lora else ())]


def _plan(source: Source, target: Target, lora_weight: float | None, rank: int | None) -> _Plan:
    if target is Target.ADAPTER:
        return _adapter_plan(source, rank)
    if target is Target.ORIGINAL:
        return _original_plan(source, lora_weight)

    merged = target is Target.MERGED
    if merged and source.lora is None:
        raise UserError(f"{source.name}: has no speech LoRA to merge; use --to native")
    share = (1.0 if lora_weight is None else lora_weight) if merged else None
    tensors = native.weights(source, share)
    lora_beside = None if merged else source.lora
    write_native = partial(native.write, source, tensors, lora_beside, vision_lora=not merged)
    notes = native.notes(source, merged=merged)
    return _Plan(tensors, lora_beside, notes, write_native, share)


def _adapter_plan(source: Source, rank: int | None) -> _Plan:
    lora = adapter.check(source)
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
        adapter.write(source, lora, folder)

    return _Plan({}, lora, (*notes, *adapter.notes(lora)), write)


def _original_plan(source: Source, lora_weight: float | None) -> _Plan:
    beside.fetch_code(source.base_name, source.base_revision)
    notes: tuple[str, ...] = ()
    too_large = source.lora is not None and adapter.vllm_max_rank(source.lora.r) is None
    if lora_weight is None and source.lora is not None and too_large:
        lora_weight = 1.0
        notes = (f"the LoRA has rank {source.lora.r}, more than vLLM serves beside a model",)
    if lora_weight is not None:
        notes += (f"{lora_weight:g} of the LoRA was added to the weights",)
        if source.vision_lora is not None:
            notes += (native.NO_VISION_LORA,)
        source = original.merged(source, lora_weight)
    tensors = original.weights(source)
    write = partial(original.write, source, tensors)
    notes += original.notes(source)
    return _Plan(tensors, source.lora, notes, write, lora_weight)


def _record(source: Source, target: Target, plan: _Plan) -> dict[str, Any]:
    """What an export was made from, for programs (and `soritune inspect`)."""
    parts: dict[str, int] = {}
    for name in source.trained:
        parts[part_of(name)] = parts.get(part_of(name), 0) + 1
    return {
        "format": 1,
        "soritune": __version__,
        "target": target.value,
        "base": source.base_name,
        "revision": source.base_revision,
        "trained_tensors": parts,
        "lora": None if plan.lora is None else {"r": plan.lora.r, "alpha": plan.lora.alpha},
        "merged_lora_weight": plan.merged,
        "trained": {key: source.record[key] for key in _ABOUT if key in source.record},
    }


_ABOUT = ("case", "mode", "settings", "blend")
