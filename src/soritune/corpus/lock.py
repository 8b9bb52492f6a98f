"""One process at a time in a corpus folder.

POSIX record locks: they end with their process, even by kill -9, and reach over network file
systems. The lock file is there only while somebody works (or was killed).
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from soritune.errors import UserError
from soritune.files import storage_error

LOCK_FILE = ".lock"
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


@contextmanager
def whole(folder: Path) -> Iterator[None]:
    """Hold `folder` (made if missing) alone. Raises UserError where somebody is at work in it."""
    file = _lock(folder)
    if file is None:
        raise _busy(folder)
    with file:
        try:
            yield
        finally:
            (folder / LOCK_FILE).unlink(missing_ok=True)


def _busy(folder: Path) -> UserError:
    return UserError(
        f"{folder}: another soritune is preparing this corpus; wait until it ends, "
        f"or give the recipe another output"
    )


def _lock(folder: Path) -> IO[bytes] | None:
    """The locked file, None where others hold it."""
    path = folder / LOCK_FILE
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = path.open("a+b")
        except OSError as error:
            raise storage_error(error, folder) from error
        try:
            if not _try_lock(file, folder):
                file.close()
                return None
            # Somebody may have taken the file away between opening and locking it.
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        except FileNotFoundError:
            pass
        except BaseException:
            file.close()
            raise
        file.close()


def _try_lock(file: IO[bytes], folder: Path) -> bool:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # which of them, POSIX leaves open
        return False
    except OSError as error:
        if error.errno in NO_LOCKS:
            raise UserError(
                f"{folder}: its file system knows no locks ({error}); prepare in a local folder "
                f"and copy the result"
            ) from error
        raise
    return True
