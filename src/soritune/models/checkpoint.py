"""What a checkpoint's safetensors files hold, read from their headers; tensors one by one.

Neither torch nor transformers is needed until a tensor is read, and no more than one tensor is in
memory beside those that are kept: a shard is never loaded whole. Names are read in native terms,
those of the model in transformers; a family whose checkpoints have other names translates them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from safetensors import SafetensorError, safe_open

from soritune.errors import UserError

if TYPE_CHECKING:
    import torch

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
ADAPTER_CONFIG_FILE = "adapter_config.json"
ADAPTER_WEIGHTS_FILE = "adapter_model.safetensors"
# The folder of the adapter in a model, named as the first family's checkpoint has it.
ADAPTER_FOLDER = "speech-lora"
ADAPTER_FILES = (f"{ADAPTER_FOLDER}/*", ADAPTER_WEIGHTS_FILE)
PEFT_PREFIX = "base_model.model."

# How files begin that torch.save and pickle write.
_PICKLE_MAGIC = (b"PK\x03\x04", b"\x80")
_ROWS = 4096  # compared at a time
_BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2}
# Left behind inside names by activation checkpointing of some training runs.
_CHECKPOINT_WRAPPER = "_checkpoint_wrapped_module."
_LORA = re.compile(r"(.+)\.lora_([AB])(?:\.(\w+))?\.weight")


@dataclass(frozen=True)
class TensorName:
    """A tensor in native terms.

    `name` is the native one, without any prefix: for a LoRA as PEFT's files have it, without the
    adapter's name (`model.layers.0.mlp.down_proj.lora_A.weight`). `adapter` is the adapter that a
    key names ("speech", "vision"); None for base weights and in PEFT files, whose keys name none.
    """

    kind: Literal["base", "lora"]
    adapter: str | None
    name: str


def parse_name(key: str) -> TensorName:
    """Return the native name of a tensor whose key is native but for what wrappers add.

    PEFT's prefix `base_model.model.`, its `.base_layer` and the wrapper of activation
    checkpointing are taken off; a native name comes back as it is.
    """
    plain = key.removeprefix(PEFT_PREFIX).replace(_CHECKPOINT_WRAPPER, "")
    lora = _LORA.fullmatch(plain)
    if lora is not None:
        layer, matrix, adapter = lora.groups()
        return TensorName("lora", adapter, f"{layer}.lora_{matrix}.weight")
    return TensorName("base", None, plain.replace(".base_layer.", "."))


@dataclass(frozen=True)
class Entry:
    """One tensor of a file: where it is, its key there and its native name."""

    file: Path
    key: str
    native: TensorName
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
    """Read a JSON object. Raises UserError where the file does not hold one."""
    try:
        record = json.loads(
            path.read_text(encoding="utf-8"),
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(
            f"{path.parent}: no readable {path.name} ({error}); is it a model?"
        ) from None
    if not isinstance(record, dict):
        raise UserError(f"{path}: not a JSON object; download the file again")
    return record


def _refuse_constant(name: str) -> NoReturn:
    """Refuse what Python's json writes and reads, but JSON has not: NaN would load and be heard."""
    raise ValueError(f"{name} is not a number of JSON")


def _finite(text: str) -> float:
    """Return a number; 1e999, which is infinite for Python, is refused as well."""
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text} is too large a number")
    return value


def weight_files(folder: Path) -> dict[str, tuple[str, ...]]:
    """Return the files of weights that a folder names, with their keys by its index.

    There are no keys where the folder has no index. The files need not be there yet.

    Raises:
        UserError: the index points outside the folder, or only pickled weights are there.
    """
    index_path = folder / INDEX_FILE
    if not index_path.is_file():
        if not (folder / WEIGHTS_FILE).is_file():
            raise UserError(f"{folder}: no {WEIGHTS_FILE} and no {INDEX_FILE}{_pickles(folder)}")
        return {WEIGHTS_FILE: ()}
    weight_map = read_json(index_path).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise UserError(f'{index_path}: no "weight_map"; download the file again')
    files: dict[str, list[str]] = {}
    for key, name in weight_map.items():
        path = PurePosixPath(str(name))
        if path.is_absolute() or ".." in path.parts or "\\" in str(name):
            raise UserError(
                f"{index_path}: {key} is said to be in {name}, outside the folder; soritune reads "
                "only shards in the folder of the index: take the checkpoint from a source you "
                "trust"
            )
        files.setdefault(str(path), []).append(key)
    return {name: tuple(keys) for name, keys in sorted(files.items())}


