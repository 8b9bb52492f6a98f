"""soritune.json, the record of a trained model: its family, its base and its tensors.

A base that is a folder is recorded twice: absolutely, and relative to the trained model, so that
both may be moved together. Tensors are listed by file, so that a lost one is noticed.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from soritune.errors import UserError
from soritune.files import write_atomically
from soritune.hub import is_hub_id
from soritune.models.checkpoint import (
    ADAPTER_FOLDER,
    ADAPTER_WEIGHTS_FILE,
    Entry,
    read_header,
    read_json,
)

RECORD_FILE = "soritune.json"
EXPORT_FILE = "soritune-export.json"  # of a complete model that soritune wrote
TRAINED_FILE = "trained.safetensors"
BUILTIN_PREFIX = "builtin:"
_FORMAT = 1
_LORA_STARTS = ("base", "merge", "fresh")  # `LoraStart`
_LISTED = (TRAINED_FILE, f"{ADAPTER_FOLDER}/{ADAPTER_WEIGHTS_FILE}")


def stable_name(source: str) -> str:
    """Return a model's name that stays right when the current directory changes."""
    if source.startswith(BUILTIN_PREFIX) or not Path(source).is_dir():
        return source
    return str(Path(source).resolve())


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
        place: where the folder will be in the end.
        base: what `load` was given for the base: hub id, folder or "builtin:…".
        revision: of a hub id.
        about: what else to record, such as case and mode.
    """
    record: dict[str, Any] = {"format": _FORMAT, "family": family, "base": stable_name(base)}
    if Path(record["base"]).is_absolute():
        record["base_beside"] = os.path.relpath(record["base"], place.resolve())
    if revision is not None:
        record["revision"] = revision
    record |= {**about, "tensors": _listed(folder)}
    text = json.dumps(record, ensure_ascii=False, indent=2) + "\n"
    write_atomically(folder / RECORD_FILE, text)


def read_record(folder: Path) -> dict[str, Any] | None:
    """Read soritune.json of a trained model; None where there is none.

    Raises UserError for one that cannot be read, and where a tensor that it lists is missing.
    """
    path = folder / RECORD_FILE
    if not path.is_file():
        return None
    record = read_json(path)
    from soritune.models.registry import family_named  # imports this module

    family_named(record.get("family"), str(path))
    if not isinstance(record.get("base"), str):
        raise UserError(f'{path}: names no "base"; train or download the model again')
    if not isinstance(record.get("tensors"), Mapping):
        raise UserError(f'{path}: lists no "tensors"; train or download the model again')
    if record.get("format", _FORMAT) != _FORMAT:
        raise UserError(f"{path}: is of another version of soritune; load the model with that one")
    for key in ("revision", "base_beside"):
        if not isinstance(record.get(key, ""), str):
            raise UserError(f'{path}: its "{key}" is not text; train or download the model again')
    if record.get("lora_start", "base") not in _LORA_STARTS:
        raise UserError(
            f'{path}: its "lora_start" is none of {", ".join(_LORA_STARTS)}; train or '
            "download the model again"
        )
    _check_tensors(folder, record["tensors"])
    return record


def longest_trained_s(folder: Path, record: Mapping[str, Any]) -> float | None:
    """Return the longest clip that a model was trained on; None where nothing says it.

    Args:
        folder: of a trained model or an exported one.
        record: soritune.json; empty where there is none.
    """
    path = folder / EXPORT_FILE
    if not record and path.is_file():
        try:
            record = read_json(path).get("trained", {})
        except UserError:
            return None  # `check_export` reports it where it matters
    value = record.get("longest_trained_s") if isinstance(record, Mapping) else None
    return float(value) if isinstance(value, int | float) and 0 < value < math.inf else None


def find_base(folder: Path, record: Mapping[str, Any]) -> str:
    """Return the recorded base of a trained model, as `load` takes it.

    Raises UserError where it was a folder that is neither where it was nor beside the model.
    """
    base = str(record["base"])
    if base.startswith(BUILTIN_PREFIX) or Path(base).is_dir():
        return base
    if "base_beside" in record:
        beside = os.path.normpath(folder.resolve() / str(record["base_beside"]))
        if Path(beside).is_dir():
            return beside
    elif is_hub_id(base):  # a record with "base_beside" names a folder, whatever it looks like
        return base
    raise UserError(
        f"{folder}: its base {base} is not there any more; say where it is with --base DIR, or "
        f'write that folder as "base" into {folder / RECORD_FILE}'
    )


def check_export(folder: Path, *, has_lora: bool) -> None:
    """Raise UserError where a complete model that soritune exported with a LoRA has lost it."""
    path = folder / EXPORT_FILE
    if has_lora or not path.is_file():
        return
    lora = read_json(path).get("lora")
    if lora:
        rank = lora.get("r") if isinstance(lora, Mapping) else "?"
        raise UserError(
            f"{folder}: no {ADAPTER_FOLDER}/, though {EXPORT_FILE} says that it was exported with "
            f"a LoRA of rank {rank}; copy or export the model again"
        )


def _check_tensors(folder: Path, listed: Mapping[str, Any]) -> None:
    """Raise UserError where a tensor that a record lists is not there."""
    for name, tensors in listed.items():
        if name not in _LISTED or not isinstance(tensors, Mapping):
            raise UserError(
                f"{folder / RECORD_FILE}: lists tensors of {name[:80]}, which no training writes; "
                "train or download the model again"
            )
        found = {entry.native.name: _shape(entry) for entry in read_header(folder / name)}
        for tensor, shape in tensors.items():
            if found.get(tensor) != shape:
                problem = f"lacks tensor {tensor} of shape {shape}"
                if tensor in found:
                    problem = f"mis-shapes tensor {tensor}: {found[tensor]} instead of {shape}"
                raise UserError(
                    f"{folder / name} {problem}, by its {RECORD_FILE}; copy or train it again"
                )


def _listed(folder: Path) -> dict[str, dict[str, str]]:
    """Return native names and shapes of the tensors of a trained model, by file."""
    return {
        name: {entry.native.name: _shape(entry) for entry in read_header(folder / name)}
        for name in _LISTED
        if (folder / name).is_file()
    }


def _shape(entry: Entry) -> str:
    return "x".join(str(size) for size in entry.shape)
