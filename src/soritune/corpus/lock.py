"""Who works in a corpus folder: one process on all of it, or any number on parts of it.

POSIX record locks: they end with their process, even by kill -9, and reach over network file
systems. The lock file is there only while somebody works (or was killed).
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from soritune.errors import UserError
from soritune.files import storage_error

LOCK_FILE = ".lock"
OPENING_S = 10.0
"""How long a part waits for another one that is just opening the folder: that takes no second."""
RETRY_S = 0.1
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


@contextmanager
def whole(folder: Path) -> Iterator[None]:
    """Hold `folder` (made if missing) alone. Raises UserError where somebody is at work in it."""
    file = _lock(folder, fcntl.LOCK_EX)
    if file is None:
        raise _busy(folder)
    with file:
        try:
            yield
        finally:
            (folder / LOCK_FILE).unlink(missing_ok=True)


@contextmanager
def part(
    folder: Path, is_open: Callable[[], bool], open_folder: Callable[[], None]
) -> Iterator[None]:
    """Hold `folder` together with others that work on parts of the same corpus.

    Who comes first calls `open_folder`, alone; the others ask `is_open` whether what was opened
    is their corpus. Raises UserError where it is not, or where somebody works on the whole.
    """
    file = _lock_part(folder, is_open, open_folder)
    with file:
        try:
            yield
        finally:
            if _try_lock(file, fcntl.LOCK_EX, folder):  # the last one takes the file away
                (folder / LOCK_FILE).unlink(missing_ok=True)


def _lock_part(
    folder: Path, is_open: Callable[[], bool], open_folder: Callable[[], None]
) -> IO[bytes]:
    give_up_at = time.monotonic() + OPENING_S
    while True:
        alone = _lock(folder, fcntl.LOCK_EX)
        if alone is not None:
            try:
                open_folder()
                _try_lock(alone, fcntl.LOCK_SH, folder)  # from alone to shared, without a gap
            except BaseException:
                (folder / LOCK_FILE).unlink(missing_ok=True)
                alone.close()
                raise
            return alone
        shared = _lock(folder, fcntl.LOCK_SH)
        if shared is not None:
            if is_open():
                return shared
            shared.close()
            raise UserError(
                f"{folder}: parts of another corpus (another source or other settings) are being "
                f"prepared here; wait until they end, or give the recipe another output"
            )
        if time.monotonic() > give_up_at:
            raise _busy(folder)
        time.sleep(RETRY_S)


def _busy(folder: Path) -> UserError:
    return UserError(
        f"{folder}: another soritune is preparing this corpus; wait until it ends, "
        f"or give the recipe another output"
    )


def _lock(folder: Path, kind: int) -> IO[bytes] | None:
    """The locked file, None where others hold it."""
    path = folder / LOCK_FILE
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = path.open("a+b")
        except OSError as error:
            raise storage_error(error, folder) from error
        try:
            if not _try_lock(file, kind, folder):
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


def _try_lock(file: IO[bytes], kind: int, folder: Path) -> bool:
    try:
        fcntl.lockf(file, kind | fcntl.LOCK_NB)
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
