"""One run at a time in one output folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from soritune.errors import UserError
from soritune.files import storage_error

LOCK_FILE = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold `folder` (made if missing) for this process; the kernel lets go when it ends.

    Raises UserError where another process holds it, or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK_FILE).open("a+", encoding="utf-8")
    except OSError as error:
        raise storage_error(error, folder) from error
    with file:
        try:
            # A lock of this process alone: one that forked data loaders shared would outlive a
            # killed run by the seconds they need to notice.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # which of them, POSIX leaves open
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise UserError(
                f"{folder}: another soritune is at work here (process {holder}); "
                f'wait until it ends, or give the recipe another "output"'
            ) from None
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield
