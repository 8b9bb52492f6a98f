"""A folder that appears whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from soritune.errors import UserError

CHECKSUMS_FILE = "checksums.sha256"
_TEMPORARY = ".tmp"
_READ_BYTES = 1 << 20


def check_out(out: Path, force: bool, sources: tuple[Path, ...]) -> None:
    """Raise UserError where `out` may not be written.

    It may not be where it has content and `force` is not given, and where it is, contains or is in
    a folder that is read from.
    """
    resolved = out.resolve()
    for source in (s.resolve() for s in sources):
        if resolved == source or resolved in source.parents or source in resolved.parents:
            raise UserError(
                f"{out}: is, contains or is in {source}, which is read from; choose another --out"
            )
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file; choose another --out")
    if out.is_dir() and any(out.iterdir()) and not force:
        raise UserError(
            f"{out}: is not empty; choose another --out, or add --force to replace all of it"
        )


@contextmanager
def whole_folder(out: Path, num_bytes: int) -> Iterator[Path]:
    """Yield a folder to write into, which takes the name `out` when all went well.

    A failure, an interruption or a full disk leaves nothing; a kill leaves a hidden folder of
    another name, which the next call removes. What was at `out` stays until the new one is
    complete.

    Args:
        out: the final folder; its parents are made.
        num_bytes: about what will be written, so that a disk too small is reported at once.

    Raises:
        UserError: the disk is full, or the folder cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _remove_left_over(out)
        free = shutil.disk_usage(out.parent).free
        if free < num_bytes:
            raise _full(out, f"{free / 1e9:.1f} GB are free, {num_bytes / 1e9:.1f} GB are needed")
        temporary = _sibling(out, "new")
        temporary.mkdir()
    except OSError as error:
        raise _storage_error(out, error) from None
    try:
        yield temporary
        _sync(temporary)
        _take_name(temporary, out)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError):
            raise _storage_error(out, error) from None
        raise


def write_checksums(folder: Path) -> None:
    """Write SHA-256 of every file, in the form that `sha256sum --check` takes."""
    lines = [
        f"{_sha256(path)}  {path.relative_to(folder).as_posix()}\n"
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != CHECKSUMS_FILE
    ]
    (folder / CHECKSUMS_FILE).write_text("".join(lines), encoding="utf-8")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _sibling(out: Path, kind: str) -> Path:
    return out.parent / f".{out.resolve().name}.{kind}.{os.getpid()}{_TEMPORARY}"


def _remove_left_over(out: Path) -> None:
    """Remove what killed processes left half written."""
    for path in out.parent.glob(f".{out.resolve().name}.new.*{_TEMPORARY}"):
        number = path.name.split(".")[-2]
        if number.isdigit() and not _runs(int(number)):
            shutil.rmtree(path, ignore_errors=True)


def _runs(pid: int) -> bool:
    if pid == os.getpid():
        return False  # its earlier folder of the same number, left by a namesake
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _take_name(temporary: Path, out: Path) -> None:
    if not (out.is_dir() and any(out.iterdir())):
        os.replace(temporary, out)  # an empty folder gives way
        return
    old = _sibling(out, "old")
    os.replace(out, old)
    try:
        os.replace(temporary, out)
    except OSError:
        os.replace(old, out)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _sync(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def _storage_error(out: Path, error: OSError) -> UserError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _full(out, "nothing was written")
    return UserError(f"{out}: cannot be written ({error}); choose another --out")


def _full(out: Path, why: str) -> UserError:
    return UserError(f"{out}: the disk is full ({why}); free some space or choose another --out")
