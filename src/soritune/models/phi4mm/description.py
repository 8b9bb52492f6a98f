"""What `soritune inspect` says of the family: its adapters, what is missing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from soritune.models.checkpoint import CONFIG_FILE, Entry, read_checkpoint, read_json
from soritune.models.family import Family
from soritune.models.phi4mm import layout
from soritune.models.phi4mm.configuration import lora_shape
from soritune.models.summary import (
    Adapter,
    Summary,
    adapter_of,
    adapters_beside,
    problems_of_base,
    summarise,
)


def describe_base(family: Family, folder: Path) -> Summary:
    """Describe a base of either layout. Raises UserError for damaged files."""
    config = read_json(folder / CONFIG_FILE)
    entries = read_checkpoint(folder, layout.to_native, optional=layout.is_vision)
    if layout.is_tied(config):
        entries = [entry for entry in entries if entry.native.name != layout.TIED_HEAD]
    adapters = [*_adapters_among(entries, config), *adapters_beside(folder)]
    return summarise(
        family,
        folder,
        family.layout_of(config),
        entries,
        adapters=adapters,
        problems=problems_of_base(family, folder),
    )


def _adapters_among(entries: Iterable[Entry], config: dict[str, Any]) -> list[Adapter]:
    """Describe the LoRAs whose tensors are among a checkpoint's own."""
    by_name: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.native.kind == "lora":
            by_name.setdefault(entry.native.adapter or layout.SPEECH, []).append(entry)
    found = []
    for name, own in sorted(by_name.items()):
        shape = lora_shape(config, name)
        found.append(adapter_of(name, "among the weights", own, shape.alpha if shape else None))
    return found
