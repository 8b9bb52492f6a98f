"""What a folder holds, from its headers and settings alone: quick at any size, no torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from soritune.errors import UserError
from soritune.models.family import LORA
from soritune.models.phi4mm import layout
from soritune.models.phi4mm.checkpoint import (
    ADAPTER_CONFIG_FILE,
    ADAPTER_WEIGHTS_FILE,
    CONFIG_FILE,
    Entry,
    read_checkpoint,
    read_header,
    read_json,
)
from soritune.models.phi4mm.configuration import lora_shape
from soritune.models.phi4mm.expected import is_tied, problems
from soritune.models.phi4mm.parts import part_of
from soritune.models.record import TRAINED_FILE, read_record

Layout = Literal["original", "native", "adapter", "trained"]
_LAYOUTS: dict[Any, Layout] = {
    layout.ORIGINAL_MODEL_TYPE: "original",
    layout.NATIVE_MODEL_TYPE: "native",
}


@dataclass(frozen=True)
class Adapter:
    """One LoRA: where it lies and how large it is. `alpha` is None where nothing says it."""

    name: str
    where: str  # a folder inside the one looked at, or "among the weights"
    r: int
    alpha: int | None
    layers: int
    parameters: int


@dataclass(frozen=True)
class Summary:
    """A model folder in figures. Counts are of values; a tied head is not counted.

    `parts` and `dtypes` are of the tensors among the weights (for a trained model: of what was
    trained, its adapter too). `trained` is what `soritune.json` says. `problems` are tensors that a
    base lacks by its config.json, or has too much.
    """

    path: str
    layout: Layout
    tensors: int
    parameters: int
    num_bytes: int
    parts: dict[str, int]
    dtypes: dict[str, int]
    adapters: list[Adapter] = field(default_factory=list)
    base: str | None = None  # of an adapter or a trained model
    trained: dict[str, Any] | None = None
    serving: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def part_of_entry(entry: Entry) -> str:
    """The part of a tensor; the vision LoRA is a part of its own."""
    if entry.native.kind == "lora" and entry.native.adapter == layout.VISION:
        return "vision LoRA"
    return part_of(entry.native.name)


def adapters_among(entries: Iterable[Entry], config: dict[str, Any]) -> list[Adapter]:
    """The LoRAs whose tensors lie among a checkpoint's own."""
    by_name: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.native.kind == "lora":
            by_name.setdefault(entry.native.adapter or layout.SPEECH, []).append(entry)
    found = []
    for name, own in sorted(by_name.items()):
        shape = lora_shape(config, name)
        found.append(_adapter(name, "among the weights", own, shape.alpha if shape else None))
    return found


def adapter_in(folder: Path, name: str, where: str) -> tuple[Adapter, list[Entry]]:
    """The LoRA of a PEFT folder, with its tensors."""
    settings = read_json(folder / ADAPTER_CONFIG_FILE)
    entries = read_header(folder / ADAPTER_WEIGHTS_FILE)
    alpha = settings.get("lora_alpha")
    return _adapter(name, where, entries, int(alpha) if alpha is not None else None), entries


def _adapter(name: str, where: str, entries: Sequence[Entry], alpha: int | None) -> Adapter:
    lower = [entry for entry in entries if entry.native.name.endswith(".lora_A.weight")]
    if not lower:
        raise UserError(f"{entries[0].file if entries else where}: no LoRA tensors in there")
    return Adapter(
        name=name,
        where=where,
        r=max(entry.shape[0] for entry in lower),
        alpha=alpha,
        layers=len(lower),
        parameters=sum(entry.num_values for entry in entries),
    )


def summarise_base(folder: Path) -> Summary:
    """A base of either layout. Raises UserError for another model and for damaged files."""
    config = read_json(folder / CONFIG_FILE)
    kind = _LAYOUTS.get(config.get("model_type"))
    if kind is None:
        raise UserError(
            f"{folder / CONFIG_FILE} has model type {config.get('model_type')!r}; soritune reads "
            f"{layout.NATIVE_MODEL_TYPE} and {layout.ORIGINAL_MODEL_TYPE} (Phi-4-multimodal)"
        )
    entries = read_checkpoint(folder, vision=False)
    found = problems(entries, config)
    if is_tied(config):
        entries = [entry for entry in entries if entry.native.name != layout.TIED_HEAD]
    adapters = adapters_among(entries, config)
    for place in sorted(folder.glob(f"*/{ADAPTER_CONFIG_FILE}")):
        name = place.parent.name
        adapters.append(adapter_in(place.parent, name.removesuffix("-lora"), f"{name}/")[0])
    return _summary(folder, kind, entries, adapters=adapters, problems=found)


