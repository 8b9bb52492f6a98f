"""Models as they are on disk, in native terms, nothing read yet: what loading and exports use."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from soritune.errors import UserError
from soritune.models.checkpoint import (
    ADAPTER_CONFIG_FILE,
    ADAPTER_FOLDER,
    CONFIG_FILE,
    Entry,
    read_checkpoint,
    read_header,
    read_json,
)
from soritune.models.family import Family, LoraStart
from soritune.models.guard import check_layers, model_errors
from soritune.models.lora import Lora, configured_lora, join, merge_into, read_lora
from soritune.models.lora_folder import write_lora
from soritune.models.open import Addition, open_chain
from soritune.models.other_files import check_links
from soritune.models.record import (
    BUILTIN_PREFIX,
    RECORD_FILE,
    TRAINED_FILE,
    check_export,
    stable_name,
)
from soritune.models.registry import loadable_name
from soritune.models.tensors import LazyTensor


@dataclass(frozen=True)
class StoredBase:
    """A base on disk.

    Attributes:
        layout: one of its family's layouts.
        config: its config.json.
        weights: by native name; no LoRA, and no tensor that is another one once more.
        lora: its own LoRA, None where it has none.
        other_loras: adapters that soritune does not use, by name; read for exports only.
        dropped: keys of the files that are not taken, with the reason.
    """

    folder: Path
    layout: str
    config: Mapping[str, Any]
    weights: Mapping[str, LazyTensor]
    lora: Lora | None = None
    other_loras: Mapping[str, Lora] = field(default_factory=dict)
    dropped: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class StoredModel:
    """A base, or what was trained on one.

    Attributes:
        name: what the user gave.
        folder: where it is.
        base_name: hub id, folder or `builtin:…` of the base at the bottom.
        base_revision: of a hub id, None for the newest.
        base: the base at the bottom.
        record: soritune.json of a trained model, else empty.
        trained: weights that were trained, as they were saved (fp32, whatever the base has).
        lora: None where the model has none.
        own_lora: whether the LoRA is the base's, unchanged.
        other_loras: see `StoredBase`.
    """

    family: Family
    name: str
    folder: Path
    base_name: str
    base_revision: str | None
    base: StoredBase
    record: Mapping[str, Any]
    trained: Mapping[str, LazyTensor]
    lora: Lora | None
    own_lora: bool
    other_loras: Mapping[str, Lora]

    @property
    def is_base(self) -> bool:
        """Whether this is a checkpoint of its own, not something on top of one."""
        return self.folder == self.base.folder

    @property
    def weights(self) -> dict[str, LazyTensor]:
        """All weights, the trained ones in the place of the base's."""
        return {**self.base.weights, **self.trained}

    def in_base_dtype(self, weights: Mapping[str, LazyTensor]) -> dict[str, LazyTensor]:
        """Return weights in the dtypes that the base has them in."""
        return {name: tensor.to(self.base.weights[name].dtype) for name, tensor in weights.items()}

    def merged(self, lora_weight: float | None) -> tuple[dict[str, LazyTensor], float | None]:
        """Return all weights in the base's dtypes, the LoRA in them, and how much of it is.

        Args:
            lora_weight: share of the LoRA; None is all of it.
        """
        if self.lora is None:
            return self.in_base_dtype(self.weights), None
        share = 1.0 if lora_weight is None else lora_weight
        return self.in_base_dtype(merge_into(self.weights, self.lora, share)), share

    def write_adapter(self, lora: Lora, folder: Path) -> None:
        """Write an adapter of this model as a PEFT folder that names its base."""
        base = (loadable_name(self.base_name), self.base_revision)
        write_lora(lora, folder, self.family.lora, *base, weights=self.base.weights)

    def trained_parts(self) -> dict[str, int]:
        """Return the number of trained tensors of each part, the LoRA left out."""
        parts: dict[str, int] = {}
        for name in self.trained:
            part = self.family.part_of(name)
            parts[part] = parts.get(part, 0) + 1
        return parts


def open_stored(name: str, revision: str | None = None, base: str | None = None) -> StoredModel:
    """Open a model for an export or a blend; only headers are read.

    Args:
        name: folder, hub id or `builtin:NAME`: a base, a model that soritune trained, or a PEFT
            folder that names its base.
        revision: of a hub id.
        base: of an adapter or a trained model, in place of the one that it names.

    Raises:
        UserError: nothing there, another model, or tensors that are missing or do not fit the
            base.
    """
    with model_errors(name):
        return _open_stored(name, revision, base)


def _open_stored(name: str, revision: str | None, base: str | None) -> StoredModel:
    chain = open_chain(name, revision, base, whole=True)
    # What is opened here is written elsewhere: no file of another place may come along.
    for folder in (chain.base_folder, *(addition.folder for addition in chain.additions)):
        check_links(folder)
    stored = chain.family.open_base(chain.base_folder, whole=True)
    check_base(chain.family, chain.base_folder)
    for lora in (stored.lora, *stored.other_loras.values()):
        if lora is not None:
            lora.check(stored.weights, str(chain.base_folder))
    model = StoredModel(
        family=chain.family,
        name=chain.base_name,
        folder=chain.base_folder,
        base_name=stable_name(chain.base_name),
        base_revision=chain.base_revision,
        base=stored,
        record={},
        trained={},
        lora=stored.lora,
        own_lora=True,
        other_loras=stored.other_loras,
    )
    for addition in chain.additions:
        model = _with_addition(model, addition)
    return model


