"""A model as it lies on disk, in native terms, nothing read yet: what an export starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from soritune.errors import UserError
from soritune.export.lazy import LazyTensor
from soritune.export.lora import Lora, join, merge_into, of_entries, read_lora
from soritune.models import adapter_base, adapter_folder, resolve
from soritune.models.phi4mm import configuration, layout
from soritune.models.phi4mm.checkpoint import (
    ADAPTER_CONFIG_FILE,
    CONFIG_FILE,
    Entry,
    read_checkpoint,
    read_header,
    read_json,
)
from soritune.models.phi4mm.loading import read_config, sort_entries
from soritune.models.record import (
    ADAPTER_FOLDER,
    RECORD_FILE,
    TRAINED_FILE,
    check_export,
    find_base,
    lasting,
    read_record,
)

VISION_FOLDER = "vision-lora"  # as the official checkpoint names it
_MAX_DEPTH = 8  # of trainings on top of each other


@dataclass(frozen=True)
class Source:
    """A base, or what was trained on one.

    Attributes:
        name: what the user gave.
        folder: where it lies.
        base_name: hub id, folder or `builtin:…` of the base at the bottom.
        base_revision: of a hub id, None for the newest.
        base_folder: where that lies; equal to `folder` for a base itself.
        layout: of the base.
        config: the base's config.json.
        record: soritune.json of a trained model, else empty.
        base_weights: all weights of the base by native name, the vision tower too; no LoRA and no
            tied head.
        trained: those that were trained, as they were saved (fp32, whatever the base has).
        lora: the speech LoRA, None where the model has none.
        own_lora: whether that is the base's, unchanged.
        vision_lora: the vision LoRA, None where the base has none.
    """

    name: str
    folder: Path
    base_name: str
    base_revision: str | None
    base_folder: Path
    layout: Literal["native", "original"]
    config: Mapping[str, Any]
    record: Mapping[str, Any]
    base_weights: Mapping[str, LazyTensor]
    trained: Mapping[str, LazyTensor]
    lora: Lora | None
    own_lora: bool
    vision_lora: Lora | None

    @property
    def is_base(self) -> bool:
        """Whether this is a checkpoint of its own, not something on top of one."""
        return self.folder == self.base_folder

    @property
    def weights(self) -> dict[str, LazyTensor]:
        """All weights, the trained ones in the place of the base's."""
        return {**self.base_weights, **self.trained}

    def in_base_dtype(self, weights: Mapping[str, LazyTensor]) -> dict[str, LazyTensor]:
        """Weights in the dtypes that the base has them in."""
        return {name: tensor.to(self.base_weights[name].dtype) for name, tensor in weights.items()}


def open_source(name: str, revision: str | None = None, base: str | None = None) -> Source:
    """Find a model and its base; read headers only.

    Args:
        name: folder, hub id or `builtin:NAME`: a base of either layout, a model that soritune
            trained, or a PEFT folder that names its base.
        revision: of a hub id.
        base: of an adapter or a trained model, in place of the one that it names.

    Raises:
        UserError: nothing there, another model, or tensors that are missing or do not fit the
            base.
    """
    return _open(name, revision, _MAX_DEPTH, base)


def stands_on_base(name: str) -> bool:
    """Whether a model is something trained on a base, no whole one. Raises UserError: not there."""
    folder = resolve(name)
    return read_record(folder) is not None or adapter_folder(folder) is not None


def _open(name: str, revision: str | None, depth: int, instead: str | None = None) -> Source:
    if depth == 0:
        raise UserError(f"{name}: bases of bases without end; check the soritune.json files")
    folder = resolve(name, revision)
    record = read_record(folder)
    if record is not None:
        base = find_base(folder, record, instead)
        below = None if instead is not None else record.get("revision")
        return _on_base(_open(base, below, depth - 1), name, folder, record)
    adapter = adapter_folder(folder)
    if adapter is not None:
        base, below = (instead, None) if instead is not None else adapter_base(adapter)
        return _on_base(_open(base, below, depth - 1), name, folder, {})
    if instead is not None:
        raise UserError(f"{name}: is a whole model and stands on no other; leave --base out")
    return _base(name, revision, folder)


