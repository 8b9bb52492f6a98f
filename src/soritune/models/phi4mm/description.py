"""What `soritune inspect` says of the family: its adapters, what is missing, who serves it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from soritune.models.checkpoint import CONFIG_FILE, Entry, read_checkpoint, read_json
from soritune.models.family import Family
from soritune.models.phi4mm import layout
from soritune.models.phi4mm.configuration import lora_shape
from soritune.models.serving import VLLM_MAX_RANKS, vllm_max_rank
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


def serving(summary: Summary) -> dict[str, str]:
    """Return how vLLM and transformers serve a folder, or what to export first."""
    path = summary.path
    to = f"no; first: soritune export {path} --out DIR --to"
    speech = next(
        (a for a in summary.adapters if a.name == layout.SPEECH and a.where.endswith("/")), None
    )
    if summary.layout == layout.ORIGINAL:
        vllm = f"{to} original (it needs the speech LoRA in a folder beside the weights)"
        if speech is not None:
            vllm = f"yes: {_vllm(path, f'{path}/{speech.where}', speech.r)}"
        return {"vllm": vllm, "transformers": f"{to} native (it reads that layout only)"}
    if summary.layout == layout.NATIVE:
        how = f"yes: Phi4MultimodalForCausalLM.from_pretrained({path!r})"
        if speech is not None:
            how += f", then .load_adapter({f'{path}/{speech.where}'!r})"
        if "vision" not in summary.parts:
            how += "; for speech only: the vision tower is not there"
        return {"vllm": f"{to} original (it reads that layout only)", "transformers": how}
    if summary.is_only_lora and summary.adapters:
        adapter = summary.adapters[0]
        place = path if adapter.where == "." else f"{path}/{adapter.where}"
        if vllm_max_rank(adapter.r) is None:
            vllm = f"no: it takes ranks up to {VLLM_MAX_RANKS[-1]}; first: soritune export {path} "
            vllm += f"--out DIR --to adapter --rank {VLLM_MAX_RANKS[-1]}, or --to original"
        else:
            vllm = f"yes: {_vllm('BASE', place, adapter.r)} (BASE: its base, original layout)"
        native = f"yes, on its base in the native layout: model.load_adapter({place!r})"
        return {"vllm": vllm, "transformers": native}
    return {
        "vllm": f"{to} original (more than the LoRA was trained)",
        "transformers": f"{to} native (more than the LoRA was trained)",
    }


def _vllm(base: str, adapter: str, r: int) -> str:
    return (
        f"vllm serve {base} --trust-remote-code --enable-lora --max-lora-rank "
        f"{vllm_max_rank(r)} --lora-modules speech={adapter.rstrip('/')}"
    )
