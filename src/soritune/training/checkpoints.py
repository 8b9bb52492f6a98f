"""Checkpoints of a training that are sealed when they are whole, and checked before they count.

The Trainer writes a checkpoint file by file. When all of them are on the disk, `seal` writes their
checksums; after a power cut, a checkpoint without its seal, or with a file that is not as it was
written, does not count, and the one before it is taken. What else a user keeps in these folders is
neither looked at nor removed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from soritune.files import file_sha256, read_regular, remove_files, sync_folder, write_atomically

SEAL_FILE = "checksums.json"
STATE_FILE = "trainer_state.json"
TRAINED_FILE = "trained.safetensors"
ELAPSED_FILE = "elapsed.json"
KEPT = 2
"""So many of the newest checkpoints are kept: one may be damaged."""
_FOLDER = "checkpoint-"  # transformers' PREFIX_CHECKPOINT_DIR, which is slow to import
_FILE = re.compile(
    rf"({re.escape(TRAINED_FILE)}|{ELAPSED_FILE}|{SEAL_FILE}|{STATE_FILE}|training_args\.bin"
    r"|(optimizer|scheduler|scaler)\.pt|rng_state(_\d+)?\.pth)(\.[0-9a-f]{12}\.tmp)?"
)
"""What the Trainer and we write into a checkpoint, half-written files included."""

Say = Callable[[str], None]


def checkpoint_folder(folder: Path, step: int) -> Path:
    """Return the folder of the checkpoint after `step`, as the Trainer names it."""
    return folder / f"{_FOLDER}{step}"


def seal(checkpoint: Path) -> None:
    """Bring all files of a checkpoint to the disk, then write their checksums beside them."""
    sync_folder(checkpoint)
    sums = {path.name: file_sha256(path) for path in _files(checkpoint) if path.name != SEAL_FILE}
    content = json.dumps(sums, indent=2)
    write_atomically(checkpoint / SEAL_FILE, content + "\n")


def fault_of(checkpoint: Path, *, num_ranks: int = 1) -> str | None:
    """Return why a checkpoint does not count, None where it is as it was written.

    With several ranks, each must also have written its random state.
    """
    try:
        sums = json.loads(read_regular(checkpoint / SEAL_FILE))
    except FileNotFoundError:
        return "was not finished"
    except (OSError, ValueError, RecursionError):
        sums = None
    if not isinstance(sums, dict) or STATE_FILE not in sums:
        return f"has a damaged {SEAL_FILE}"
    if num_ranks > 1 and len(list(checkpoint.glob("rng_state_*.pth"))) < num_ranks:
        return f"is not of {num_ranks} processes"
    for name, checksum in sums.items():
        path = checkpoint / name
        if not path.is_file():
            return f"lacks {name}"
        if file_sha256(path) != checksum:
            return f"has a damaged {name}"
    return None


def last_checkpoint(
    folder: Path, *, num_ranks: int = 1, say: Say = lambda line: None
) -> Path | None:
    """Return the newest checkpoint that is whole; `say` gets a line for each newer one."""
    for path in _newest_first(folder):
        fault = fault_of(path, num_ranks=num_ranks)
        if fault is None:
            return path
        say(f"{path}: {fault}; an earlier checkpoint, or the beginning, is taken instead")
    return None


def remove_all_but(folder: Path, checkpoint: Path | None) -> None:
    """Remove the checkpoints that do not count, so that they take the place of no good one."""
    for path in _newest_first(folder):
        if checkpoint is None or _step(path) > _step(checkpoint):
            remove_files(_files(path), folder)


def remove_oldest(folder: Path) -> None:
    """Remove all but the newest checkpoints."""
    for path in _newest_first(folder)[KEPT:]:
        remove_files(_files(path), folder)


def checkpoint_files(folder: Path) -> Iterator[Path]:
    """Yield the files of all checkpoints in a folder."""
    for path in _newest_first(folder):
        yield from _files(path)


def _newest_first(folder: Path) -> list[Path]:
    found = [path for path in folder.glob(f"{_FOLDER}*") if path.is_dir()]
    ours = (path for path in found if _step(path) >= 0 and _files(path))
    return sorted(ours, key=_step, reverse=True)


def _step(checkpoint: Path) -> int:
    """Return the number of steps, -1 for a folder of another name."""
    number = checkpoint.name.removeprefix(_FOLDER)
    return int(number) if number.isdecimal() and number.isascii() else -1


def _files(checkpoint: Path) -> list[Path]:
    return sorted(path for path in checkpoint.iterdir() if _FILE.fullmatch(path.name))