def _base(name: str, revision: str | None, folder: Path) -> Source:
    config = read_json(folder / CONFIG_FILE)
    native = read_config(config, folder)
    found = read_checkpoint(folder)
    speech: list[Entry] = []
    vision: list[Entry] = []
    weights: dict[str, LazyTensor] = {}
    taken = {id(entry) for entry in sort_entries(found, tied=native.tie_word_embeddings).base}
    for entry in found:
        if entry.native.kind == "lora":
            (vision if entry.native.adapter == layout.VISION else speech).append(entry)
        elif id(entry) in taken or layout.is_vision(entry.native):
            weights[entry.native.name] = LazyTensor.of(entry)
    source = Source(
        name=name,
        folder=folder,
        base_name=lasting(name),
        base_revision=revision,
        base_folder=folder,
        layout="original" if config["model_type"] == layout.ORIGINAL_MODEL_TYPE else "native",
        config=config,
        record={},
        base_weights=weights,
        trained={},
        lora=_own_lora(folder, config, speech, layout.SPEECH, ADAPTER_FOLDER),
        own_lora=True,
        vision_lora=_own_lora(folder, config, vision, layout.VISION, VISION_FOLDER),
    )
    for lora in (source.lora, source.vision_lora):
        if lora is not None:
            lora.check(weights, str(folder))
    return source


def _own_lora(
    folder: Path, config: Mapping[str, Any], entries: list[Entry], adapter: str, beside: str
) -> Lora | None:
    """An adapter of the base: the one among its weights, else the folder beside them."""
    place = folder / beside
    if not entries:
        if (place / ADAPTER_CONFIG_FILE).is_file():
            return read_lora(place)
        check_export(folder, has_lora=adapter != layout.SPEECH)
        return None
    shape = configuration.lora_shape(config, adapter)
    if shape is not None:
        return of_entries(entries, r=shape.r, alpha=shape.alpha, dropout=shape.dropout)
    for where in (folder, place):
        if (where / ADAPTER_CONFIG_FILE).is_file():
            record = read_json(where / ADAPTER_CONFIG_FILE)
            return of_entries(
                entries,
                r=int(record["r"]),
                alpha=float(record["lora_alpha"]),
                dropout=float(record.get("lora_dropout") or 0.0),
            )
    raise UserError(
        f"{folder}: {entries[0].key} and other LoRA tensors, but no size of the {adapter} LoRA in "
        f"{CONFIG_FILE}; add the one it was made with"
    )


def _on_base(base: Source, name: str, folder: Path, record: Mapping[str, Any]) -> Source:
    trained = dict(base.trained)
    here: set[str] = set()
    path = folder / TRAINED_FILE
    for entry in read_header(path) if path.is_file() else ():
        at = entry.native.name
        known = base.base_weights.get(at)
        if known is None or known.shape != entry.shape:
            wanted = "unknown there" if known is None else f"of shape {list(known.shape)} there"
            raise UserError(
                f"{path}: tensor {entry.key} of shape {list(entry.shape)} does not fit the base "
                f"{base.name}: it is {wanted}; take the base that it was trained on"
            )
        trained[at] = LazyTensor.of(entry)
        here.add(at)
    # As `soritune.models.load` has it: the base's own adapter stays where there is no other.
    start = record.get("lora_start", "base")
    place = adapter_folder(folder) or folder / ADAPTER_FOLDER
    new = read_lora(place) if (place / ADAPTER_CONFIG_FILE).is_file() else None
    if new is not None:
        new.check(base.base_weights, str(place))
    lora, own = new, False
    if start == "base" and (new is None or (base.lora is not None and _same(new, base.lora))):
        lora, own = base.lora, base.own_lora
    elif start == "merge":
        if base.lora is None:
            raise UserError(f"{folder / RECORD_FILE}: a LoRA to merge, but {base.name} has none")
        adapted = {f"{layer}.weight" for layer in base.lora.layers}
        if adapted.isdisjoint(here):
            # The sum of both, on the weights as they are: what vLLM can serve as an adapter.
            lora = base.lora if new is None else join(base.lora, new)
        else:
            merged = merge_into({**base.weights, **trained}, base.lora)
            trained |= {at: merged[at] for at in adapted if at not in here}
    return replace(
        base, name=name, folder=folder, record=record, trained=trained, lora=lora, own_lora=own
    )


def _same(lora: Lora, other: Lora) -> bool:
    """Whether an adapter is another one, up to the dtype that it was saved in."""
    if (lora.r, lora.alpha) != (
        other.r,
        other.alpha,
    ) or lora.tensors.keys() != other.tensors.keys():
        return False
    return all(
        torch.equal(tensor.read().to(other.tensors[name].dtype), other.tensors[name].read())
        for name, tensor in lora.tensors.items()
    )