def brought_lora_size(source: str, revision: str | None = None) -> tuple[int, int] | None:
    """Return r and alpha of the LoRA that a model on this machine brings to its training.

    None where it brings none, where alpha is a fraction, and for what cannot be opened: `load` says
    why.
    """
    source = os.path.expanduser(source)
    if not source.startswith(BUILTIN_PREFIX) and not Path(source).is_dir():
        return None
    try:
        with model_errors(source):
            chain = open_chain(source, revision)
            lora: Lora | None = None
            start: LoraStart = "base"
            for addition in reversed(chain.additions):
                if lora is None and start == "base" and addition.adapter is not None:
                    lora = read_lora(addition.adapter)
                start = addition.start_below(start)
            if lora is None and start == "base":
                lora = chain.family.open_base(chain.base_folder).lora
    except UserError:
        return None
    if lora is None or not float(lora.alpha).is_integer():
        return None
    return lora.r, int(lora.alpha)


def check_base(family: Family, folder: Path) -> None:
    """Raise UserError where the tensors of a base are not those that its config.json describes.

    Their names and shapes, and those of its LoRA. Only headers are read: the model is made without
    memory for its values, as `load` makes it.
    """
    import torch

    def without_values(tensor: LazyTensor) -> LazyTensor:
        shape, dtype = tensor.shape, tensor.dtype
        return replace(tensor, read=lambda: torch.empty(shape, dtype=dtype, device="meta"))

    stored = family.open_base(folder)
    check_layers(stored.config, len(stored.weights), folder / CONFIG_FILE)
    weights = {name: without_values(tensor) for name, tensor in stored.weights.items()}
    meta = torch.device("meta")
    family.build(replace(stored, weights=weights), dtype=torch.float32, device=meta)
    if stored.lora is not None:
        stored.lora.check(stored.weights, str(folder))


def open_plain_base(family: Family, folder: Path) -> StoredBase:
    """Open a base whose folder has config.json, safetensors and perhaps `speech-lora/`."""
    config = read_json(folder / CONFIG_FILE)
    found = read_checkpoint(folder, family.to_native)
    entries = [entry for entry in found if entry.native.name != family.tied_head]
    return StoredBase(
        folder=folder,
        layout=family.layout_of(config),
        config=config,
        weights={entry.native.name: LazyTensor.of(entry) for entry in entries},
        lora=own_lora(folder, []),
    )


def own_lora(folder: Path, entries: list[Entry]) -> Lora | None:
    """Return the LoRA of a base: the one among its weights, else that of its `speech-lora/`.

    Some fine-tunes write the trained adapter among the weights, while `speech-lora/` may be an
    untouched copy.

    Args:
        entries: LoRA tensors among the weights.

    Raises UserError where nothing says the size of those among the weights, and where a model
    that was exported with a LoRA has lost it.
    """
    beside = folder / ADAPTER_FOLDER
    if not entries:
        if (beside / ADAPTER_CONFIG_FILE).is_file():
            return read_lora(beside)
        check_export(folder, has_lora=False)
        return None
    for place in (folder, beside):
        if (place / ADAPTER_CONFIG_FILE).is_file():
            return replace(configured_lora(place, entries), where=folder)
    raise UserError(
        f"{folder}: {entries[0].key} and other LoRA tensors, but neither {CONFIG_FILE} nor an "
        f"{ADAPTER_CONFIG_FILE} says their r and alpha; add the one it was made with"
    )


def _with_addition(base: StoredModel, addition: Addition) -> StoredModel:
    """Return a model with what was trained on it."""
    folder = addition.folder
    trained = dict(base.trained)
    here: set[str] = set()
    path = folder / TRAINED_FILE
    for entry in read_header(path) if addition.record and path.is_file() else ():
        name = entry.native.name
        known = base.base.weights.get(name)
        if known is None or known.shape != entry.shape:
            wanted = "unknown there" if known is None else f"of shape {list(known.shape)} there"
            raise UserError(
                f"{path}: tensor {entry.key} of shape {list(entry.shape)} does not fit the base "
                f"{base.name}: it is {wanted}; take the base that it was trained on"
            )
        trained[name] = LazyTensor.of(entry)
        here.add(name)
    new = None if addition.adapter is None else read_lora(addition.adapter)
    if new is not None:
        new.check(base.base.weights, str(addition.adapter))
    lora, own = new, False
    # As `load` has it: the base's own adapter stays where there is no other.
    start = addition.lora_start
    if start == "base" and (new is None or (base.lora is not None and new.equals(base.lora))):
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
            trained |= {name: merged[name] for name in adapted if name not in here}
    return replace(
        base,
        name=addition.name,
        folder=folder,
        record=addition.record,
        trained=trained,
        lora=lora,
        own_lora=own,
    )
