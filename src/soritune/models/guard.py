"""Whatever is wrong with a model folder, while it is opened, becomes one line that names it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from soritune.errors import UserError
from soritune.models.checkpoint import ADAPTER_FOLDER

_REMEDY = "take the model again from where it came from"
# How configurations call their numbers of layers: num_hidden_layers, encoder_layers, num_blocks.
_COUNTS = ("layers", "blocks")
_SHOWN_CHARACTERS = 200


@contextmanager
def model_errors(source: object) -> Iterator[None]:
    """Turn any failure of the block into a UserError that begins with the model's name.

    Tokenizers, templates, configurations and tensors are read by several libraries, each with
    exceptions of its own. What is not the folder's fault stays as it is: no memory, a full GPU.
    """
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:
        if type(error).__name__ == "OutOfMemoryError" or isinstance(error, ImportError):
            raise
        reason = " ".join(str(error).split())[:_SHOWN_CHARACTERS]
        raise UserError(
            f"model {source}: cannot be opened ({type(error).__name__}: {reason}); {_REMEDY}"
        ) from error


def check_files(folder: Path) -> None:
    """Raise UserError for a pipe or a device in a model folder: reading it may never end."""
    for place in (folder, folder / ADAPTER_FOLDER):
        for path in sorted(place.iterdir()) if place.is_dir() else ():
            if path.exists() and not path.is_file() and not path.is_dir():
                raise UserError(f"{path}: is a pipe or a device, not a file; {_REMEDY}")


def check_layers(config: Mapping[str, object], num_tensors: int, where: Path) -> None:
    """Raise UserError where a configuration has more layers than there are tensors.

    Before anything is built: each layer takes time and memory, also without weights.
    """
    for key, value in config.items():
        if isinstance(value, Mapping):
            check_layers(value, num_tensors, where)
        elif key.endswith(_COUNTS) and isinstance(value, int) and value > max(1, num_tensors):
            raise UserError(
                f'{where}: "{key}" is {value:,}, but the weights have {num_tensors:,} tensors; '
                + _REMEDY
            )