def summarise_adapter(folder: Path, adapter: Path, base: str | None) -> Summary:
    """A PEFT folder without a model, itself or as `speech-lora/` in a folder."""
    where = "." if adapter == folder else f"{adapter.name}/"
    found, entries = adapter_in(adapter, layout.SPEECH, where)
    return _summary(folder, "adapter", entries, adapters=[found], base=base)


def summarise_trained(folder: Path) -> Summary:
    """What soritune trained: the tensors that differ from the base, and the case they are from."""
    record = read_record(folder)
    assert record is not None, folder
    entries: list[Entry] = []
    adapters: list[Adapter] = []
    for place in sorted(folder.glob(f"*/{ADAPTER_CONFIG_FILE}")):
        found, own = adapter_in(place.parent, layout.SPEECH, f"{place.parent.name}/")
        adapters.append(found)
        entries += own
    if (folder / TRAINED_FILE).is_file():
        entries += read_header(folder / TRAINED_FILE)
    left_out = ("format", "family", "tensors")
    trained = {key: value for key, value in record.items() if key not in left_out}
    base = str(record.get("base"))
    return _summary(folder, "trained", entries, adapters=adapters, base=base, trained=trained)


def _summary(folder: Path, kind: Layout, entries: Sequence[Entry], **others: Any) -> Summary:
    parts: Counter[str] = Counter()
    dtypes: Counter[str] = Counter()
    for entry in entries:
        parts[part_of_entry(entry)] += entry.num_values
        dtypes[entry.dtype] += entry.num_values
    summary = Summary(
        path=str(folder),
        layout=kind,
        tensors=len(entries),
        parameters=sum(parts.values()),
        num_bytes=sum(entry.num_bytes for entry in entries),
        parts=dict(parts.most_common()),
        dtypes=dict(dtypes.most_common()),
        **others,
    )
    if summary.problems:
        told = "no: not whole, see above; download or export it anew"
        summary.serving.update(vllm=told, transformers=told)
    else:
        summary.serving.update(serving(summary))
    return summary


# Ranks that vLLM makes room for (its --max-lora-rank).
_VLLM_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)


def vllm_rank(r: int) -> int | None:
    """The value of vLLM's --max-lora-rank for an adapter; None where it has none as large."""
    return next((rank for rank in _VLLM_RANKS if rank >= r), None)


def serving(summary: Summary) -> dict[str, str]:
    """How vLLM and transformers serve a folder, or what to export first."""
    path = summary.path
    to = f"no; first: soritune export {path} --out DIR --to"
    speech = next(
        (a for a in summary.adapters if a.name == layout.SPEECH and a.where.endswith("/")), None
    )
    if summary.layout == "original":
        vllm = f"{to} original (it needs the speech LoRA in a folder beside the weights)"
        if speech is not None:
            vllm = f"yes: {_vllm(path, f'{path}/{speech.where}', speech.r)}"
        return {"vllm": vllm, "transformers": f"{to} native (it reads that layout only)"}
    if summary.layout == "native":
        how = f"yes: Phi4MultimodalForCausalLM.from_pretrained({path!r})"
        if speech is not None:
            how += f", then .load_adapter({f'{path}/{speech.where}'!r})"
        if "vision" not in summary.parts:
            how += "; for speech only: the vision tower is not there"
        return {"vllm": f"{to} original (it reads that layout only)", "transformers": how}
    if set(summary.parts) <= {LORA} and (summary.trained or {}).get("lora_start") != "merge":
        adapter = summary.adapters[0]
        place = path if adapter.where == "." else f"{path}/{adapter.where}"
        if vllm_rank(adapter.r) is None:
            vllm = f"no: it takes ranks up to {_VLLM_RANKS[-1]}; first: soritune export {path} " + (
                f"--out DIR --to adapter --rank {_VLLM_RANKS[-1]}, or --to original"
            )
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
        f"{vllm_rank(r)} --lora-modules speech={adapter.rstrip('/')}"
    )
