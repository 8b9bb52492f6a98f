"""Files that are either whole or not there."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from soritune.errors import UserError

TEMPORARY_SUFFIX = ".tmp"


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to `path` so that a kill at any moment leaves the old file or the new one.

    Raises UserError where the folder cannot be written (disk full, no permission).
    """
    with atomic_file(path) as file:
        file.write(content)


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write what `path` shall hold once the block has ended without an error.

    Raises UserError where the folder cannot be written.
    """
    # Processes of several machines may write into one folder: a process number is not enough.
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex[:12]}{TEMPORARY_SUFFIX}")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise storage_error(error, path.parent) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def storage_error(error: OSError, folder: Path) -> UserError:
    """What to tell a person whose `folder` could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError(
            f"{folder}: the disk is full; free some space and run the same command again, "
            f"it goes on where it stopped"
        )
    return UserError(f"{folder}: cannot be written ({error}); choose another output folder")


def remove_temporaries(folder: Path) -> None:
    """Remove what killed runs left half written in `folder`."""
    for path in folder.glob(f"*{TEMPORARY_SUFFIX}"):
        path.unlink(missing_ok=True)
