"""Loading a speech LLM by hub id, folder or `builtin:` name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soritune.errors import UserError
from soritune.models.record import (
    ADAPTER_FOLDER,
    BUILTIN_PREFIX,
    find_base,
    is_hub_id,
    lasting,
    read_record,
)

if TYPE_CHECKING:
    import torch

    from soritune.models.family import SpeechModel
    from soritune.models.phi4mm.model import Phi4mm, Start
    from soritune.models.phi4mm.summary import Summary
    from soritune.models.placement import DeviceMap

_BUILTIN_FOLDER = Path(__file__).parent.parent / "bases"


def resolve(source: str, revision: str | None = None, *, whole: bool = False) -> Path:
    """Folder of a base or trained model: a path, `builtin:NAME`, or a hub id (downloaded).

    With `whole` a download has all the files beside the weights, not only what loading needs.

    Raises UserError where nothing of that name is found.
    """
    if source.startswith(BUILTIN_PREFIX):
        folder = _BUILTIN_FOLDER / source.removeprefix(BUILTIN_PREFIX)
        if not folder.is_dir():
            names = ", ".join(
                BUILTIN_PREFIX + f.name for f in sorted(_BUILTIN_FOLDER.glob("*/")) if f.is_dir()
            )
            raise UserError(f"no built-in model {source}; there are: {names or 'none'}")
        return folder
    if Path(source).is_dir():
        return Path(source)
    if not is_hub_id(source):
        raise UserError(f"model {source}: no such folder, and no hub id of the form owner/name")
    from soritune.models import hub

    return hub.download(source, revision, whole=whole)


def load(
    source: str | Path,
    *,
    revision: str | None = None,
    device: str | torch.device | None = None,
    device_map: DeviceMap | None = None,
    dtype: str | torch.dtype | None = None,
    merge: bool = False,
    lora: Start = "base",
    base: str | None = None,
) -> SpeechModel:
    """Load a base, an adapter with its base, or a model that soritune trained.

    Args:
        source: folder, hub id or `builtin:NAME`.
        revision: of a hub id.
        device: default: the GPU where there is one.
        device_map: in place of `device`, to decode with a model that is spread over several:
            "auto", or names of modules with their devices (`soritune.models.placement`).
        dtype: default: bfloat16 on a GPU, float32 elsewhere.
        merge: add the LoRA to the weights (for decoding; only done in float32, where it changes
            nothing else).
        lora: what becomes of the speech LoRA that the source brings: "base" keeps it, to decode
            with or to train on; "merge" adds it to the weights, so that a new one can be put on;
            "fresh" leaves it out.
        base: of an adapter or a trained model, in place of the one that it names.

    Raises:
        UserError: nothing there, another model, tensors missing or left over, no such device.
    """
    import torch

    if device is not None and device_map is not None:
        raise ValueError("give device or device_map, not both")
    usual = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if dtype is None or dtype == "auto":
        dtype = torch.bfloat16 if usual.type == "cuda" else torch.float32
    elif isinstance(dtype, str):
        dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[dtype]

    where = usual if device_map is None else device_map
    model = _open(str(source), revision, dtype, where, lora, (), base)
    if merge and dtype == torch.float32:
        model.merge_lora()
    model.spread()
    return model


def describe(source: str | Path, *, revision: str | None = None) -> Summary:
    """What a folder, built-in or already downloaded model holds, without loading it.

    Raises UserError where it is no model, damaged, or not on this machine.
    """
    from soritune.models import hub
    from soritune.models.phi4mm import summary

    name = str(source)
    folder: Path | None = Path(name)
    if not Path(name).is_dir():
        folder = hub.cached(name, revision) if is_hub_id(name) else resolve(name)
    if folder is None:
        raise UserError(
            f"model {name}: no such folder, and not downloaded yet; soritune run with --check says "
            "what a recipe would download"
        )
    if read_record(folder) is not None:
        return summary.summarise_trained(folder)
    adapter = adapter_folder(folder)
    if adapter is None:
        return summary.summarise_base(folder)
    try:
        base: str | None = adapter_base(adapter)[0]
    except UserError:
        base = None
    return summary.summarise_adapter(folder, adapter, base)


def _open(
    source: str,
    revision: str | None,
    dtype: torch.dtype,
    device: torch.device | DeviceMap,
    start: Start,
    way: tuple[Path, ...],
    instead: str | None = None,
) -> Phi4mm:
    """Open what a source is, and before it what it stands on."""
    from soritune.models.phi4mm.lora import in_folder
    from soritune.models.phi4mm.model import load_base

    folder = resolve(source, revision)
    if _is_adapter_of_trained(folder):
        folder, source = folder.parent, str(Path(source).parent)
    if folder.resolve() in way:
        raise UserError(f"{folder}: names itself as its base; train or download the model anew")
    way = (*way, folder.resolve())

    record = read_record(folder)
    if record is not None:
        has_adapter = (folder / ADAPTER_FOLDER).is_dir()
        recorded: Start = record.get("lora_start", "base")
        # The trained adapter takes the place of the base's.
        replaced = recorded == "base" and (has_adapter or start == "fresh")
        under: Start = "fresh" if replaced else recorded
        below = find_base(folder, record, instead)
        model = _open(below, _revision(record, instead), dtype, device, under, way)
        model.load_trained(folder, with_lora=start != "fresh")
        if start == "base":
            model.lora_start = recorded
    elif (adapter := adapter_folder(folder)) is not None:
        below, below_revision = (instead, None) if instead else adapter_base(adapter)
        model = _open(below, below_revision, dtype, device, "fresh", way)
        if start != "fresh":
            model.load_lora(in_folder(adapter))
    else:
        if instead is not None:
            raise UserError(f"{source}: is a whole model and stands on no other; leave --base out")
        name = lasting(source)
        return load_base(folder, name, revision=revision, dtype=dtype, device=device, start=start)
    if start == "merge":
        model.merge_own_lora()
        # What is in the weights now is found again in this folder, not in the base.
        model.base, model.revision = lasting(source), revision
        model.lora_start, model.carried = "merge", set()
    return model


def _is_adapter_of_trained(folder: Path) -> bool:
    """Whether a folder is the adapter inside a trained model, which may be more than that."""
    return (folder / "adapter_config.json").is_file() and read_record(folder.parent) is not None


def adapter_folder(folder: Path) -> Path | None:
    """The PEFT folder of an adapter without a model: the folder itself or its `speech-lora/`."""
    if (folder / "config.json").is_file():
        return None
    for place in (folder, folder / "speech-lora"):
        if (place / "adapter_config.json").is_file():
            return place
    return None


def _revision(record: Mapping[str, Any], instead: str | None) -> str | None:
    """The revision that belongs to a recorded base; another one given by the user has none."""
    return None if instead is not None else record.get("revision")


def adapter_base(adapter: Path) -> tuple[str, str | None]:
    """The base of an adapter and its revision: by its adapter_config.json, else the model folder
    around it.

    Raises UserError where neither is there.
    """
    path = adapter / "adapter_config.json"
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        named, revision = settings.get("base_model_name_or_path"), settings.get("revision")
    except (OSError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: no JSON ({error}); take the adapter from its origin") from None
    # The official adapters name a place that exists on the machine of their making only.
    if isinstance(named, str) and Path(named).is_dir():
        return named, None
    if isinstance(named, str) and (is_hub_id(named) or named.startswith(BUILTIN_PREFIX)):
        return named, revision
    if (adapter.parent / "config.json").is_file():
        return str(adapter.parent), None
    raise UserError(
        f'{path}: "base_model_name_or_path" is {named!r}, neither a folder here nor a hub id; '
        "write the base model's folder or hub id there"
    )
