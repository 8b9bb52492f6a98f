"""A folder that appears whole or not at all."""

from __future__ import annotations

import ctypes
import errno
import glob
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from soritune.errors import UserError
from soritune.files import file_sha256, sync_folder
from soritune.models.checkpoint import ADAPTER_CONFIG_FILE, ADAPTER_FOLDER, ADAPTER_WEIGHTS_FILE
from soritune.models.record import RECORD_FILE, TRAINED_FILE

CHECKSUMS_FILE = "checksums.sha256"
_TEMPORARY = ".tmp"
_TRAINING_FILE = "training.json"  # which a training writes beside its model
_EXCHANGE = 2  # RENAME_EXCHANGE of renameat2(2), Linux 3.15
_THIS_FOLDER = -100  # AT_FDCWD


def check_out(out: Path, force: bool, sources: tuple[Path, ...]) -> None:
    """Raise UserError where `out` may not be written.

    It may not be where it has content and `force` is not given, where it has files that soritune
    did not write, where it is a link or what a run has trained, and where it is, contains or is
    in a folder that is read from.
    """
    if out.is_symlink():
        raise UserError(
            f"{out}: is a link to {out.resolve()}; give that folder, or choose another --out"
        )
    resolved = out.resolve()
    for source in (s.resolve() for s in sources):
        if resolved == source or resolved in source.parents or source in resolved.parents:
            raise UserError(
                f"{out}: is, contains or is in {source}, which is read from; choose another --out"
            )
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file; choose another --out")
    if (resolved.parent / _TRAINING_FILE).is_file() and (out / RECORD_FILE).is_file():
        raise UserError(
            f"{out}: is the trained model of a run, which --force would remove; choose another "
            "--out"
        )
    if out.is_dir() and any(out.iterdir()) and not force:
        raise UserError(
            f"{out}: is not empty; choose another --out, or add --force to replace all of it"
        )
    if out.is_dir():
        foreign = _first_foreign(out)
        if foreign is not None:
            raise UserError(
                f"{out}: holds {foreign}, which soritune did not write there and --force would "
                "remove; choose another --out, or remove it yourself"
            )


def _first_foreign(out: Path) -> str | None:
    """Return a file of a folder that neither an export nor a training wrote there."""
    written = {TRAINED_FILE, f"{ADAPTER_FOLDER}/{ADAPTER_WEIGHTS_FILE}"}
    written |= {f"{ADAPTER_FOLDER}/{name}" for name in (ADAPTER_CONFIG_FILE, "README.md")}
    marks = {RECORD_FILE, CHECKSUMS_FILE} & {path.name for path in out.iterdir()}
    if CHECKSUMS_FILE in marks:
        lines = (out / CHECKSUMS_FILE).read_text(encoding="utf-8", errors="replace").splitlines()
        written |= {line[64:].removeprefix("  ") for line in lines}
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out).as_posix()
        if (path.is_symlink() or not path.is_dir()) and name not in written | marks:
            return name
    return None


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
        sync_folder(temporary)
        _take_name(temporary, out)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError):
            raise _storage_error(out, error) from None
        raise


def write_checksums(folder: Path) -> None:
    """Write SHA-256 of every file, in the form that `sha256sum --check` takes."""
    lines = [
        f"{file_sha256(path)}  {path.relative_to(folder).as_posix()}\n"
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != CHECKSUMS_FILE
    ]
    (folder / CHECKSUMS_FILE).write_text("".join(lines), encoding="utf-8")


def _sibling(out: Path, kind: str) -> Path:
    return out.parent / f".{out.resolve().name}.{kind}.{os.getpid()}{_TEMPORARY}"


def _remove_left_over(out: Path) -> None:
    """Remove what killed processes left half written; what was there before comes back."""
    for kind in ("old", "new"):
        for path in out.parent.glob(f".{glob.escape(out.resolve().name)}.{kind}.*{_TEMPORARY}"):
            number = path.name.split(".")[-2]
            if not number.isdigit() or _runs(int(number)):
                continue
            if kind == "old" and not out.exists():
                os.replace(path, out)
            else:
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
    if _exchange(temporary, out):
        shutil.rmtree(temporary, ignore_errors=True)
        return
    # A file system that cannot exchange two names: for a moment there is neither, and what a kill
    # leaves then, the next call puts back.
    old = _sibling(out, "old")
    os.replace(out, old)
    try:
        os.replace(temporary, out)
    except OSError:
        os.replace(old, out)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange the names of two folders in one step; False where the system cannot."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:  # a C library older than glibc 2.28
        return False
    names = (os.fsencode(one), os.fsencode(other))
    return bool(rename(_THIS_FOLDER, names[0], _THIS_FOLDER, names[1], _EXCHANGE) == 0)


def _storage_error(out: Path, error: OSError) -> UserError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _full(out, "nothing was written")
    return UserError(f"{out}: cannot be written ({error}); choose another --out")


def _full(out: Path, why: str) -> UserError:
    return UserError(f"{out}: the disk is full ({why}); free some space or choose another --out")
