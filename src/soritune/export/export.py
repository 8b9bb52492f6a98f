"""`export`: a model from start to end in a layout that others read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soritune import __version__
from soritune.errors import UserError, nearest
from soritune.export.adapter import plan_adapter
from soritune.export.card import RESULTS_FILE, base_license, card, evaluation_results
from soritune.export.facts import run_facts
from soritune.export.folder import check_out, whole_folder, write_checksums
from soritune.models.exporting import ADAPTER, ADAPTER_TARGET, ExportPlan, ExportTarget
from soritune.models.family import Family
from soritune.models.record import EXPORT_FILE
from soritune.models.shards import MAX_SHARD_BYTES, Advance
from soritune.models.stored import StoredModel, open_stored

_HEADROOM_BYTES = 50_000_000  # for the files beside the weights
_RECORDED = ("case", "mode", "settings", "blend", "longest_trained_s")  # of soritune.json


@dataclass(frozen=True)
class Exported:
    """What was written, and what the user should know about it."""

    out: Path
    target: str
    num_bytes: int
    notes: tuple[str, ...]


def export(
    model: str,
    target: str,
    out: Path,
    *,
    revision: str | None = None,
    base: str | None = None,
    lora_weight: float | None = None,
    rank: int | None = None,
    force: bool = False,
    max_shard_bytes: int = MAX_SHARD_BYTES,
    progress: Callable[[int], Advance] | None = None,
    repository: str | None = None,
    license: str | None = None,
) -> Exported:
    """Write a model as `target` into the folder `out`, whole or not at all.

    Args:
        model: folder, hub id or `builtin:NAME`: a base, or what soritune trained on one.
        target: "adapter", or one of the targets of the model's family.
        out: must be empty or not exist.
        revision: of a hub id.
        base: of an adapter or a trained model, in place of the one that it names.
        lora_weight: share of the LoRA that is added to the weights; None is the target's default.
        rank: of the nearest smaller LoRA that is written instead; for "adapter" only.
        force: replace what is in `out`.
        max_shard_bytes: of a file of weights.
        progress: called with the bytes to write; gives what is called with bytes written.
        repository: `owner/name` that it is published as, for its card.
        license: of the weights, for the card; None: as the base's own card has it.

    Raises:
        UserError: no such model, a target that would lose something, a folder that cannot be
            written, a disk that is full.
    """
    # 1. What there is, by headers alone, and what of it will be written.
    source = open_stored(model, revision, base)
    _check_options(source.family, target, lora_weight, rank)
    check_out(out, force, (source.folder, source.base.folder))
    if target == ADAPTER:
        plan = plan_adapter(source, rank)
    else:
        plan = source.family.plan_export(source, target, lora_weight)

    # 2. Write it beside its place; give it its name when it is complete.
    weights = sum(tensor.num_bytes for tensor in plan.tensors.values())
    lora = sum(tensor.num_bytes for tensor in (plan.lora.tensors if plan.lora else {}).values())
    with whole_folder(out, weights + lora + _HEADROOM_BYTES) as folder:
        plan.write(folder, max_shard_bytes, progress(weights) if progress else None)
        record = _record(source, target, plan)
        text = json.dumps(record, ensure_ascii=False, indent=2) + "\n"
        (folder / EXPORT_FILE).write_text(text, encoding="utf-8")
        _write_card(folder, source, target, plan, repository, license)
        write_checksums(folder)
    return Exported(out, target, weights + lora, plan.notes)


def _write_card(
    folder: Path,
    source: StoredModel,
    target: str,
    plan: ExportPlan,
    repository: str | None,
    license: str | None,
) -> None:
    facts = run_facts(source.folder, source.record.get("case"))
    about = card(
        source,
        target,
        _targets(source.family)[target],
        plan,
        facts,
        repository=repository,
        license=license or base_license(source.base.folder),
    )
    (folder / "README.md").write_text(about, encoding="utf-8", errors="backslashreplace")
    results = evaluation_results(facts) if repository is not None else None
    if results is not None:
        path = folder / RESULTS_FILE
        path.parent.mkdir()
        path.write_text(results, encoding="utf-8")


def _targets(family: Family) -> Mapping[str, ExportTarget]:
    return {ADAPTER: ADAPTER_TARGET, **family.targets}


def _check_options(
    family: Family, target: str, lora_weight: float | None, rank: int | None
) -> None:
    """Raise UserError for a target that the family does not have, and options of another one."""
    targets = _targets(family)
    if target not in targets:
        known = ", ".join(f"{name} ({each.reader})" for name, each in targets.items())
        raise UserError(
            f"--to {target}: {family.title} is not exported to that{nearest(target, targets)}; "
            f"there are: {known}"
        )
    if lora_weight is not None and not targets[target].takes_lora_weight:
        fitting = " or ".join(name for name, each in targets.items() if each.takes_lora_weight)
        raise UserError(
            f"--lora-weight is for --to {fitting or '(none)'}; with --to {target} leave it out"
        )
    if rank is not None and target != ADAPTER:
        raise UserError(f"--rank is for --to {ADAPTER}; with --to {target} leave it out")


def _record(source: StoredModel, target: str, plan: ExportPlan) -> dict[str, Any]:
    """Return what an export was made from, for programs (and `soritune inspect`)."""
    return {
        "format": 1,
        "soritune": __version__,
        "target": target,
        "base": source.base_name,
        "revision": source.base_revision,
        "trained_tensors": source.trained_parts(),
        "lora": None if plan.lora is None else {"r": plan.lora.r, "alpha": plan.lora.alpha},
        "merged_lora_weight": plan.lora_weight,
        "trained": {key: source.record[key] for key in _RECORDED if key in source.record},
    }
