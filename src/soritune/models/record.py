"""soritune.json, which lies in a trained model: what it stands on and which tensors it has.

A base that is a folder is written down twice: absolutely, and relative to the trained model, so
that both may be moved together. Tensors are listed by file, so that one that got lost is noticed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from soritune.errors import UserError
from soritune.models.phi4mm.checkpoint import ADAPTER_WEIGHTS_FILE, Entry, read_header

RECORD_FILE = "soritune.json"
EXPORT_FILE = "soritune-export.json"  # of a whole model that soritune wrote
TRAINED_FILE = "trained.safetensors"
ADAPTER_FOLDER = "speech-lora"  # as the official checkpoint names it
FAMILIES = ("phi4mm",)
BUILTIN_PREFIX = "builtin:"


def is_hub_id(name: str) -> bool:
    """Whether a name has the form owner/name of a model on the hub."""
    return name.count("/") == 1 and not name.startswith((".", "/", "~"))


def lasting(source: str) -> str:
    """A model's name that stays right when the current directory changes."""
    return source if source.startswith(BUILTIN_PREFIX) or not _is_dir(source) else _absolute(source)


def write_record(
    folder: Path,
    place: Path,
    *,
    family: str,
    base: str,
    revision: str | None,
    about: Mapping[str, Any],
) -> None:
    """Write soritune.json into a folder whose other files are written.

    Args:
        place: where the folder will lie in the end.
        base: what `load` was given for the base: hub id, folder or "builtin:…".
        revision: of a hub id.
        about: what else is to be remembered, such as case and mode.
    """
    record: dict[str, Any] = {"format": 1, "family": family, "base": lasting(base)}
    if Path(record["base"]).is_absolute():
        record["base_beside"] = os.path.relpath(record["base"], place.resolve())
    if revision is not None:
        record["revision"] = revision
    record |= {**about, "tensors": _listed(folder)}
    text = json.dumps(record, ensure_ascii=False, indent=2) + "\n"
    (folder / RECORD_FILE).write_text(text, encoding="utf-8")


def read_record(folder: Path) -> dict[str, Any] | None:
    """soritune.json of a trained model; None where there is none.

    Raises UserError for one that cannot be read, and where a tensor that it lists is missing.
    """
    path = folder / RECORD_FILE
    if not path.is_file():
        return None
    try:
        record: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: no JSON ({error}); train or download the model anew") from None
    if not isinstance(record, dict) or record.get("family") not in FAMILIES:
        family = record.get("family") if isinstance(record, dict) else None
        raise UserError(f"{path}: unknown model family {family!r}")
    if not isinstance(record.get("base"), str):
        raise UserError(f'{path}: names no "base"; train or download the model anew')
    _check_whole(folder, record.get("tensors"))
    return record


def find_base(folder: Path, record: Mapping[str, Any], instead: str | None = None) -> str:
    """The base of a trained model, as `load` takes it.

    Args:
        instead: another place for it, which the user gave.

    Raises UserError where it was a folder that is neither where it was nor beside the model.
    """
    base = str(record["base"])
    if instead is not None:
        return instead
    if base.startswith(BUILTIN_PREFIX) or _is_dir(base):
        return base
    if "base_beside" in record:
        beside = os.path.normpath(folder.resolve() / str(record["base_beside"]))
        if _is_dir(beside):
            return beside
    elif is_hub_id(base):  # a record with "base_beside" names a folder, whatever it looks like
        return base
    raise UserError(
        f"{folder}: its base {base} is not there any more; say where it lies with --base DIR, or "
        f'write that folder as "base" into {folder / RECORD_FILE}'
    )


def check_export(folder: Path, *, has_lora: bool) -> None:
    """Raise UserError where a whole model that soritune exported with a LoRA has lost it."""
    path = folder / EXPORT_FILE
    if has_lora or not path.is_file():
        return
    try:
        lora = json.loads(path.read_text(encoding="utf-8")).get("lora")
    except (ValueError, AttributeError) as error:
        raise UserError(f"{path}: no JSON ({error}); export the model anew") from None
    if lora:
        raise UserError(
            f"{folder}: no {ADAPTER_FOLDER}/, though {EXPORT_FILE} says that it was exported with "
            f"a LoRA of rank {lora.get('r')}; copy or export the model anew"
        )


def _check_whole(folder: Path, listed: object) -> None:
    """Every tensor that a record lists must be there. Records of the first version list none."""
    if not isinstance(listed, Mapping):
        return
    for name, tensors in listed.items():
        found = {entry.native.name: _shape(entry) for entry in read_header(folder / name)}
        for tensor, shape in tensors.items():
            if found.get(tensor) != shape:
                problem = f"lacks tensor {tensor} of shape {shape}"
                if tensor in found:
                    problem = f"mis-shapes tensor {tensor}: {found[tensor]} instead of {shape}"
                raise UserError(
                    f"{folder / name} {problem}, by its {RECORD_FILE}; copy or train the model anew"
                )


def _listed(folder: Path) -> dict[str, dict[str, str]]:
    """Names (native) and shapes of the tensors that lie in a trained model, by file."""
    files = (TRAINED_FILE, f"{ADAPTER_FOLDER}/{ADAPTER_WEIGHTS_FILE}")
    return {
        name: {entry.native.name: _shape(entry) for entry in read_header(folder / name)}
        for name in files
        if (folder / name).is_file()
    }


def _shape(entry: Entry) -> str:
    return "x".join(str(size) for size in entry.shape)


def _is_dir(name: str) -> bool:
    return Path(name).is_dir()


def _absolute(name: str) -> str:
    return str(Path(name).resolve())
