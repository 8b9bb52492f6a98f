"""Interpolation between two models of the same shape, tensor by tensor, in fp32.

With weight w the result is w · A + (1 − w) · B (Wortsman et al. 2022, "Robust fine-tuning of
zero-shot models", https://arxiv.org/abs/2109.01903): often most of what A learned with less of
what it forgot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soritune.errors import UserError
from soritune.export import native
from soritune.export.folder import check_out, whole_folder, write_checksums
from soritune.export.lazy import LazyTensor
from soritune.export.lora import Lora, join, scaled, write_lora
from soritune.export.shards import MAX_SHARD_BYTES, Advance, write_file
from soritune.export.source import Source, open_source, stands_on_base
from soritune.models.phi4mm.loading import read_config
from soritune.models.phi4mm.model import FAMILY
from soritune.models.record import ADAPTER_FOLDER, TRAINED_FILE, write_record

_HEADROOM_BYTES = 50_000_000


@dataclass(frozen=True)
class Blended:
    """What was written: a trained model on `base`, or (`base` None) a whole native folder."""

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

    Two models on one base (or such a model and its base) give a model on that base, two whole
    folders a whole native folder. LoRAs are blended as what they add to the weights, exactly:
    the two are joined into one whose rank is the sum of theirs.

    Args:
        first, second: as `soritune.export.source.open_source` takes them.
        out: must be empty or not exist, unless `force`.
        weight: of `first`, 0–1.
        base: of those that stand on one, in place of the one that they name.
        max_shard_bytes: of a file of weights.
        progress: called with the bytes to write; gives what is called with bytes written.

    Raises:
        UserError: models of different shapes or bases, or a folder that cannot be written.
    """
    if not 0 <= weight <= 1:
        raise UserError(f"--weight {weight}: must lie between 0 and 1")
    stands = [stands_on_base(name) for name in (first, second)]
    if base is not None and not any(stands):
        raise UserError(f"{first} and {second} are whole models; leave --base out")
    one, other = (
        open_source(name, base=base if on_base else None)
        for name, on_base in zip((first, second), stands, strict=True)
    )
    check_out(out, force, (one.folder, other.folder, one.base_folder, other.base_folder))
    same_base = one.base_folder.resolve() == other.base_folder.resolve()
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
                write_lora(lora, folder / ADAPTER_FOLDER, one.base_name, one.base_revision)
            write_record(
                folder,
                out,
                family=FAMILY,
                base=one.base_name,
                revision=one.base_revision,
                about=_about(one, other, weight, kept or lora is not None),
            )
        else:
            native.write(
                one,
                one.in_base_dtype(tensors),
                lora,
                folder,
                max_shard_bytes,
                advance,
                vision_lora=False,
            )
            write_checksums(folder)
    return Blended(out, one.base_name if same_base else None, lora.r if lora else None, len(names))


def _mixed(one: LazyTensor, other: LazyTensor, weight: float) -> LazyTensor:
    """weight · one + (1 − weight) · other in the wider dtype of the two, exact at both ends."""
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
    """The adapter whose delta is the weighted mean of both; none adds nothing."""
    if weight == 1:
        return one
    if weight == 0:
        return other
    if one is None or other is None:
        only, share = (one, weight) if one is not None else (other, 1 - weight)
        return None if only is None else scaled(only, share)
    return join(scaled(one, weight), scaled(other, 1 - weight))


def _check_shapes(one: Source, other: Source) -> None:
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
    configs = [read_config(dict(source.config), source.folder) for source in (one, other)]
    for key in ("num_attention_heads", "num_key_value_heads", "rope_parameters"):
        if getattr(configs[0], key) != getattr(configs[1], key):
            raise UserError(f"{one.name} and {other.name} differ in {key} (config.json)")


def _about(one: Source, other: Source, weight: float, has_lora: bool) -> Mapping[str, Any]:
    def about(source: Source) -> dict[str, Any]:
        known = {key: source.record[key] for key in ("case", "mode") if key in source.record}
        return {"name": source.name, **known}

    return {
        # The blend is complete in itself: where it has no LoRA, neither has the result.
        "lora_start": "base" if has_lora else "fresh",
        "mode": "blend",
        "blend": {"weight": weight, "first": about(one), "second": about(other)},
    }
