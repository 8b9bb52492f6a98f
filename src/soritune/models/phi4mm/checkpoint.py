"""What lies in a checkpoint's safetensors files, read from their headers; tensors one by one.

Neither torch nor transformers is needed until a tensor is read, and no more than one tensor is in
memory beside those that are kept: a shard is never loaded whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from soritune.errors import UserError
from soritune.models.phi4mm.layout import NativeName, is_vision, to_native

if TYPE_CHECKING:
    import torch

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
ADAPTER_CONFIG_FILE = "adapter_config.json"
ADAPTER_WEIGHTS_FILE = "adapter_model.safetensors"

# How files begin that torch.save and pickle write.
_PICKLE_MAGIC = (b"PK\x03\x04", b"\x80")
_ROWS = 4096  # compared at a time
_BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2}


@dataclass(frozen=True)
class Entry:
    """One tensor of a file: where it lies, what it is called there and natively."""

    file: Path
    key: str
    native: NativeName
    shape: tuple[int, ...]
    dtype: str  # as safetensors has it: "BF16", "F32", …

    @property
    def num_values(self) -> int:
        """Number of values (parameters)."""
        product = 1
        for size in self.shape:
            product *= size
        return product

    @property
    def num_bytes(self) -> int:
        """Size in the file."""
        return self.num_values * _BYTES.get(self.dtype, 1)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises UserError where there is none."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path.parent}: no readable {path.name} ({error}); is it a model?"
        ) from None
    if not isinstance(record, dict):
        raise UserError(f"{path}: no JSON object; download the file anew")
    return record


def weight_files(folder: Path) -> dict[str, tuple[str, ...]]:
    """Files of weights that a folder names, with the keys that its index puts there (none if it
    has no index). The files need not be there yet.

    Raises UserError for an index that points outside the folder, and where only pickled weights
    are to be had.
    """
    index_path = folder / INDEX_FILE
    if not index_path.is_file():
        if not (folder / WEIGHTS_FILE).is_file():
            raise UserError(f"{folder}: no {WEIGHTS_FILE} and no {INDEX_FILE}{_pickles(folder)}")
        return {WEIGHTS_FILE: ()}
    weight_map = read_json(index_path).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise UserError(f'{index_path}: no "weight_map"; download the file anew')
    files: dict[str, list[str]] = {}
    for key, name in weight_map.items():
        path = PurePosixPath(str(name))
        if path.is_absolute() or ".." in path.parts or "\\" in str(name):
            raise UserError(
                f"{index_path}: {key} is said to lie in {name}, outside the folder; soritune reads "
                "the shards beside the index only: take the checkpoint from a source you trust"
            )
        files.setdefault(str(path), []).append(key)
    return {name: tuple(keys) for name, keys in sorted(files.items())}


def read_checkpoint(folder: Path, *, vision: bool = True) -> list[Entry]:
    """All tensors of a model folder in either layout, by headers alone.

    Without `vision`, a shard that by the index holds nothing else may be missing.

    Raises UserError, in one line, for shards that are missing, cut off, pickled or not what the
    index says, and for a tensor that is there twice.
    """
    entries: list[Entry] = []
    for name, keys in weight_files(folder).items():
        only_vision = bool(keys) and all(is_vision(to_native(key)) for key in keys)
        if not vision and only_vision and not (folder / name).exists():
            continue
        found = read_header(folder / name)
        missing = sorted(set(keys) - {entry.key for entry in found})
        if missing:
            raise UserError(
                f"{folder / name}: no tensor {missing[0]} ({len(missing)} such), though "
                f"{INDEX_FILE} has it there; download the checkpoint anew"
            )
        entries += found
    check_unique(entries)
    return entries


def read_header(path: Path) -> list[Entry]:
    """The tensors of one safetensors file. Raises UserError for any other or a damaged file."""
    try:
        with path.open("rb") as file:
            start = file.read(9)
        # Eight bytes of length, then JSON: a length may begin as a pickle does.
        if start.startswith(_PICKLE_MAGIC) and start[8:] != b"{":
            raise UserError(
                f"{path}: this is a pickle under another name, which could run any code; soritune "
                "reads safetensors only"
            )
        with safe_open(str(path), framework="numpy") as tensors:
            return [_entry(path, key, tensors.get_slice(key)) for key in tensors.keys()]  # noqa: SIM118
    except FileNotFoundError:
        raise UserError(f"{path}: no such file{_pickles(path.parent)}") from None
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{path}: cut off or damaged ({' '.join(str(error).split())}); download it anew"
        ) from None


def _entry(path: Path, key: str, piece: Any) -> Entry:
    return Entry(path, key, to_native(key), tuple(piece.get_shape()), str(piece.get_dtype()))


def check_unique(entries: Iterable[Entry]) -> None:
    """Raise UserError where two tensors are one and the same in native terms."""
    seen: dict[NativeName, Entry] = {}
    for entry in entries:
        other = seen.setdefault(entry.native, entry)
        if other is not entry:
            raise UserError(
                f"{entry.file}: {entry.key} is there twice, also as {other.key} in "
                f"{other.file.name}; which of the two counts cannot be known"
            )


def read_tensor(entry: Entry) -> torch.Tensor:
    """One tensor in memory of its own; the file is let go again."""
    # Opened for each tensor, because pages of an open file count as memory as long as it is open.
    with safe_open(str(entry.file), framework="pt") as tensors:
        tensor: torch.Tensor = tensors.get_tensor(entry.key)
        return tensor.clone()


def same_values(first: Entry, second: Entry) -> bool:
    """Whether two tensors are the same, a few rows in memory at a time."""
    if (first.shape, first.dtype) != (second.shape, second.dtype):
        return False
    with (
        safe_open(str(first.file), framework="pt") as a,
        safe_open(str(second.file), framework="pt") as b,
    ):
        one, other = a.get_slice(first.key), b.get_slice(second.key)
        return all(
            bool((one[start : start + _ROWS] == other[start : start + _ROWS]).all())
            for start in range(0, first.shape[0], _ROWS)
        )


def check_match(
    wanted: dict[str, tuple[int, ...]], found: Sequence[Entry], folder: Path, advice: str
) -> None:
    """Raise UserError unless `found` are exactly the tensors `wanted`, shapes by native names.

    The line names the first tensor that is missing, extra or of another shape, and how many.
    """
    by_name = {entry.native.name: entry for entry in found}
    missing = sorted(set(wanted) - set(by_name))
    extra = sorted(set(by_name) - set(wanted))
    shaped = sorted(n for n in set(wanted) & set(by_name) if wanted[n] != by_name[n].shape)
    if missing:
        problem = f"lacks tensor {missing[0]} ({len(missing)} such)"
    elif extra:
        problem = f"has an unknown tensor {by_name[extra[0]].key} ({len(extra)} such)"
    elif shaped:
        problem = (
            f"mis-shapes tensor {by_name[shaped[0]].key}: {list(by_name[shaped[0]].shape)} instead "
            f"of {list(wanted[shaped[0]])} ({len(shaped)} such)"
        )
    else:
        return
    raise UserError(f"{folder} {problem}; {advice}")


def _pickles(folder: Path) -> str:
    pickled = sorted(path.name for end in ("bin", "pt", "pth") for path in folder.glob(f"*.{end}"))
    if not pickled:
        return "; is the checkpoint whole?"
    return (
        f"; {pickled[0]} is a pickle, which could run any code: soritune reads safetensors only, "
        "take a safetensors version of the checkpoint"
    )
