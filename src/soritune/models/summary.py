"""What a folder holds, from its headers and settings alone: quick at any size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from soritune.errors import UserError
from soritune.models.checkpoint import (
    ADAPTER_CONFIG_FILE,
    ADAPTER_WEIGHTS_FILE,
    CONFIG_FILE,
    Entry,
    read_checkpoint,
    read_header,
    read_json,
)
from soritune.models.family import LORA, Family
from soritune.models.guard import model_errors
from soritune.models.record import BUILTIN_PREFIX, TRAINED_FILE, find_base

ADAPTER_LAYOUT = "adapter"
TRAINED_LAYOUT = "trained"
# Layouts that all families share; the others are `Family.layouts`.
SHARED_LAYOUTS = {
    ADAPTER_LAYOUT: "adapter alone (PEFT folder)",
    TRAINED_LAYOUT: "trained by soritune (what differs from its base)",
}
OWN_ADAPTER = "speech"  # name of the LoRA that soritune trains, if it is in `speech-lora/`


@dataclass(frozen=True)
class Adapter:
    """One LoRA: where it is and how large. `alpha` is None where nothing says it."""

    name: str
    where: str  # a folder inside the one described, or "among the weights"
    r: int
    alpha: int | None
    layers: int
    parameters: int


@dataclass(frozen=True)
class Summary:
    """A model folder in figures.

    Attributes:
        family: name of the family; None for an adapter whose base is not known.
        layout: of `Family.layouts` or `SHARED_LAYOUTS`.
        tensors: number of tensors; one that is another once more (a tied head) is not counted.
        parameters: number of their values.
        parts: values of each part, of the tensors among the weights (for a trained model: of what
            was trained, its adapter included).
        dtypes: values of each dtype.
        base: of an adapter or a trained model.
        trained: what `soritune.json` says.
        serving: how each server takes the folder, or what to export first.
        problems: why it cannot be loaded, such as a tensor that is missing or of another shape.
    """

    path: str
    family: str | None
    layout: str
    tensors: int
    parameters: int
    num_bytes: int
    parts: dict[str, int]
    dtypes: dict[str, int]
    adapters: list[Adapter] = field(default_factory=list)
    base: str | None = None
    trained: dict[str, Any] | None = None
    serving: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def adapter_path(self) -> str | None:
        """Folder of the adapter, None where the model adds anything else to its base."""
        start = (self.trained or {}).get("lora_start")
        if not self.adapters or not set(self.parts) <= {LORA} or start == "merge":
            return None
        return str(Path(self.path) / self.adapters[0].where)


def layout_text(family: str | None, layout: str) -> str:
    """Return a layout in words for people."""
    from soritune.models.registry import family_named

    own = {} if family is None else family_named(family, "layout").layouts
    return {**SHARED_LAYOUTS, **own}.get(layout, layout)


def summarise_plain_base(family: Family, folder: Path) -> Summary:
    """Describe a base whose weights all belong to the model."""
    config = read_json(folder / CONFIG_FILE)
    return summarise(
        family,
        folder,
        family.layout_of(config),
        read_checkpoint(folder, family.to_native),
        adapters=adapters_beside(folder),
        problems=problems_of_base(family, folder),
    )


def problems_of_base(family: Family, folder: Path) -> list[str]:
    """Return why a base cannot be loaded; empty where it can be."""
    from soritune.models.stored import check_base

    return _problems(folder, lambda: check_base(family, folder))


def _problems_on_base(folder: Path, base: str | None) -> list[str]:
    """Return why what was trained does not fit its base, where that is a complete one and here."""
    from soritune.models.open import has_base
    from soritune.models.stored import open_stored

    here = base is not None and (base.startswith(BUILTIN_PREFIX) or Path(base).is_dir())
    if base is None or not here or has_base(base):
        return []
    return _problems(folder, lambda: open_stored(str(folder)))


def _problems(folder: Path, check: Callable[[], object]) -> list[str]:
    try:
        with model_errors(folder):
            check()
    except UserError as error:
        return [str(error)]
    return []


def summarise_adapter(folder: Path, adapter: Path) -> Summary:
    """Describe a PEFT folder without a model, itself or as `speech-lora/` in a folder."""
    from soritune.models.open import adapter_base
    from soritune.models.registry import family_of

    family: Family | None = None
    base: str | None = None
    try:
        base, revision = adapter_base(adapter)
        family = family_of(base, revision)
    except UserError:
        pass  # its base is not here; the adapter can be described all the same
    where = "." if adapter == folder else f"{adapter.name}/"
    found, entries = read_adapter(adapter, OWN_ADAPTER, where)
    return summarise(
        family,
        folder,
        ADAPTER_LAYOUT,
        entries,
        adapters=[found],
        base=base,
        problems=_problems_on_base(adapter, base),
    )


def summarise_trained(family: Family, folder: Path, record: Mapping[str, Any]) -> Summary:
    """Describe what soritune trained: the tensors that differ from the base, and their case."""
    entries: list[Entry] = []
    adapters: list[Adapter] = []
    for place in sorted(folder.glob(f"*/{ADAPTER_CONFIG_FILE}")):
        found, own = read_adapter(place.parent, OWN_ADAPTER, f"{place.parent.name}/")
        adapters.append(found)
        entries += own
    if (folder / TRAINED_FILE).is_file():
        entries += read_header(folder / TRAINED_FILE)
    left_out = ("format", "family", "tensors")
    trained = {key: value for key, value in record.items() if key not in left_out}
    base = _base_of(folder, record)
    return summarise(
        family,
        folder,
        TRAINED_LAYOUT,
        entries,
        adapters=adapters,
        base=base,
        trained=trained,
        problems=_problems_on_base(folder, base),
    )


def _base_of(folder: Path, record: Mapping[str, Any]) -> str:
    try:
        return find_base(folder, record)
    except UserError:
        return str(record["base"])


def adapters_beside(folder: Path) -> list[Adapter]:
    """Describe the LoRAs in folders beside the weights."""
    return [
        read_adapter(
            place.parent, place.parent.name.removesuffix("-lora"), f"{place.parent.name}/"
        )[0]
        for place in sorted(folder.glob(f"*/{ADAPTER_CONFIG_FILE}"))
    ]


def read_adapter(folder: Path, name: str, where: str) -> tuple[Adapter, list[Entry]]:
    """Describe the LoRA of a PEFT folder; returns its tensors as well."""
    settings = read_json(folder / ADAPTER_CONFIG_FILE)
    entries = read_header(folder / ADAPTER_WEIGHTS_FILE)
    alpha = settings.get("lora_alpha")
    return adapter_of(name, where, entries, None if alpha is None else int(alpha)), entries


def adapter_of(name: str, where: str, entries: Sequence[Entry], alpha: int | None) -> Adapter:
    """Describe the LoRA of these tensors. Raises UserError where none is of a LoRA."""
    lower = [entry for entry in entries if entry.native.name.endswith(".lora_A.weight")]
    if not lower:
        raise UserError(f"{entries[0].file if entries else where}: has no LoRA tensors")
    return Adapter(
        name=name,
        where=where,
        r=max(entry.shape[0] for entry in lower),
        alpha=alpha,
        layers=len(lower),
        parameters=sum(entry.num_values for entry in entries),
    )


def summarise(
    family: Family | None, folder: Path, layout: str, entries: Sequence[Entry], **others: Any
) -> Summary:
    """Count the tensors of a folder by part and dtype, and ask the family who serves it.

    Args:
        others: further attributes of `Summary`.
    """
    parts: Counter[str] = Counter()
    dtypes: Counter[str] = Counter()
    for entry in entries:
        parts[_part_of(family, entry)] += entry.num_values
        dtypes[entry.dtype] += entry.num_values
    summary = Summary(
        path=str(folder),
        family=None if family is None else family.name,
        layout=layout,
        tensors=len(entries),
        parameters=sum(parts.values()),
        num_bytes=sum(entry.num_bytes for entry in entries),
        parts=dict(parts.most_common()),
        dtypes=dict(dtypes.most_common()),
        **others,
    )
    serving = {} if family is None else family.serving(summary)
    if summary.problems:
        serving = dict.fromkeys(serving, "no: incomplete, see above; download or export it again")
    summary.serving.update(serving)
    return summary


def _part_of(family: Family | None, entry: Entry) -> str:
    if entry.native.kind == "lora":
        other = entry.native.adapter not in (None, OWN_ADAPTER, "default")
        return f"{entry.native.adapter} {LORA}" if other else LORA
    return "other" if family is None else family.part_of(entry.native.name)
