"""Atomic writes, and the one lock of an output folder."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import stat
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO

from soritune.errors import UserError

LOCK_FILE = ".lock"
_TEMPORARY = re.compile(r".+\.[0-9a-f]{12}\.tmp")
_HOLDER = re.compile(rb"\d*")
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write `content` (text as UTF-8); a kill at any moment leaves the old file or the new one.

    The file has the mode that any new file gets from the umask.

    Raises:
        UserError: the folder cannot be written (disk full, no permission), or `path` is there and
            is not a file.
    """
    with atomic_file(path) as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)


def require_place(path: Path) -> None:
    """Raise UserError where something stands at `path` that is not a file of its own.

    A file that is named for writing is replaced. A folder, a pipe or a device is not, and neither
    is a link: what it leads to was not named.
    """
    try:
        mode = path.lstat().st_mode
    except OSError:
        return  # nothing is there, or writing says what is wrong
    if not stat.S_ISREG(mode):
        kind = "a link" if stat.S_ISLNK(mode) else "a folder" if stat.S_ISDIR(mode) else ""
        raise UserError(
            f"{path}: is {kind or 'a pipe or a device'}, and would be replaced by a file. Name "
            "another file, or remove it first."
        )


def open_to_append(path: Path) -> BinaryIO:
    """Open a file to read it and to write at its end; made if missing.

    Raises OSError, and UserError where `path` is not a file.
    """
    require_place(path)
    return path.open("a+b")


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes the place of `path` once the block ends without an error.

    Raises:
        UserError: the folder cannot be written, or `path` is there and is not a file.
    """
    require_place(path)
    # Processes on several machines may write into one folder: a process id is not enough.
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync(path.parent)
    except BaseException as error:
        with suppress(OSError):  # where nothing can be written, nothing can be removed either
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise storage_error(error, path.parent) from error
        raise


def sync_folder(folder: Path) -> None:
    """Bring all that is in `folder` to the disk, so that a power cut does not take it back.

    Raises:
        UserError: the disk is full, or failed.
    """
    try:
        for path in sorted(folder.rglob("*"), reverse=True):
            if not path.is_symlink() and (path.is_file() or path.is_dir()):
                _sync(path)
        _sync(folder)
    except OSError as error:
        raise storage_error(error, folder) from error


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as error:
        # Some network file systems cannot do this for a folder.
        if error.errno not in (errno.EINVAL, *NO_LOCKS) or not path.is_dir():
            raise
    finally:
        os.close(number)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def json_sha256(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the canonical JSON of `content`; the order of keys does not matter.

    Raises ValueError where a number is not finite.
    """
    canonical = json.dumps(
        content, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False
    )
    return hashlib.sha256(canonical.encode()).hexdigest()


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading. Raises OSError, also for a pipe or a device, which may never end."""
    if path.exists() and not path.is_dir() and not path.is_file():
        raise OSError(errno.EINVAL, "is a pipe or a device, not a file", str(path))
    return path.open("rb")


def read_regular(path: Path) -> bytes:
    """Return the content of a file. Raises OSError, also for a pipe or a device."""
    with open_regular(path) as file:
        return file.read()


def storage_error(error: OSError, folder: Path) -> UserError:
    """Return the message for a `folder` that could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError(
            f"{folder}: the disk is full. Free some space and run the same command again; it "
            f"continues where it stopped."
        )
    return UserError(f"{folder}: cannot be written ({error}). Choose another output folder.")


def remove_temporaries(folder: Path) -> None:
    """Remove the half-written files that killed processes left in `folder`."""
    for path in folder.glob("*.tmp"):
        if _TEMPORARY.fullmatch(path.name):
            path.unlink(missing_ok=True)


def remove_files(paths: Iterable[Path], within: Path) -> None:
    """Remove files, and the folders between them and `within` that are empty then.

    A folder that has the name of one of the files is only removed if it is empty.
    """
    for path in paths:
        if path.is_symlink() or path.is_file():
            path.unlink(missing_ok=True)
        folders = [within / folder for folder in path.relative_to(within).parents[:-1]]
        with suppress(OSError):  # one is not empty, or not there
            for folder in [path, *folders] if path.is_dir() else folders:
                folder.rmdir()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold `folder` (made if missing) for this process alone.

    A POSIX record lock: it ends with its process, even by kill -9, reaches over network file
    systems, and is not inherited by a fork (a data loader would otherwise outlive a killed run
    with it). The lock file holds the process id, and exists only while the folder is held.

    Raises:
        UserError: another process holds the folder, or it cannot be written.
    """
    file = _lock(folder)
    with file:
        file.write(str(os.getpid()).encode())
        file.flush()
        try:
            yield
        finally:
            with suppress(OSError):
                (folder / LOCK_FILE).unlink(missing_ok=True)


def _lock(folder: Path) -> IO[bytes]:
    """Return the locked lock file, empty."""
    path = folder / LOCK_FILE
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = open_to_append(path)
        except OSError as error:
            raise storage_error(error, folder) from error
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The holder may have removed the file between our opening and locking it.
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                file.seek(0)
                if not _HOLDER.fullmatch(file.read()):
                    file.close()
                    raise UserError(
                        f"{path}: is not a lock of soritune, which would replace it. Give the "
                        "recipe another output."
                    )
                file.truncate(0)
                return file
        except FileNotFoundError:
            pass
        except (BlockingIOError, PermissionError):  # POSIX allows either
            file.seek(0)
            holder = file.read().decode(errors="replace").strip() or "unknown"
            file.close()
            raise UserError(
                f"{folder}: another soritune is working here (process {holder}). Wait until it "
                f"ends, or give the recipe another output."
            ) from None
        except OSError as error:
            file.close()
            if error.errno in NO_LOCKS:
                raise UserError(
                    f"{folder}: its file system has no locks ({error}). Use a local folder for "
                    f"the output and copy the result."
                ) from error
            raise
        file.close()
