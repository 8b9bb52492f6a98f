"""Interpolation between two models of the same shape, tensor by tensor, in fp32.

With weight w the result is w · A + (1 − w) · B (Wortsman et al. 2022, "Robust fine-tuning of
zero-shot models", https://arxiv.org/abs/2109.01903): often most of what A learned with less of
what it forgot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from soritune.errors import UserError
from soritune.export.folder import check_out, whole_folder, write_checksums
from soritune.models.checkpoint import ADAPTER_FOLDER
from soritune.models.lora import Lora, join, scaled
from soritune.models.lora_folder import write_lora
from soritune.models.open import has_base
from soritune.models.record import TRAINED_FILE, longest_trained_s, write_record
from soritune.models.shards import MAX_SHARD_BYTES, Advance, write_file
from soritune.models.stored import StoredModel, open_stored
from soritune.models.tensors import LazyTensor

_HEADROOM_BYTES = 50_000_000


@dataclass(frozen=True)
class Blended:
    """What was written: a trained model on `base`, or (`base` None) a complete model."""

    out: Path
    base: str | None
    lora_rank: int | None
    trained_tensors: int


def blend(
    first: str,
    second: str,
    out: Path,
    *,
    weight: float,
    base: str | None = None,
    force: bool = False,
    max_shard_bytes: int = MAX_SHARD_BYTES,
    progress: Callable[[int], Advance] | None = None,
) -> Blended:
    """Write weight · first + (1 − weight) · second into the folder `out`, whole or not at all.

    Two models on one base (or such a model and its base) give a model on that base, two complete
    models a complete one in the layout of `Family.whole_target`. LoRAs are blended as what they add
    to the weights, exactly: the two are joined into one whose rank is the sum of theirs.

    Args:
        first, second: as `soritune.models.stored.open_stored` takes them.
        out: must be empty or not exist, unless `force`.
        weight: of `first`, 0–1.
        base: of those that have one, in place of the one that they name.
        max_shard_bytes: of a file of weights.
        progress: called with the bytes to write; gives what is called with bytes written.

    Raises:
        UserError: models of different shapes or bases, or a folder that cannot be written.
    """
    if not 0 <= weight <= 1:
        raise UserError(f"--weight {weight}: must be between 0 and 1")
    on_base = [has_base(name) for name in (first, second)]
    if base is not None and not any(on_base):
        raise UserError(f"{first} and {second} are complete models; leave --base out")
    one, other = (
        open_stored(name, base=base if needs_base else None)
        for name, needs_base in zip((first, second), on_base, strict=True)
    )
    check_out(out, force, (one.folder, other.folder, one.base.folder, other.base.folder))
    same_base = one.base.folder.resolve() == other.base.folder.resolve()
    if not same_base:
        _check_shapes(one, other)
    if same_base and one.is_base and other.is_base:
        raise UserError(f"{first} and {second} are the same model; there is nothing to blend")
    if not same_base and not (one.is_base and other.is_base):
        raise UserError(
            f"{first} is on {one.base_name}, {second} on {other.base_name}: export both with "
            "--to merged, then blend the two folders"
        )

    names = sorted({*one.trained, *other.trained}) if same_base else sorted(one.weights)
    tensors = {name: _mixed(one.weights[name], other.weights[name], weight) for name in names}
    # The base's own adapter on both sides stays where it is.
    kept = same_base and one.own_lora and other.own_lora and one.lora is not None
    lora = None if kept else _mixed_lora(one.lora, other.lora, weight)
    size = sum(t.num_bytes for t in [*tensors.values(), *(lora.tensors.values() if lora else ())])
    with whole_folder(out, size + _HEADROOM_BYTES) as folder:
        advance = progress(sum(t.num_bytes for t in tensors.values())) if progress else None
        if same_base:
            if tensors:
                write_file(tensors, folder / TRAINED_FILE, advance=advance)
            if lora is not None:
                write_lora(
                    lora,
                    folder / ADAPTER_FOLDER,
                    one.family.lora,
                    one.base_name,
                    one.base_revision,
                    weights=one.base.weights,
                )
            write_record(
                folder,
                out,
                family=one.family.name,
                base=one.base_name,
                revision=one.base_revision,
                about=_about(one, other, weight, kept or lora is not None),
            )
        else:
            whole = replace(one, trained=tensors, lora=lora, own_lora=False, other_loras={})
            plan = one.family.plan_export(whole, one.family.whole_target, None)
            plan.write(folder, max_shard_bytes, advance)
            write_checksums(folder)
    return Blended(out, one.base_name if same_base else None, lora.r if lora else None, len(names))


def _mixed(one: LazyTensor, other: LazyTensor, weight: float) -> LazyTensor:
    """Return weight · one + (1 − weight) · other in the wider dtype, exact at both ends."""
    dtype = one.dtype if one.dtype.itemsize >= other.dtype.itemsize else other.dtype
    if not dtype.is_floating_point or weight == 1:
        return one.to(dtype)
    if weight == 0:
        return other.to(dtype)
    return LazyTensor(
        one.shape,
        dtype,
        lambda: (weight * one.read().float() + (1 - weight) * other.read().float()).to(dtype),
    )


def _mixed_lora(one: Lora | None, other: Lora | None, weight: float) -> Lora | None:
    """Return the adapter whose delta is the weighted mean of both; None adds nothing."""
    if weight == 1:
        return one
    if weight == 0:
        return other
    if one is None or other is None:
        only, share = (one, weight) if one is not None else (other, 1 - weight)
        return None if only is None else scaled(only, share)
    return join(scaled(one, weight), scaled(other, 1 - weight))


def _check_shapes(one: StoredModel, other: StoredModel) -> None:
    if one.family is not other.family:
        raise UserError(
            f"{one.name} is a {one.family.title} and {other.name} a {other.family.title}: only "
            "models of one family can be blended"
        )
    mine, its = one.weights, other.weights
    odd = sorted(mine.keys() ^ its.keys())
    if odd:
        where = one if odd[0] in mine else other
        raise UserError(
            f"only {where.name} has {odd[0]} ({len(odd)} such tensors): the two models are not of "
            "the same shape"
        )
    for name, tensor in mine.items():
        if tensor.shape != its[name].shape:
            raise UserError(
                f"{name} has shape {list(tensor.shape)} in {one.name} and "
                f"{list(its[name].shape)} in {other.name}: the two models are not of the same shape"
            )
    settings = [model.family.settings_beside_shapes(model.base) for model in (one, other)]
    for key, value in settings[0].items():
        if value != settings[1].get(key):
            raise UserError(f"{one.name} and {other.name} differ in {key} (config.json)")


def _about(
    one: StoredModel, other: StoredModel, weight: float, has_lora: bool
) -> Mapping[str, Any]:
    def about(source: StoredModel) -> dict[str, Any]:
        known = {key: source.record[key] for key in ("case", "mode") if key in source.record}
        return {"name": source.name, **known}

    # Longer ones are new to one of them; of a base it is not known.
    heard_s = [longest_trained_s(model.folder, model.record) for model in (one, other)]
    longest_s = None if None in heard_s else min(s for s in heard_s if s is not None)
    return {
        **({} if longest_s is None else {"longest_trained_s": longest_s}),
        # The blend is complete in itself: where it has no LoRA, neither has the result.
        "lora_start": "base" if has_lora else "fresh",
        "mode": "blend",
        "blend": {"weight": weight, "first": about(one), "second": about(other)},
    }
