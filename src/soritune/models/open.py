"""Opens models: finds them, follows the chain of bases that they are built on, loads them.

A trained model names its base, an adapter too, and that base may have been trained on another. The
chain is followed by reading settings and headers; `load`, `describe` and `export` all use it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soritune import hub
from soritune.errors import UserError
from soritune.hub import is_hub_id
from soritune.models.checkpoint import (
    ADAPTER_CONFIG_FILE,
    ADAPTER_FILES,
    ADAPTER_FOLDER,
    CONFIG_FILE,
    read_json,
)
from soritune.models.family import Family, LoraStart
from soritune.models.guard import check_files, check_layers, model_errors
from soritune.models.record import (
    BUILTIN_PREFIX,
    EXPORT_FILE,
    RECORD_FILE,
    find_base,
    longest_trained_s,
    read_record,
    stable_name,
)
from soritune.models.registry import builtin_folder, family_named, family_of_config

if TYPE_CHECKING:
    import torch

    from soritune.models.loaded import LoadedModel
    from soritune.models.summary import Summary

# Settings and tokenizer: small, and they say which weights are needed.
_SETTINGS = ("*.json", "*.txt", "*.jinja")
_NOT_NEEDED = ("vision-lora/*", "examples/*", "figures/*", "onnx/*")


@dataclass(frozen=True)
class Addition:
    """What one training, or an adapter, adds to the model below it.

    Attributes:
        name: as it was asked for.
        revision: of a hub id.
        folder: where it is.
        record: its soritune.json; empty for an adapter alone.
        adapter: PEFT folder of its LoRA; None where it has none.
    """

    name: str
    revision: str | None
    folder: Path
    record: Mapping[str, Any]
    adapter: Path | None

    @property
    def lora_start(self) -> LoraStart:
        """What became of the LoRA below it when it was trained."""
        start: LoraStart = self.record.get("lora_start", "base")
        return start

    def start_below(self, start: LoraStart) -> LoraStart:
        """Return what becomes of the LoRA below, where `start` is asked for its own."""
        if not self.record:
            return "fresh"
        # A trained adapter takes the place of the one below.
        replaced = self.lora_start == "base" and (self.adapter is not None or start == "fresh")
        return "fresh" if replaced else self.lora_start


@dataclass(frozen=True)
class Chain:
    """A base and what was trained on it, from the bottom up.

    Attributes:
        base_name: of the base at the bottom: hub id, folder or "builtin:…".
        base_revision: of a hub id; None for the newest.
        base_folder: where the base is.
        config: its config.json.
    """

    family: Family
    base_name: str
    base_revision: str | None
    base_folder: Path
    config: Mapping[str, Any]
    additions: tuple[Addition, ...] = ()


def resolve(source: str, revision: str | None = None, *, whole: bool = False) -> Path:
    """Return the folder of a model: a path, `builtin:NAME`, or a hub id, which is downloaded.

    Args:
        revision: of a hub id.
        whole: download all the files beside the weights, not only what loading needs.

    Raises UserError where nothing of that name is found.
    """
    if source.startswith(BUILTIN_PREFIX):
        return builtin_folder(source)
    if Path(source).is_dir():
        return Path(source)
    if not is_hub_id(source):
        raise UserError(f"model {source}: no such folder, and not a hub id of the form owner/name")
    if whole:
        return hub.download(source, revision)
    folder = hub.download(source, revision, allow=_SETTINGS, ignore=_NOT_NEEDED)
    if (folder / CONFIG_FILE).is_file():
        config = read_json(folder / CONFIG_FILE)
        needed = tuple(family_of_config(config, str(folder / CONFIG_FILE)).needed_files(folder))
    else:
        needed = ("*.safetensors", *ADAPTER_FILES)
    return hub.download(source, revision, allow=(*_SETTINGS, *needed), ignore=_NOT_NEEDED)


def open_chain(
    source: str, revision: str | None = None, base: str | None = None, *, whole: bool = False
) -> Chain:
    """Find a model and all that it is built on, reading settings and headers only.

    Args:
        source: folder, hub id or `builtin:NAME`.
        revision: of a hub id.
        base: of an adapter or a trained model, in place of the one that it names.
        whole: download all the files beside the weights, not only what loading needs.

    Raises UserError where something is not there, damaged, or of an unknown family.
    """
    source = os.path.expanduser(source)
    for given in (source, base):
        if given is not None:
            hub.require_folder(given, f"model {given}")
    additions: list[Addition] = []
    name, seen = source, set[Path]()
    while True:
        folder = resolve(name, revision, whole=whole)
        if _is_adapter_of_trained(folder):
            folder, name = folder.parent, str(Path(name).parent)
        if folder.resolve() in seen:
            raise UserError(
                f"{folder}: names itself as its base; train or download the model again"
            )
        seen.add(folder.resolve())
        check_files(folder)
        record = read_record(folder)
        adapter = adapter_folder(folder) if record is None else _adapter_of(folder)
        if record is None and adapter is None:
            break
        additions.append(Addition(name, revision, folder, record or {}, adapter))
        if base is not None:
            name, revision, base = base, None, None
        elif record is not None:
            name, revision = find_base(folder, record), record.get("revision")
        elif adapter is not None:
            name, revision = adapter_base(adapter)
    if base is not None:
        raise UserError(f"{source}: is a complete model without a base; leave --base out")
    config = read_json(folder / CONFIG_FILE)
    family = family_of_config(config, str(folder / CONFIG_FILE))
    for addition in additions:
        recorded = addition.record.get("family", family.name)
        if family_named(recorded, str(addition.folder / RECORD_FILE)) is not family:
            raise UserError(
                f"{addition.folder}: was trained on a model of family {recorded}, but its base "
                f"{name} is of family {family.name}; give the right one with --base DIR"
            )
    return Chain(family, name, revision, folder, config, tuple(reversed(additions)))


def load(
    source: str | Path,
    *,
    revision: str | None = None,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    merge: bool = False,
    lora: LoraStart = "base",
    base: str | None = None,
) -> LoadedModel:
    """Load a base, an adapter with its base, or a model that soritune trained.

    Args:
        source: folder, hub id or `builtin:NAME`.
        revision: of a hub id.
        device: default: the GPU where there is one.
        dtype: default: bfloat16 on a GPU, float32 elsewhere.
        merge: add the LoRA to the weights, for decoding: faster, and as exact, because the sum is
            made in float32 and rounded once.
        lora: what becomes of the LoRA that the source brings: "base" keeps it, to decode with or
            to train on; "merge" adds it to the weights, so that a new one can be put on; "fresh"
            leaves it out.
        base: of an adapter or a trained model, in place of the one that it names.

    Raises:
        UserError: nothing there, another model, tensors missing or left over.
    """
    import torch

    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if dtype is None or dtype == "auto":
        dtype = torch.bfloat16 if place.type == "cuda" else torch.float32
    elif isinstance(dtype, str):
        dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[dtype]

    with model_errors(source):
        chain = open_chain(str(source), revision, base)
        model = load_chain(chain, dtype, place, lora)
    if merge:
        model.merge_lora()
    return model


def load_chain(
    chain: Chain, dtype: torch.dtype, device: torch.device, lora: LoraStart
) -> LoadedModel:
    """Load a base and, one after another, what was trained on it; see `load`."""
    starts = [lora]  # what becomes of the LoRA of each, from the top down
    for addition in reversed(chain.additions):
        starts.append(addition.start_below(starts[-1]))
    start = starts.pop()

    stored = chain.family.open_base(chain.base_folder)
    check_layers(stored.config, len(stored.weights), chain.base_folder / CONFIG_FILE)
    model = chain.family.build(stored, dtype=dtype, device=device)
    model.base, model.revision = stable_name(chain.base_name), chain.base_revision
    model.lora_start = start
    model.longest_trained_s = longest_trained_s(chain.base_folder, {})
    if start != "fresh" and stored.lora is not None:
        model.load_lora(stored.lora)
    if start == "merge":
        model.merge_own_lora()
    for addition in chain.additions:
        start = starts.pop()
        _load_addition(model, addition, start)
    return model


def _load_addition(model: LoadedModel, addition: Addition, start: LoraStart) -> None:
    from soritune.models.lora import read_lora

    # The last training counts: what earlier ones heard may be forgotten.
    model.longest_trained_s = longest_trained_s(
        addition.adapter or addition.folder, addition.record
    )
    if addition.record:
        model.load_trained(addition.folder, with_lora=start != "fresh")
        if start == "base":
            model.lora_start = addition.lora_start
    elif addition.adapter is not None and start != "fresh":
        model.load_lora(read_lora(addition.adapter))
    if start == "merge":
        model.base, model.revision = stable_name(addition.name), addition.revision
        model.merge_own_lora()
        # What is in the weights now is found again in this folder, not in the base.
        model.lora_start, model.carried = "merge", set()


def check_opens(source: str, revision: str | None = None) -> None:
    """Open a folder or a built-in model as far as settings and headers go.

    A hub id is not looked at: a run downloads what is missing of it.

    Raises UserError where it could not be loaded.
    """
    source = os.path.expanduser(source)
    if not source.startswith(BUILTIN_PREFIX) and not Path(source).is_dir():
        return
    with model_errors(source):
        chain = open_chain(source, revision)
        chain.family.open_base(chain.base_folder)


def describe(source: str | Path, *, revision: str | None = None) -> Summary:
    """Say what a folder, built-in or already downloaded model holds, without loading it.

    Raises UserError where it is not a model, damaged, or not on this machine.
    """
    with model_errors(source):
        return _describe(str(source), revision)


def _describe(name: str, revision: str | None) -> Summary:
    from soritune.models import summary

    hub.require_folder(name, f"model {name}")
    folder: Path | None = Path(name)
    if not Path(name).is_dir():
        folder = hub.cached_folder(name, revision) if is_hub_id(name) else resolve(name)
    if folder is None:
        raise UserError(
            f"model {name}: no such folder, and not downloaded yet; soritune run with --check says "
            "what a recipe would download"
        )
    check_files(folder)
    record = read_record(folder)
    adapter = adapter_folder(folder)
    if record is None and adapter is None:
        config = read_json(folder / CONFIG_FILE)
        return family_of_config(config, str(folder / CONFIG_FILE)).describe_base(folder)
    if record is not None:
        family = family_named(record["family"], str(folder / RECORD_FILE))
        return summary.summarise_trained(family, folder, record)
    assert adapter is not None
    return summary.summarise_adapter(folder, adapter)


def has_base(source: str) -> bool:
    """Return whether a model was trained on a base or is an adapter, not a complete one.

    Raises UserError where it is not there.
    """
    with model_errors(source):
        hub.require_folder(source, f"model {source}")
        folder = resolve(source)
        return read_record(folder) is not None or adapter_folder(folder) is not None


def _is_adapter_of_trained(folder: Path) -> bool:
    """Return whether a folder is the adapter in a trained model, which may be more than that."""
    return (folder / ADAPTER_CONFIG_FILE).is_file() and read_record(folder.parent) is not None


def _adapter_of(folder: Path) -> Path | None:
    """Return the PEFT folder of a trained model."""
    place = folder / ADAPTER_FOLDER
    return place if place.is_dir() else None


def adapter_folder(folder: Path) -> Path | None:
    """Return the PEFT folder of an adapter without a model: itself or its `speech-lora/`."""
    if (folder / CONFIG_FILE).is_file():
        return None
    for place in (folder, folder / ADAPTER_FOLDER):
        if (place / ADAPTER_CONFIG_FILE).is_file():
            return place
    return None


def adapter_base(adapter: Path) -> tuple[str, str | None]:
    """Return the base of an adapter and its revision.

    The base is the one that its adapter_config.json names, else the model folder around it.
    Raises UserError where neither is there.
    """
    path = adapter / ADAPTER_CONFIG_FILE
    settings = read_json(path)
    named, revision = settings.get("base_model_name_or_path"), settings.get("revision")
    # For other programs it names the folder of the built-in base, which another machine lacks.
    exported = read_json(adapter / EXPORT_FILE) if (adapter / EXPORT_FILE).is_file() else {}
    if str(exported.get("base")).startswith(BUILTIN_PREFIX):
        return str(exported["base"]), None
    # Official adapters name a place that exists only on the machine that made them.
    if isinstance(named, str) and Path(named).is_dir():
        return named, None
    if isinstance(named, str) and (is_hub_id(named) or named.startswith(BUILTIN_PREFIX)):
        return named, revision
    if (adapter.parent / CONFIG_FILE).is_file():
        return str(adapter.parent), None
    raise UserError(
        f'{path}: "base_model_name_or_path" is {named!r}, neither a folder here nor a hub id; '
        "write the base model's folder or hub id there"
    )