def needed_files(folder: Path) -> tuple[str, ...]:
    """Return the files of weights that a repository must provide: by its index, or the only one."""
    indexed = (folder / INDEX_FILE).is_file()
    return (*(weight_files(folder) if indexed else (WEIGHTS_FILE,)), *ADAPTER_FILES)


def read_checkpoint(
    folder: Path,
    to_native: Callable[[str], TensorName] = parse_name,
    *,
    optional: Callable[[TensorName], bool] = lambda _: False,
) -> list[Entry]:
    """Read the headers of all weights of a model folder.

    Args:
        to_native: translates a key of the files.
        optional: a shard that by the index holds only such tensors may be missing.

    Raises:
        UserError: a shard is missing, cut off, pickled or not what the index says, or a tensor is
            there twice.
    """
    entries: list[Entry] = []
    for name, keys in weight_files(folder).items():
        spare = bool(keys) and all(optional(to_native(key)) for key in keys)
        if spare and not (folder / name).exists():
            continue
        found = read_header(folder / name, to_native)
        missing = sorted(set(keys) - {entry.key for entry in found})
        if missing:
            raise UserError(
                f"{folder / name}: no tensor {missing[0]} ({len(missing)} such), though "
                f"{INDEX_FILE} lists it there; download the checkpoint again"
            )
        entries += found
    check_unique(entries)
    return entries


def read_header(path: Path, to_native: Callable[[str], TensorName] = parse_name) -> list[Entry]:
    """Read the header of one safetensors file. Raises UserError for any other or a damaged file."""
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
            return [
                _entry(path, key, to_native(key), tensors.get_slice(key))
                for key in tensors.keys()  # noqa: SIM118
            ]
    except FileNotFoundError:
        raise UserError(f"{path}: no such file{_pickles(path.parent)}") from None
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{path}: cut off or damaged ({' '.join(str(error).split())}); download it again"
        ) from None


def _entry(path: Path, key: str, native: TensorName, piece: Any) -> Entry:
    return Entry(path, key, native, tuple(piece.get_shape()), str(piece.get_dtype()))


def check_unique(entries: Iterable[Entry]) -> None:
    """Raise UserError where two tensors have one native name."""
    seen: dict[TensorName, Entry] = {}
    for entry in entries:
        other = seen.setdefault(entry.native, entry)
        if other is not entry:
            raise UserError(
                f"{entry.file}: {entry.key} is there twice, also as {other.key} in "
                f"{other.file.name}; which of the two counts cannot be known"
            )


def read_tensor(entry: Entry) -> torch.Tensor:
    """Read one tensor into memory of its own; the file is closed again."""
    # Opened for each tensor, because pages of an open file count as memory as long as it is open.
    with safe_open(str(entry.file), framework="pt") as tensors:
        tensor: torch.Tensor = tensors.get_tensor(entry.key)
        return tensor.clone()


def same_values(first: Entry, second: Entry) -> bool:
    """Return whether two tensors are equal, comparing a few rows at a time."""
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
    expected: Mapping[str, tuple[int, ...]],
    found: Mapping[str, tuple[int, ...]],
    where: Path,
    advice: str,
) -> None:
    """Raise UserError unless the tensors found are exactly those expected: shapes by name.

    The line names the first tensor that is missing, extra or of another shape, and how many.
    """
    missing = sorted(set(expected) - set(found))
    extra = sorted(set(found) - set(expected))
    shaped = sorted(n for n in set(expected) & set(found) if expected[n] != found[n])
    if missing:
        problem = f"lacks tensor {missing[0]} ({len(missing)} such)"
    elif extra:
        problem = f"has an unknown tensor {extra[0]} ({len(extra)} such)"
    elif shaped:
        problem = (
            f"mis-shapes tensor {shaped[0]}: {list(found[shaped[0]])} instead of "
            f"{list(expected[shaped[0]])} ({len(shaped)} such)"
        )
    else:
        return
    raise UserError(f"{where} {problem}; {advice}")


def shapes_of(entries: Sequence[Entry]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of tensors by native name."""
    return {entry.native.name: entry.shape for entry in entries}


def _pickles(folder: Path) -> str:
    pickled = sorted(path.name for end in ("bin", "pt", "pth") for path in folder.glob(f"*.{end}"))
    if not pickled:
        return "; is the checkpoint complete?"
    return (
        f"; {pickled[0]} is a pickle, which could run any code: soritune reads safetensors only, "
        "take a safetensors version of the checkpoint"
    )
