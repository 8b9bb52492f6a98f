"""How a command ends when something goes wrong: one line and an exit code."""

from __future__ import annotations

import errno
import functools
import os
from collections.abc import Callable
from typing import ParamSpec

import typer

from soritune.errors import UserError, visible
from soritune.interrupts import INTERRUPTED, exit_code, report

P = ParamSpec("P")

EXIT_USER_ERROR = 2
_FULL = "the disk is full. Free some space and run the same command again to continue."
_LONGEST = 2000  # characters of a line
_TROUBLES = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: "a file would be larger than it may be. Raise the limit (ulimit -f).",
    errno.EROFS: "the file system is read-only. Write to another folder.",
    errno.EACCES: "this user may not read or write here. Change the rights, or use another folder.",
    errno.EIO: "the disk failed. Look at the system's log, and copy what can be read.",
}


def plain_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Show users' mistakes, interruptions and full disks of a command without a traceback.

    Other exceptions are our own mistakes and keep theirs.
    """

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except UserError as error:
            show_error(str(error))
            raise typer.Exit(EXIT_USER_ERROR) from None
        except KeyboardInterrupt as interruption:
            report(str(interruption) or INTERRUPTED)
            raise typer.Exit(exit_code(interruption)) from None
        except Exception as error:
            if (trouble := storage_trouble(error)) is None:
                raise
            show_error(trouble)
            raise typer.Exit(EXIT_USER_ERROR) from None

    return wrapped


def show_error(message: str) -> None:
    """Write one line to standard error, red on a terminal."""
    line = visible(" ".join(message.split()))
    if len(line) > _LONGEST:  # a value of a damaged file
        line = f"{line[: _LONGEST // 2]} … {line[-_LONGEST // 2 :]}"
    typer.secho(f"error: {line}", fg=typer.colors.RED, err=True)


def storage_trouble(error: BaseException | None) -> str | None:
    """Return what a disk refused, where that is what an exception or its cause says.

    Writers in other languages (safetensors, torch) wrap the system's error in text.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        for number, trouble in _TROUBLES.items():
            if getattr(error, "errno", None) == number or os.strerror(number) in str(error):
                name = getattr(error, "filename", None)
                return trouble if name is None else f"{name}: {trouble}"
        error = error.__cause__ or error.__context__
    return None
